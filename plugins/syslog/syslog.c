/* syslog: takes in what programs and other hosts log, on request. See README. */
#include "syslog/syslog.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SOURCES_MAX 1024
#define PUBLISH_EVERY NS_PER_S
#define SAY_EVERY (10 * NS_PER_S)   /* what was dropped of each source */
#define RETRY_EVERY (10 * NS_PER_S) /* of a socket that could not be opened */
#define HURRY_MAX 5                 /* openings at once of a socket whose file was removed, in that time: who always removes it does not keep kithd busy */
#define FACILITY_USER 1

#define E KITH_METRIC_EVENT
static const struct kith_metric metrics[N_METRICS] = {
	[RECEIVED] = { "received", "lines", "lines that came", NULL, KITH_COUNTER, E },
	[DROPPED] = { "dropped", "lines", "of those, lines beyond their source's rate", NULL, KITH_COUNTER, E },
	[MALFORMED] = { "malformed", "lines", "lines that began as something they are not", NULL, KITH_COUNTER, E },
	[BYTES] = { "bytes", "B", "bytes of the lines that came", NULL, KITH_COUNTER, E },
	[LOST] = { "lost", "lines", "lines that the kernel dropped as they were not read in time", NULL, KITH_COUNTER, E },
	[CLIENTS] = { "clients", "clients", "TCP connections", NULL, KITH_GAUGE, E },
};
#undef E

static const struct kith_family families[] = {
	[FAMILY_SYSLOG] = { KITH_FAMILY_INIT, "syslog", "Lines of syslog's that came in", "socket", metrics, N_METRICS, 0 },
};

static const struct kith_option options[] = {
	{ "sockets", NULL, "Unix sockets to make for programs of this host: /dev/log", 0, 0, KITH_OPTION_LIST, 0 },
	{ "udp", NULL, "addresses to listen on: 127.0.0.1:514, [::1]:514, *:514", 0, 0, KITH_OPTION_LIST, 0 },
	{ "tcp", NULL, "the same", 0, 0, KITH_OPTION_LIST, 0 },
	{ "rate", "10000", "lines a second of one source, over time", 1, 1e7, KITH_OPTION_NUMBER, 0 },
	{ "burst", "50000", "lines of one source at once", 1, 1e7, KITH_OPTION_NUMBER, 0 },
	{ "max_skew", "1d", "a line's own time that is further from now than this is not believed; 0s: none is", 0, 1e9, KITH_OPTION_DURATION, 0 },
	{ "idle", "1d", "a TCP client that is silent for so long is closed", 60, 1e9, KITH_OPTION_DURATION, 0 },
};

/* A source's texts, in limit_source.note: made when it is new */
union texts {
	uint32_t note[16];
	struct {
		char from[INET6_ADDRSTRLEN + 2]; /* "" of a process, or of this host's own address */
		bool made;
	} address;
	struct {
		char pid[12], uid[12];
		bool made;
	} process;
};
_Static_assert(sizeof(union texts) == sizeof(((struct limit_source *)0)->note), "a source's texts have room");

int64_t mono_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* ---- sources --------------------------------------------------------------------------------------------------------- */

static union texts *texts_of(struct limit_source *source)
{
	return (union texts *)(void *)source->note;
}

struct limit_source *source_of_process(struct syslog *s, pid_t pid, uid_t uid)
{
	const struct limit_key key = { { 1, (uint64_t)(uint32_t)pid, uid } };
	struct limit_source *source = limits_find(s->limits, &key, s->mono);
	union texts *t = texts_of(source);

	if (!t->process.made || source->shared) {
		snprintf(t->process.pid, sizeof(t->process.pid), "%d", (int)pid);
		snprintf(t->process.uid, sizeof(t->process.uid), "%u", (unsigned)uid);
		t->process.made = true;
	}
	return source;
}

struct limit_source *source_of_address(struct syslog *s, const union address *from)
{
	struct limit_key key = { { 2, 0, 0 } };
	struct limit_source *source;
	union texts *t;

	if (from->any.sa_family == AF_INET) {
		key.part[1] = from->v4.sin_addr.s_addr;
	} else if (from->any.sa_family == AF_INET6) {
		key.part[0] = 3;
		memcpy(&key.part[1], &from->v6.sin6_addr, 16);
	}
	source = limits_find(s->limits, &key, s->mono);
	t = texts_of(source);
	if (!t->address.made || source->shared) {
		address_text(from, t->address.from);
		t->address.made = true;
	}
	return source;
}

static void say_dropped(const struct limit_source *source, void *user)
{
	struct syslog *s = user;
	const union texts *t = (const union texts *)(const void *)source->note;
	char message[240], who[128], dropped[24];
	struct kith_field fields[] = { { "source", who }, { "dropped", dropped } };
	struct kith_record r = { .size = sizeof(r), .priority = KITH_WARNING, .subject = "syslog:dropped", .message = message, .fields = fields,
		                 .n_fields = KITH_COUNT(fields) };

	if (source->shared)
		strcpy(who, "others");
	else if (source->key.part[0] == 1)
		snprintf(who, sizeof(who), "process %s of user %s", t->process.pid, t->process.uid);
	else
		snprintf(who, sizeof(who), "%s", t->address.from);
	snprintf(dropped, sizeof(dropped), "%llu", (unsigned long long)source->dropped);
	snprintf(message, sizeof(message), "%s lines of %s were dropped: more than %.0f a second", dropped, who,
	         s->h->option_number(s->h, "rate"));
	s->h->record(s->h, &r);
}

/* ---- lines ------------------------------------------------------------------------------------------------------------ */

/* Whatever a message says of itself: what the kernel says of its sender */
static void add_origin(struct syslog *s, const struct origin *o)
{
	union texts *t = texts_of(o->source);

	if (o->listener->kind != LISTENER_UNIX) {
		if (*t->address.from)
			entry_add(&s->entry, "from", t->address.from);
		return;
	}
	if (o->has_pid)
		entry_add(&s->entry, !*s->line.pid ? "pid" : "sender", t->process.pid);
	if (o->has_pid)
		entry_add(&s->entry, "uid", t->process.uid);
}

void line_arrives(struct syslog *s, const struct origin *o, char *text, size_t length)
{
	struct listener *l = o->listener;
	char cut[24];

	l->changed = true;
	l->counts[RECEIVED]++;
	l->counts[BYTES] += (double)(o->whole ? o->whole : length);
	if (!limits_take(s->limits, o->source, s->mono)) {
		l->counts[DROPPED]++;
		return;
	}
	line_parse(text, length, l->kind == LISTENER_UNIX ? LINE_LOCAL : 0, &s->clock, &s->line);
	l->counts[MALFORMED] += s->line.malformed;
	/* Without a priority it is user.notice (RFC 3164, 4.3.3). */
	if (s->line.facility == LINE_NONE)
		s->line.facility = FACILITY_USER;
	entry_fill(&s->entry, &s->line, s->clock.now, KITH_NOTICE, NULL);
	add_origin(s, o);
	if (o->cut) {
		snprintf(cut, sizeof(cut), o->whole ? "%zu" : "yes", o->whole);
		entry_add(&s->entry, "cut", cut);
	}
	s->h->record(s->h, &s->entry.record);
}

/* ---- counts ----------------------------------------------------------------------------------------------------------- */

/* What the kernel dropped of a socket's, all in all */
static double kernel_drops(const struct listener *l)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t length = sizeof(info);

	if (l->fd < 0 || getsockopt(l->fd, SOL_SOCKET, SO_MEMINFO, info, &length) < 0)
		return 0;
	return info[SK_MEMINFO_DROPS];
}

static void publish(struct syslog *s)
{
	s->published = s->mono;
	for (size_t i = 0; i < s->n_listeners; i++) {
		struct listener *l = &s->listeners[i];
		double lost = l->kind == LISTENER_UDP ? kernel_drops(l) : 0;

		if (!l->changed && lost <= l->counts[LOST])
			continue;
		l->changed = false;
		if (lost > l->counts[LOST])
			l->counts[LOST] = lost;
		s->h->put_all(s->h, l->id, l->counts, N_METRICS);
	}
}

static int on_publish(void *user)
{
	struct syslog *s = user;

	s->publish_timer = NULL;
	s->mono = mono_now();
	publish(s);
	return 0;
}

static int on_say(void *user)
{
	struct syslog *s = user;

	s->say_timer = NULL;
	limits_say(s->limits);
	return 0;
}

void batch_begins(struct syslog *s)
{
	s->mono = mono_now();
	s->clock.now = s->h->now(s->h);
}

void batch_ends(struct syslog *s)
{
	if (s->mono - s->published >= PUBLISH_EVERY)
		publish(s);
	else if (!s->publish_timer)
		s->h->watch_timer(s->h, PUBLISH_EVERY, 0, PUBLISH_EVERY / 10, on_publish, s, &s->publish_timer);
	if (!s->say_timer && limits_dropped(s->limits))
		s->h->watch_timer(s->h, SAY_EVERY, 0, NS_PER_S, on_say, s, &s->say_timer);
}

/* ---- its life ---------------------------------------------------------------------------------------------------------- */

static int on_retry(void *user);

/* What is not open, `but` excepted: said, and tried again later where it cannot be */
static void open_all(struct syslog *s, const struct listener *but)
{
	char note[400];
	size_t failed = 0, first = 0;

	for (size_t i = 0; i < s->n_listeners; i++) {
		struct listener *l = &s->listeners[i];

		if (l->fd < 0 && (l == but || listener_open(l) < 0) && !failed++)
			first = i;
	}
	snprintf(note, sizeof(note), "%s: %s; tried again every %d s", s->listeners[first].name,
	         s->listeners[first].error == EADDRINUSE ? "somebody else listens there" : strerror(s->listeners[first].error),
	         (int)(RETRY_EVERY / NS_PER_S));
	s->h->note(s->h, failed ? note : NULL);
	if (failed && !s->retry_timer)
		s->h->watch_timer(s->h, RETRY_EVERY, 0, RETRY_EVERY / 2, on_retry, s, &s->retry_timer);
}

static int on_retry(void *user)
{
	struct syslog *s = user;

	s->retry_timer = NULL;
	open_all(s, NULL);
	return 0;
}

static bool may_hurry(struct listener *l)
{
	int64_t mono = mono_now();

	if (mono - l->hurry_from > RETRY_EVERY) {
		l->hurry_from = mono;
		l->hurry = 0;
	}
	return l->hurry++ < HURRY_MAX;
}

/* Its file was removed, or replaced by another's: made again at once, or when that is gone. */
static void look_at_path(struct listener *l, bool removed)
{
	struct syslog *s = l->s;
	bool lost = listener_lost(l);

	/* Only what stood in its way and may be gone now is a reason to try again earlier. */
	if (!lost && (!removed || l->fd >= 0 || (l->error != EADDRINUSE && l->error != EEXIST)))
		return;
	if (lost)
		l->error = ENOENT;
	open_all(s, may_hurry(l) ? NULL : l);
	if (lost)
		s->h->log(s->h, KITH_NOTICE, "%s: its file was removed or replaced: %s", l->name,
		          l->fd >= 0 ? "made again" : l->error == EADDRINUSE ? "somebody else listens there" : strerror(l->error));
}

static int on_path(const struct kith_file_event *event, void *user)
{
	look_at_path(user, event->what & KITH_FILE_REMOVED);
	return 0;
}

static int syslog_resync(void *state)
{
	struct syslog *s = state;

	for (size_t i = 0; i < s->n_listeners; i++)
		look_at_path(&s->listeners[i], true);
	return 0;
}

static void watch_paths(struct syslog *s)
{
	for (size_t i = 0; i < s->n_listeners; i++) {
		int r = listener_watch_path(&s->listeners[i], on_path);

		if (r < 0)
			s->h->log(s->h, KITH_WARNING, "%s: if its file is removed that will not be noticed: %s", s->listeners[i].name, strerror(-r));
	}
}

static int add_listeners(struct syslog *s, enum listener_kind kind, const char *option)
{
	const char *const *list = NULL;
	size_t n = s->h->option_list(s->h, option, &list);
	char note[400];

	for (size_t i = 0; i < n; i++) {
		struct listener *l = &s->listeners[s->n_listeners];

		l->s = s;
		if (listener_parse(l, kind, list[i]) < 0) {
			snprintf(note, sizeof(note), kind == LISTENER_UNIX ? "sockets: \"%.100s\" is no absolute path, or too long"
			                                                   : "%2$s: \"%1$.100s\" is no address with a port: 127.0.0.1:514, [::1]:514",
			         list[i], option);
			s->h->note(s->h, note);
			return -EINVAL;
		}
		if (s->h->series(s->h, FAMILY_SYSLOG, l->name, &l->id) < 0)
			return -ENOMEM;
		s->n_listeners++;
	}
	return 0;
}

static size_t count_listeners(const struct kith_host *h)
{
	const char *const *list;

	return h->option_list(h, "sockets", &list) + h->option_list(h, "udp", &list) + h->option_list(h, "tcp", &list);
}

static void syslog_free(struct syslog *s)
{
	for (size_t i = 0; i < s->n_listeners; i++)
		listener_close(&s->listeners[i]);
	free(s->listeners);
	free(s->batch);
	free(s->stream);
	limits_free(s->limits);
	free(s);
}

/* What was sent before the end is taken, too. */
static void syslog_fini(void *state)
{
	struct syslog *s = state;

	for (size_t i = 0; i < s->n_listeners; i++)
		listener_drain(&s->listeners[i]);
	clients_close(s);
	if (s->limits)
		limits_say(s->limits);
	publish(s);
	syslog_free(s);
}

static int syslog_begin(struct syslog *s)
{
	const struct kith_host *h = s->h;
	bool datagrams = false, streams = false;
	int r;

	if ((r = add_listeners(s, LISTENER_UNIX, "sockets")) < 0 || (r = add_listeners(s, LISTENER_UDP, "udp")) < 0 ||
	    (r = add_listeners(s, LISTENER_TCP, "tcp")) < 0)
		return r;
	for (size_t i = 0; i < s->n_listeners; i++) {
		datagrams |= s->listeners[i].kind != LISTENER_TCP;
		streams |= s->listeners[i].kind == LISTENER_TCP;
	}
	s->limits = limits_new(SOURCES_MAX, h->option_number(h, "rate"), h->option_number(h, "burst"), say_dropped, s);
	if (!s->limits || (datagrams && batch_new(&s->batch) < 0))
		return -ENOMEM;
	if (streams && !(s->stream = malloc(STREAM_BUFFER)))
		return -ENOMEM;
	entry_init(&s->entry, (int64_t)(h->option_number(h, "max_skew") * (double)NS_PER_S));
	s->idle = (int64_t)(h->option_number(h, "idle") * (double)NS_PER_S);
	batch_begins(s);
	watch_paths(s);
	open_all(s, NULL);
	return 0;
}

static int syslog_init(const struct kith_host *h, void **ret_state)
{
	size_t n = count_listeners(h);
	struct syslog *s;
	int r;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->h = h;
	/* It runs all the same, so that promises know its family. */
	if (!n) {
		h->note(h, "no socket is asked for: sockets, udp and tcp are empty");
		*ret_state = s;
		return 0;
	}
	s->listeners = calloc(n, sizeof(*s->listeners));
	r = s->listeners ? syslog_begin(s) : -ENOMEM;
	if (r < 0) {
		syslog_free(s);
		return r;
	}
	for (size_t i = 0; i < n; i++)
		s->listeners[i].changed = true;
	publish(s);
	*ret_state = s;
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "syslog",
	.version = "1",
	.help = "syslog: lines of programs and other hosts, from /dev/log, UDP and TCP",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_LOGS | KITH_PROVIDES_RESYNC,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = syslog_init,
	.fini = syslog_fini,
	.resync = syslog_resync,
	.hears = "the sockets that its options name",
	.costs = "nothing while nobody logs; 3 us a line with the kernel's part",
};
