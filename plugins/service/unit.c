#include "service/service.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const by[N_SUPERVISORS] = { "systemd", "s6", "runit" };

struct unit *unit_find(const struct service *s, const char *name, size_t length)
{
	struct unit *u;

	HASH_FIND(hh, s->units, name, length, u);
	return u;
}

struct unit *unit_get(struct service *s, const char *name, enum supervisor supervisor)
{
	size_t n = strlen(name);
	struct unit *u = unit_find(s, name, n);

	if (u || n == 0 || n > NAME_MAX_LENGTH)
		return u;
	if (HASH_COUNT(s->units) >= UNITS_MAX) {
		if (!s->told_units)
			s->h->log(s->h, KITH_WARNING, "more than %d services: the others are left out; narrow the option \"units\"", UNITS_MAX);
		s->told_units = true;
		return NULL;
	}
	u = calloc(1, sizeof(*u) + n + 1);
	if (!u)
		return NULL;
	memcpy(u->name, name, n + 1);
	u->supervisor = supervisor;
	for (int i = 0; i < N_METRICS; i++)
		u->values[i] = NAN;
	u->said_restarts = u->said_sub = u->said_state = NAN;
	HASH_ADD(hh, s->units, name[0], (unsigned)n, u);
	return u;
}

/* A backslash stands for itself, as in systemd: unit names have them */
bool unit_followed(const struct service *s, const char *name)
{
	for (size_t i = 0; i < s->n_ignore; i++)
		if (fnmatch(s->ignore[i], name, FNM_NOESCAPE) == 0)
			return false;
	for (size_t i = 0; i < s->n_globs; i++)
		if (fnmatch(s->globs[i], name, FNM_NOESCAPE) == 0)
			return true;
	return false;
}

/* ---- instances -------------------------------------------------------------------------------------------------- */

void unit_begin(struct service *s, struct unit *u)
{
	kith_id id = KITH_ID_NONE;
	int r;

	if (!u->known)
		s->n_waiting = 0; /* somebody is new: whoever waits is counted again */
	u->known = true;
	if (u->id != KITH_ID_NONE)
		return;
	r = s->h->series(s->h, 0, u->name, &id);
	if (r == -ENOSPC)
		s->n_waiting++;
	else if (r < 0)
		s->h->log(s->h, KITH_WARNING, "a service's name makes no instance: %s", strerror(-r));
	if (r < 0)
		return;
	u->id = id;
	s->h->put_all(s->h, id, u->values, N_METRICS);
}

void unit_end(struct service *s, struct unit *u)
{
	struct unit *other, *next;

	if (u->id == KITH_ID_NONE)
		return;
	s->h->end(s->h, u->id);
	u->id = KITH_ID_NONE;
	if (!s->n_waiting)
		return;
	HASH_ITER(hh, s->units, other, next) {
		if (other == u || !other->known || other->id != KITH_ID_NONE)
			continue;
		s->n_waiting--;
		unit_begin(s, other);
		break;
	}
}

void unit_drop(struct service *s, struct unit *u)
{
	u->known = u->file = u->details = false;
	u->code = 0;
	u->restarting = false;
	u->exec_pid = u->said_exec_pid = 0;
	unit_end(s, u);
	for (int i = 0; i < N_METRICS; i++)
		u->values[i] = NAN;
	u->said_restarts = u->said_sub = u->said_state = NAN;
	if (u->n_wanted)
		return;
	HASH_DEL(s->units, u);
	free(u);
}

void units_free(struct service *s)
{
	struct unit *u, *next;

	HASH_ITER(hh, s->units, u, next) {
		HASH_DEL(s->units, u);
		free(u);
	}
}

int unit_wanted(const char *instance, int wanted, void *user)
{
	struct service *s = user;
	struct unit *u;

	if (!*instance || strchr(instance, '*'))
		return 0;
	u = wanted ? unit_get(s, instance, SYSTEMD) : unit_find(s, instance, strlen(instance));
	if (!u)
		return 0;
	if (wanted) {
		if (u->n_wanted++ == 0 && !u->known)
			systemd_wanted(s, u);
	} else if (u->n_wanted > 0 && --u->n_wanted == 0 && !u->known) {
		unit_drop(s, u);
	}
	return 0;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

void unit_set(struct service *s, struct unit *u, enum metric metric, double value)
{
	if (u->values[metric] == value || isnan(value))
		return;
	u->values[metric] = value;
	if (u->id != KITH_ID_NONE)
		s->h->put(s->h, u->id + (kith_id)metric, value);
}

/* ---- records ---------------------------------------------------------------------------------------------------- */

static const char *word(const char *const *words, double value)
{
	return isnan(value) ? "" : words[(size_t)value];
}

static void number_text(double value, char *text, size_t size)
{
	if (isnan(value))
		*text = '\0';
	else
		snprintf(text, size, "%.0f", value);
}

void unit_record(struct service *s, const struct unit *u, enum kith_priority priority, const char *event, const char *message)
{
	char subject[NAME_MAX_LENGTH + 16], status[32], number[32], pid[32], restarts[32];
	struct kith_field fields[9] = {
		{ "event", event },
		{ "supervisor", by[u->supervisor] },
		{ "state", word(state_words, u->values[METRIC_STATE]) },
		{ "substate", word(substate_words, u->values[METRIC_SUBSTATE]) },
		{ "result", word(result_words, u->values[METRIC_RESULT]) },
		{ "exit_status", status },
		{ "signal", number },
		{ "pid", pid },
		{ "restarts", restarts },
	};
	struct kith_record r = { .size = sizeof(r), .priority = (uint32_t)priority, .subject = subject, .message = message, .fields = fields };

	if (s->quiet || (u->supervisor == SYSTEMD && s->systemd_quiet))
		return;
	snprintf(subject, sizeof(subject), "service:%s", u->name);
	number_text(u->values[METRIC_EXIT_STATUS], status, sizeof(status));
	number_text(u->values[METRIC_SIGNAL], number, sizeof(number));
	number_text(u->values[METRIC_PID], pid, sizeof(pid));
	number_text(u->values[METRIC_RESTARTS], restarts, sizeof(restarts));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (*fields[i].value)
			fields[r.n_fields++] = fields[i];
	/* -ENOSPC in a storm: what was dropped is counted and said by the host */
	s->h->record(s->h, &r);
}

/* Why it ended, in words */
static void why_text(const struct unit *u, char *text, size_t size)
{
	const char *result = word(result_words, u->values[METRIC_RESULT]);
	const char *name;

	if (u->values[METRIC_RESULT] == RESULT_START_LIMIT) {
		snprintf(text, size, "it was started too often in a short time (start limit)");
	} else if (u->values[METRIC_SIGNAL] > 0) {
		name = sigabbrev_np((int)u->values[METRIC_SIGNAL]);
		snprintf(text, size, "signal %.0f%s%s%s", u->values[METRIC_SIGNAL], name ? " (SIG" : "", name ? name : "", name ? ")" : "");
		if (u->values[METRIC_RESULT] != RESULT_SIGNAL && *result && strcmp(result, "success") != 0)
			snprintf(text + strlen(text), size - strlen(text), ", %s", result);
	} else if (u->values[METRIC_EXIT_STATUS] > 0) {
		snprintf(text, size, "exit status %.0f", u->values[METRIC_EXIT_STATUS]);
		if (u->values[METRIC_RESULT] > RESULT_EXIT_CODE)
			snprintf(text + strlen(text), size - strlen(text), ", %s", result);
	} else {
		snprintf(text, size, "%s", *result ? result : "for a reason that is not known");
	}
}

/* It failed without having run again: systemd did not start it any more, though the result is still that of its last run. */
static bool hit_limit(const struct unit *u)
{
	return u->values[METRIC_RESULT] == RESULT_START_LIMIT || (u->restarting && u->exec_pid == u->restart_pid);
}

static void tell_failed(struct service *s, const struct unit *u)
{
	char text[NAME_MAX_LENGTH + 260], why[128];
	bool limit = hit_limit(u);

	why_text(u, why, sizeof(why));
	snprintf(text, sizeof(text), "%s failed: %s%s", u->name, why, limit && u->values[METRIC_RESULT] != RESULT_START_LIMIT ?
	         "; it is not started again, since it was too often in a short time (start limit)" : "");
	unit_record(s, u, KITH_ERR, limit ? "start_limit" : "crash", text);
}

static void tell_state(struct service *s, const struct unit *u, double was)
{
	double now = u->values[METRIC_STATE];
	char text[NAME_MAX_LENGTH + 200];

	if (now == STATE_FAILED) {
		tell_failed(s, u);
	} else if (now == STATE_INACTIVE && was != STATE_FAILED && !u->restarting) {
		bool ran = was == STATE_ACTIVATING && u->values[METRIC_RESULT] == RESULT_SUCCESS && u->said_sub != SUB_AUTO_RESTART;

		snprintf(text, sizeof(text), "%s %s", u->name, ran ? "ran and ended well" : "stopped");
		unit_record(s, u, KITH_INFO, ran ? "end" : "stop", text);
	} else if (now == STATE_ACTIVE && (was == STATE_INACTIVE || was == STATE_ACTIVATING || was == STATE_FAILED)) {
		snprintf(text, sizeof(text), "%s started", u->name);
		unit_record(s, u, KITH_INFO, "start", text);
	}
}

/* systemd passes through "failed" on the way to the next start: then it has been told already */
static void tell_crash(struct service *s, const struct unit *u)
{
	char text[NAME_MAX_LENGTH + 200], why[128];
	bool clean = u->values[METRIC_RESULT] == RESULT_SUCCESS;

	if (u->said_state == STATE_FAILED)
		return;
	why_text(u, why, sizeof(why));
	snprintf(text, sizeof(text), "%s ended by itself: %s; %s starts it again", u->name, clean ? "without an error" : why, by[u->supervisor]);
	unit_record(s, u, KITH_WARNING, clean ? "exit" : "crash", text);
}

static void tell_restart(struct service *s, struct unit *u)
{
	double restarts = u->values[METRIC_RESTARTS];
	char text[NAME_MAX_LENGTH + 80];

	u->restarting = true;
	u->restart_pid = u->said_exec_pid;
	if (u->values[METRIC_STATE] == STATE_FAILED)
		return;
	snprintf(text, sizeof(text), "%s is started again by %s, %.0f restart%s up to now", u->name, by[u->supervisor], restarts,
	         restarts == 1 ? "" : "s");
	unit_record(s, u, KITH_NOTICE, "restart", text);
}

void unit_passed(struct service *s, struct unit *u)
{
	bool well = isnan(u->values[METRIC_RESULT]) || u->values[METRIC_RESULT] == RESULT_SUCCESS;
	char text[NAME_MAX_LENGTH + 200], why[128];

	why_text(u, why, sizeof(why));
	snprintf(text, sizeof(text), "%s %s%s", u->name, well ? "ran and ended well" : "failed: ", well ? "" : why);
	unit_record(s, u, well ? KITH_INFO : KITH_ERR, well ? "end" : "crash", text);
	unit_drop(s, u);
}

void unit_tell(struct service *s, struct unit *u)
{
	double was = u->said_state;

	if (!isnan(was) && u->id != KITH_ID_NONE) {
		if (u->values[METRIC_SUBSTATE] == SUB_AUTO_RESTART && u->said_sub != SUB_AUTO_RESTART)
			tell_crash(s, u);
		if (u->values[METRIC_RESTARTS] > u->said_restarts) /* false with a NAN */
			tell_restart(s, u);
		if (was != u->values[METRIC_STATE])
			tell_state(s, u, was);
	}
	if (u->values[METRIC_STATE] == STATE_ACTIVE || u->values[METRIC_STATE] == STATE_FAILED)
		u->restarting = false;
	u->said_state = u->values[METRIC_STATE];
	u->said_sub = u->values[METRIC_SUBSTATE];
	u->said_restarts = u->values[METRIC_RESTARTS];
	u->said_exec_pid = u->exec_pid;
}

void service_note(struct service *s)
{
	char text[420];

	snprintf(text, sizeof(text), "%s%s%s", s->systemd_note, *s->systemd_note && *s->scan_note ? "; " : "", s->scan_note);
	s->h->note(s->h, *text ? text : NULL);
}
