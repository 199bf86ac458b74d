#include "service/systemd.h"

#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRESH_MAX 64    /* new units that are asked for at once; with more of them all are listed */
#define DETAILS_MAX 48  /* Gets that are out at a time */
#define DRIVER "org.freedesktop.DBus"
#define UNIT_PATH MANAGER_PATH "/unit/"

/* ---- calls ------------------------------------------------------------------------------------------------------ */

enum ask { ASK_OWNER, ASK_SUBSCRIBE, ASK_LIST, ASK_FRESH, ASK_FILES, ASK_DETAIL, ASK_FILE_STATE };

/* A call that waits for its answer; freed with its slot */
struct asked {
	struct systemd *y;
	enum ask what;
	unsigned detail;
	char name[];
};

static void fill_fresh(struct systemd *y);
static int on_answer(sd_bus_message *m, void *user, sd_bus_error *error);

static int ask_take(struct systemd *y, sd_bus_message *m, enum ask what, const char *name, unsigned detail)
{
	struct asked *a = malloc(sizeof(*a) + strlen(name) + 1);
	sd_bus_slot *slot = NULL;
	int r = -ENOMEM;

	if (!a)
		goto out;
	a->y = y;
	a->what = what;
	a->detail = detail;
	memcpy(a->name, name, strlen(name) + 1);
	r = sd_bus_call_async(y->bus, &slot, m, on_answer, a, 0);
	if (r < 0) {
		free(a);
		goto out;
	}
	sd_bus_slot_set_destroy_callback(slot, free);
	sd_bus_slot_set_floating(slot, 1);
	sd_bus_slot_unref(slot);
out:
	sd_bus_message_unref(m);
	return r;
}

static int manager_call(struct systemd *y, const char *method, sd_bus_message **ret_m)
{
	return sd_bus_message_new_method_call(y->bus, ret_m, y->direct ? NULL : NAME, MANAGER_PATH, MANAGER, method);
}

/* ListUnitsByPatterns and ListUnitFilesByPatterns: no states, the globs */
static int list_call(struct systemd *y, const char *method, enum ask what)
{
	sd_bus_message *m = NULL;
	int r = manager_call(y, method, &m);

	if (r >= 0)
		r = sd_bus_message_append(m, "as", 0);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "s");
	for (size_t i = 0; r >= 0 && i < y->s->n_globs; i++)
		r = sd_bus_message_append(m, "s", y->s->globs[i]);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r < 0) {
		sd_bus_message_unref(m);
		return r;
	}
	return ask_take(y, m, what, "", 0);
}

static int ask_list(struct systemd *y)
{
	struct unit *u, *next;
	int r;

	y->list_again = y->listing;
	if (y->listing || y->reloading)
		return 0;
	HASH_ITER(hh, y->s->units, u, next)
		u->seen = false;
	y->n_fresh = 0; /* they are in the list */
	r = list_call(y, "ListUnitsByPatterns", ASK_LIST);
	y->listing = r >= 0;
	return r;
}

static int ask_files(struct systemd *y)
{
	int r;

	y->files_again = y->files;
	if (y->files)
		return 0;
	r = list_call(y, "ListUnitFilesByPatterns", ASK_FILES);
	y->files = r >= 0;
	return r;
}

/* What the list of units does not have */
static const uint8_t details[] = { P_SINCE, P_RESULT, P_MAIN, P_RESTARTS, P_CODE, P_STATUS, P_EXEC };
#define IS_UNIT(p) ((p) == P_SINCE)

/* ---- details: what the lists do not have, of units that are more than loaded ------------------------------------- */

static int ask_detail(struct systemd *y, const struct unit *u, unsigned p)
{
	char path[sizeof(UNIT_PATH) + 3 * NAME_MAX_LENGTH + 1], *at = path + sizeof(UNIT_PATH) - 1;
	sd_bus_message *m = NULL;
	int r;

	memcpy(path, UNIT_PATH, sizeof(UNIT_PATH) - 1);
	for (const unsigned char *c = (const unsigned char *)u->name; *c; c++) {
		bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9' && c != (const unsigned char *)u->name);

		if (plain)
			*at++ = (char)*c;
		else
			at += sprintf(at, "_%02x", *c);
	}
	*at = '\0';
	r = sd_bus_message_new_method_call(y->bus, &m, y->direct ? NULL : NAME, path, DRIVER ".Properties", "Get");
	if (r >= 0)
		r = sd_bus_message_append(m, "ss", IS_UNIT(p) ? NAME ".Unit" : NAME ".Service", properties[p].name);
	if (r < 0) {
		sd_bus_message_unref(m);
		return r;
	}
	r = ask_take(y, m, ASK_DETAIL, u->name, p);
	if (r >= 0)
		y->details_out++;
	return r;
}

static bool is_service(const char *name)
{
	size_t n = strlen(name);

	return n > 8 && !strcmp(name + n - 8, ".service");
}

/* As many as may be out: systemd is not to do nothing else for us. */
static int fill_details(struct systemd *y)
{
	struct unit *u, *next;
	int r = 0;

	if (!y->details_left || y->listing)
		return 0;
	HASH_ITER(hh, y->s->units, u, next) {
		if (!u->details)
			continue;
		if (y->details_out + sizeof(details) > DETAILS_MAX)
			return 0;
		u->details = false;
		for (size_t i = 0; r >= 0 && i < sizeof(details); i++) {
			if (!IS_UNIT(details[i]) && !is_service(u->name))
				continue;
			r = ask_detail(y, u, details[i]);
		}
		if (r < 0)
			return r;
	}
	y->details_left = false;
	return 0;
}

static void take_detail(struct systemd *y, struct asked *a, sd_bus_message *m)
{
	struct unit *u = unit_find(y->s, a->name, strlen(a->name));
	double value = NAN;
	bool quiet = y->s->quiet;

	if (y->details_out)
		y->details_out--;
	if (!u || !u->known || sd_bus_message_is_method_error(m, NULL) || property_read(m, a->detail, &value) < 0)
		return;
	if (a->detail == P_CODE)
		u->code = (int)value;
	else if (a->detail == P_EXEC)
		u->exec_pid = (uint32_t)value;
	else if (a->detail == P_STATUS)
		exit_set(y->s, u, value);
	else
		unit_set(y->s, u, properties[a->detail].metric, value);
	if (u->failed_new && a->detail == P_EXEC) {
		/* The last of the answers: now it can be said why */
		u->failed_new = false;
		u->said_state = STATE_INACTIVE;
		unit_tell(y->s, u);
		return;
	}
	/* They were so before we asked. */
	y->s->quiet = true;
	unit_tell(y->s, u);
	y->s->quiet = quiet;
}

/* Without loading it */
static int ask_file_state(struct systemd *y, struct unit *u)
{
	sd_bus_message *m = NULL;
	int r = manager_call(y, "GetUnitFileState", &m);

	if (r >= 0)
		r = sd_bus_message_append(m, "s", u->name);
	if (r < 0) {
		sd_bus_message_unref(m);
		return r;
	}
	r = ask_take(y, m, ASK_FILE_STATE, u->name, 0);
	u->file_asked = r >= 0;
	return r;
}

/* ---- lists ------------------------------------------------------------------------------------------------------ */

struct listed {
	const char *name, *load, *active, *sub;
};

static int listed_read(sd_bus_message *m, struct listed *l)
{
	const char *description, *followed, *path, *job_type, *job_path;
	uint32_t job;

	return sd_bus_message_read(m, "(ssssssouso)", &l->name, &description, &l->load, &l->active, &l->sub, &followed, &path, &job, &job_type,
	                           &job_path);
}

static void take_listed(struct systemd *y, const struct listed *l)
{
	double state = word_index(state_words, l->active), load = word_index(load_words, l->load);
	struct service *s = y->s;
	struct unit *u;
	bool new;
	char text[NAME_MAX_LENGTH + 80];

	if (!unit_followed(s, l->name) || (load == LOAD_NOT_FOUND && state == STATE_INACTIVE) || strlen(l->name) > NAME_MAX_LENGTH)
		return;
	u = unit_get(s, l->name, SYSTEMD);
	if (!u)
		return;
	new = !u->known;
	u->seen = true;
	u->supervisor = SYSTEMD;
	if (!new && load != u->values[METRIC_LOAD] && (load == LOAD_MASKED || u->values[METRIC_LOAD] == LOAD_MASKED)) {
		snprintf(text, sizeof(text), "%s is %s", u->name, load == LOAD_MASKED ? "masked: it cannot be started" : "no longer masked");
		unit_record(s, u, KITH_NOTICE, load == LOAD_MASKED ? "mask" : "unmask", text);
	}
	unit_set(s, u, METRIC_STATE, state);
	unit_set(s, u, METRIC_SUBSTATE, word_index(substate_words, l->sub));
	unit_set(s, u, METRIC_LOAD, load);
	if (isnan(u->values[METRIC_PID]) && state == STATE_INACTIVE && is_service(u->name)) {
		unit_set(s, u, METRIC_RESULT, RESULT_SUCCESS);
		unit_set(s, u, METRIC_RESTARTS, 0);
		unit_set(s, u, METRIC_PID, 0);
	}
	unit_begin(s, u);
	if (new) {
		snprintf(text, sizeof(text), "%s is new, %s", u->name, l->active);
		unit_record(s, u, KITH_INFO, "appeared", text);
		/* It was started and had failed before we could ask */
		u->failed_new = y->synced && state == STATE_FAILED && is_service(u->name);
	}
	unit_tell(s, u);
	/*
	 * Of one that does nothing there is nothing more to know; and to ask for a property of a unit that is being unloaded would load
	 * it again.
	 */
	if (state != STATE_INACTIVE)
		u->details = y->details_left = true;
	if (new && y->synced && !u->file_asked && ask_file_state(y, u) < 0)
		bus_lose(y, "no memory");
}

static int take_list(struct systemd *y, sd_bus_message *m)
{
	struct listed l;
	int r = sd_bus_message_enter_container(m, 'a', "(ssssssouso)");

	while (r >= 0 && (r = listed_read(m, &l)) > 0)
		take_listed(y, &l);
	return r;
}

static bool is_template_instance(const char *name)
{
	const char *at = strchr(name, '@');

	return at && at[1] != '.' && at[1];
}

/* No longer loaded. One that could be started again stays, as inactive: a promise on it is broken, not unknown. */
static void unit_unloaded(struct systemd *y, struct unit *u)
{
	struct service *s = y->s;
	char text[NAME_MAX_LENGTH + 40];

	u->seen = false;
	if (u->file_asked || (u->file && (u->n_wanted || !is_template_instance(u->name)))) {
		unit_set(s, u, METRIC_STATE, STATE_INACTIVE);
		unit_set(s, u, METRIC_SUBSTATE, SUB_DEAD);
		unit_set(s, u, METRIC_PID, 0);
		unit_tell(s, u);
		return;
	}
	if (u->id != KITH_ID_NONE) {
		snprintf(text, sizeof(text), "%s is gone", u->name);
		unit_record(s, u, KITH_INFO, "removed", text);
	}
	unit_drop(s, u);
}

static int take_files(struct systemd *y, sd_bus_message *m)
{
	struct service *s = y->s;
	const char *path, *state, *name;
	struct unit *u, *next;
	char text[NAME_MAX_LENGTH + 80];
	double value;
	int r = sd_bus_message_enter_container(m, 'a', "(ss)");

	HASH_ITER(hh, s->units, u, next)
		if (u->supervisor == SYSTEMD && !is_template_instance(u->name))
			u->file = false;
	while (r >= 0 && (r = sd_bus_message_read(m, "(ss)", &path, &state)) > 0) {
		name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
		u = unit_find(s, name, strlen(name));
		if (!u || !u->known || u->supervisor != SYSTEMD)
			continue;
		u->file = true;
		value = word_index(enabled_words, state);
		if (y->synced && u->values[METRIC_ENABLED] != value && u->id != KITH_ID_NONE) {
			snprintf(text, sizeof(text), "%s is %s now", u->name, state);
			unit_record(s, u, KITH_NOTICE, "enabled", text);
		}
		unit_set(s, u, METRIC_ENABLED, value);
	}
	return r;
}

/* Of one that is new, or that somebody names and that is not loaded: is there a file? */
static void take_file_state(struct systemd *y, struct asked *a, sd_bus_message *m)
{
	struct unit *u = unit_find(y->s, a->name, strlen(a->name));
	const char *state = "";
	bool file = !sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "s", &state) > 0;

	if (!u)
		return;
	u->file_asked = false;
	u->file = file && strcmp(state, "transient") != 0;
	if (file && (u->known || u->n_wanted))
		unit_set(y->s, u, METRIC_ENABLED, word_index(enabled_words, state));
	if (u->known && u->supervisor == SYSTEMD && !u->seen) {
		unit_unloaded(y, u);
	} else if (!u->known && u->n_wanted && u->file) {
		u->supervisor = SYSTEMD;
		unit_set(y->s, u, METRIC_STATE, STATE_INACTIVE);
		unit_set(y->s, u, METRIC_SUBSTATE, SUB_DEAD);
		unit_set(y->s, u, METRIC_LOAD, strncmp(state, "masked", 6) ? LOAD_LOADED : LOAD_MASKED);
		unit_set(y->s, u, METRIC_PID, 0);
		unit_begin(y->s, u);
		unit_tell(y->s, u);
	}
}

/* Both lists have been read: what is in neither is gone. */
static int sync_end(struct systemd *y)
{
	struct unit *u, *next;
	int r = 0;

	if (y->list_again)
		return ask_list(y);
	HASH_ITER(hh, y->s->units, u, next) {
		if (u->known && u->supervisor == SYSTEMD && !u->seen)
			unit_unloaded(y, u); /* frees it, perhaps */
		else if (!u->known && !u->n_wanted && u->supervisor == SYSTEMD)
			unit_drop(y->s, u);
		else if (!u->known && u->n_wanted && unit_followed(y->s, u->name))
			r = ask_file_state(y, u);
		if (r < 0)
			return r;
	}
	/* Those that stay without being loaded have lost their instances with the connection, perhaps */
	HASH_ITER(hh, y->s->units, u, next)
		if (u->known && u->supervisor == SYSTEMD)
			unit_begin(y->s, u);
	y->synced = y->trim = true;
	y->s->systemd_quiet = false;
	bus_synced(y);
	fill_fresh(y);
	return fill_details(y);
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static bool timed_out(sd_bus_message *m)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	return e && (sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY) || sd_bus_error_has_name(e, SD_BUS_ERROR_TIMEOUT));
}

static int take_owner(struct systemd *y, sd_bus_message *m)
{
	const char *owner;

	if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "s", &owner) <= 0)
		return 0; /* not on the bus yet: NameOwnerChanged tells */
	snprintf(y->owner, sizeof(y->owner), "%s", owner);
	return ask_list(y);
}

static int take_answer(struct systemd *y, struct asked *a, sd_bus_message *m)
{
	bool failed = sd_bus_message_is_method_error(m, NULL);
	int r = 0;

	switch (a->what) {
	case ASK_OWNER:
		return take_owner(y, m);
	case ASK_SUBSCRIBE:
		return 0;
	case ASK_LIST:
		y->listing = false;
		r = failed ? -EPROTO : take_list(y, m);
		return r < 0 ? r : y->list_again ? ask_list(y) : ask_files(y);
	case ASK_FILES:
		y->files = false;
		r = failed ? 0 : take_files(y, m);
		if (r >= 0 && y->files_again)
			return ask_files(y);
		return r < 0 ? r : sync_end(y);
	case ASK_FRESH:
		y->asking = false;
		r = failed ? 0 : take_list(y, m);
		fill_fresh(y);
		return r < 0 ? r : fill_details(y);
	case ASK_DETAIL:
		take_detail(y, a, m);
		r = fill_details(y);
		if (r >= 0 && y->trim && !y->details_left && !y->details_out) {
			malloc_trim(0); /* the lists were large, and are gone */
			y->trim = false;
		}
		return r;
	case ASK_FILE_STATE:
		take_file_state(y, a, m);
		return 0;
	}
	return 0;
}

static int on_answer(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct asked *a = user;
	struct systemd *y = a->y;
	int r;

	(void)error;
	if (y->lost)
		return 0;
	if (timed_out(m)) {
		bus_lose(y, "a question was not answered within 10 s");
		return 0;
	}
	r = take_answer(y, a, m);
	if (r < 0)
		bus_lose(y, strerror(-r));
	return 0;
}

/* ---- new units -------------------------------------------------------------------------------------------------- */

/*
 * By patterns: by name it would load what was unloaded meanwhile, which makes it new again. A unit's name has nothing in it that is
 * special in a pattern: systemd takes a backslash as it is.
 */
static void fill_fresh(struct systemd *y)
{
	sd_bus_message *m = NULL;
	int r;

	if (!y->n_fresh || y->asking || y->listing || y->reloading || !y->synced)
		return;
	r = manager_call(y, "ListUnitsByPatterns", &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "as", 0);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "s");
	for (uint32_t i = 0; r >= 0 && i < y->n_fresh; i++)
		r = sd_bus_message_append(m, "s", y->fresh[i]);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	y->n_fresh = 0;
	if (r < 0)
		sd_bus_message_unref(m);
	else
		r = ask_take(y, m, ASK_FRESH, "", 0);
	y->asking = r >= 0;
	if (r < 0)
		bus_lose(y, strerror(-r));
}

static int fresh_add(struct systemd *y, const char *name)
{
	if (!unit_followed(y->s, name) || strlen(name) > NAME_MAX_LENGTH || y->listing || y->reloading || !y->synced)
		return 0;
	for (uint32_t i = 0; i < y->n_fresh; i++)
		if (!strcmp(y->fresh[i], name))
			return 0;
	if (y->n_fresh == FRESH_MAX)
		return ask_list(y);
	snprintf(y->fresh[y->n_fresh++], sizeof(y->fresh[0]), "%s", name);
	return 0;
}

int systemd_idle(struct systemd *y)
{
	fill_fresh(y);
	return 0;
}

/* ---- signals ---------------------------------------------------------------------------------------------------- */

static int on_changed(struct systemd *y, sd_bus_message *m)
{
	char name[NAME_MAX_LENGTH + 1];
	const char *path = sd_bus_message_get_path(m), *interface;
	struct news n;
	struct unit *u;
	size_t length;
	bool generic;
	int r;

	length = path ? path_unit(path, name, sizeof(name)) : 0;
	if (!length)
		return 0;
	u = unit_find(y->s, name, length);
	if (!u || !u->known) {
		r = y->listing || y->reloading || !y->synced || !unit_followed(y->s, name) ? 0 : news_early(y->s, u, name, m);
		return r < 0 ? r : fresh_add(y, name);
	}
	if (u->supervisor != SYSTEMD)
		return 0;
	r = sd_bus_message_read(m, "s", &interface);
	if (r < 0)
		return r;
	generic = !strcmp(interface, NAME ".Unit");
	if (!generic && strcmp(interface, NAME ".Service") != 0)
		return 0;
	r = news_read(m, &n);
	if (r < 0)
		return r;
	news_apply(y->s, u, &n);
	/* systemd tells of the service first, of the unit after: now all is known of this change. */
	if (generic)
		unit_tell(y->s, u);
	return 0;
}

static int on_unit_signal(struct systemd *y, sd_bus_message *m, bool new)
{
	const char *name, *path;
	struct unit *u;
	int r = sd_bus_message_read(m, "so", &name, &path);

	if (r < 0)
		return r;
	if (y->listing || y->reloading)
		return 0; /* the list that comes has it, or has it no longer */
	u = unit_find(y->s, name, strlen(name));
	if (new)
		return u && u->known && u->id != KITH_ID_NONE && u->values[METRIC_STATE] != STATE_INACTIVE ? 0 : fresh_add(y, name);
	for (uint32_t i = 0; i < y->n_fresh; i++)
		if (!strcmp(y->fresh[i], name)) {
			memmove(y->fresh[i], y->fresh[y->n_fresh - 1], sizeof(y->fresh[0]));
			y->n_fresh--;
		}
	if (u && u->known && u->supervisor == SYSTEMD)
		unit_unloaded(y, u);
	else if (u && !u->known && u->exec_pid)
		unit_passed(y->s, u);
	return 0;
}

static int on_job_removed(struct systemd *y, sd_bus_message *m)
{
	const char *job, *name, *result;
	char text[NAME_MAX_LENGTH + 80];
	const struct unit *u;
	uint32_t id;
	int r = sd_bus_message_read(m, "uoss", &id, &job, &name, &result);

	if (r < 0 || strcmp(result, "dependency") != 0)
		return r;
	u = unit_find(y->s, name, strlen(name));
	if (!u || u->id == KITH_ID_NONE)
		return 0;
	snprintf(text, sizeof(text), "%s is not started: something that it depends on failed", name);
	unit_record(y->s, u, KITH_ERR, "dependency", text);
	return 0;
}

static int on_reloading(struct systemd *y, sd_bus_message *m)
{
	int active, r = sd_bus_message_read(m, "b", &active);

	if (r < 0)
		return r;
	y->reloading = active;
	return active ? 0 : ask_list(y);
}

static int subscribe(struct systemd *y)
{
	sd_bus_message *m = NULL;
	int r = manager_call(y, "Subscribe", &m);

	return r < 0 ? r : ask_take(y, m, ASK_SUBSCRIBE, "", 0);
}

static int on_owner(struct systemd *y, sd_bus_message *m)
{
	const char *name, *old, *new;
	int r = sd_bus_message_read(m, "sss", &name, &old, &new);

	if (r < 0 || strcmp(name, NAME) != 0)
		return r;
	snprintf(y->owner, sizeof(y->owner), "%s", new);
	y->reloading = false;
	if (!*new) {
		bus_hold(y);
		return 0;
	}
	/* Another systemd, or the same one executed anew: nothing was told in between. */
	y->list_again = false;
	r = subscribe(y);
	return r < 0 ? r : ask_list(y);
}

/* Anybody may send us a signal: it must be from the bus itself, or from who has systemd's name. */
static bool from(const struct systemd *y, sd_bus_message *m, const char *who)
{
	const char *sender = sd_bus_message_get_sender(m);

	return y->direct || (sender && *who && !strcmp(sender, who));
}

int systemd_message(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct systemd *y = user;
	const char *interface, *member;
	uint8_t type;
	int r = 0;

	(void)error;
	if (y->lost || sd_bus_message_get_type(m, &type) < 0 || type != SD_BUS_MESSAGE_SIGNAL)
		return 0;
	interface = sd_bus_message_get_interface(m);
	member = sd_bus_message_get_member(m);
	if (!interface || !member)
		return 0;
	if (!y->direct && !strcmp(interface, DRIVER) && !strcmp(member, "NameOwnerChanged") && from(y, m, DRIVER)) {
		r = on_owner(y, m);
	} else if (!from(y, m, y->owner)) {
		return 0;
	} else if (!strcmp(interface, DRIVER ".Properties")) {
		r = on_changed(y, m);
	} else if (!strcmp(interface, MANAGER)) {
		if (!strcmp(member, "UnitNew") || !strcmp(member, "UnitRemoved"))
			r = on_unit_signal(y, m, member[4] == 'N');
		else if (!strcmp(member, "JobRemoved"))
			r = on_job_removed(y, m);
		else if (!strcmp(member, "Reloading"))
			r = on_reloading(y, m);
		else if (!strcmp(member, "UnitFilesChanged") && y->synced)
			r = ask_files(y);
	}
	if (r < 0)
		bus_lose(y, strerror(-r));
	return 0;
}

/* ---- a connection's beginning and end --------------------------------------------------------------------------- */

static int bus_call(struct systemd *y, const char *method, enum ask what, const char *argument)
{
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(y->bus, &m, DRIVER, "/org/freedesktop/DBus", DRIVER, method);

	if (r >= 0)
		r = sd_bus_message_append(m, "s", argument);
	if (r < 0) {
		sd_bus_message_unref(m);
		return r;
	}
	return ask_take(y, m, what, "", 0);
}

#define FROM_SYSTEMD "type='signal',sender='" NAME "'"
int systemd_opened(struct systemd *y)
{
	static const char *const rules[] = {
		"type='signal',sender='" DRIVER "',interface='" DRIVER "',member='NameOwnerChanged',arg0='" NAME "'",
		FROM_SYSTEMD ",path='" MANAGER_PATH "',interface='" MANAGER "'",
		FROM_SYSTEMD ",path_namespace='" MANAGER_PATH "/unit',member='PropertiesChanged',arg0='" NAME ".Unit'",
		FROM_SYSTEMD ",path_namespace='" MANAGER_PATH "/unit',member='PropertiesChanged',arg0='" NAME ".Service'",
	};
	struct unit *u, *next;
	int r = 0;

	HASH_ITER(hh, y->s->units, u, next)
		u->file_asked = false;
	*y->owner = '\0';
	y->reloading = y->listing = y->list_again = y->files = y->files_again = y->asking = y->synced = y->details_left = false;
	y->n_fresh = y->details_out = 0;
	if (y->direct)
		return ask_list(y); /* systemd tells its direct peers everything */
	for (size_t i = 0; r >= 0 && i < sizeof(rules) / sizeof(rules[0]); i++)
		r = bus_call(y, "AddMatch", ASK_SUBSCRIBE, rules[i]);
	if (r >= 0)
		r = subscribe(y);
	return r < 0 ? r : bus_call(y, "GetNameOwner", ASK_OWNER, NAME);
}

void systemd_unknown(struct systemd *y)
{
	struct unit *u, *next;

	HASH_ITER(hh, y->s->units, u, next)
		if (u->supervisor == SYSTEMD)
			unit_end(y->s, u);
}

void systemd_wanted(struct service *s, struct unit *u)
{
	struct systemd *y = s->systemd;

	if (!y || !y->synced || y->lost || y->state != BUS_UP || !unit_followed(s, u->name))
		return;
	if (ask_file_state(y, u) < 0)
		bus_lose(y, "no memory");
	bus_arm(y);
}

int systemd_start(struct service *s)
{
	struct systemd *y = calloc(1, sizeof(*y));

	if (!y)
		return -ENOMEM;
	y->fresh = calloc(FRESH_MAX, sizeof(*y->fresh));
	if (!y->fresh) {
		free(y);
		return -ENOMEM;
	}
	y->s = s;
	y->fd = -1;
	s->systemd = y;
	s->systemd_quiet = true;
	bus_open(y);
	return 0;
}

void systemd_stop(struct service *s)
{
	struct systemd *y = s->systemd;

	if (!y)
		return;
	bus_close(y);
	free(y->fresh);
	free(y);
	s->systemd = NULL;
}

void systemd_resync(struct service *s)
{
	if (s->systemd && s->systemd->state == BUS_UP && !s->systemd->lost && ask_list(s->systemd) >= 0)
		bus_arm(s->systemd);
}
