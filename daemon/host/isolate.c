/*
 * An isolated plugin, as kithd sees it: a proxy that declares the families, makes the instances and puts the samples which a child process
 * reports. The plugin's file is never opened here. What the child sends is checked before it counts: a child that sends what it must
 * not is killed, and started again later, like one that crashed.
 */
#define HASH_NONFATAL_OOM 1
#include "host/isolate.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/wire.h"

#define AGAIN_FIRST NS_PER_S
#define AGAIN_MAX (600 * NS_PER_S)
#define RAN_WELL (60 * NS_PER_S)    /* after which the next end is the first again */
#define SILENT_MIN (10 * NS_PER_S)  /* without a sign of life: hung */
#define BATCH 32                    /* datagrams that are read in one go, before others have their turn */
#define REST_MAX 4096               /* datagrams that are still read of one that ended */
#define OUT_MAX (1u << 20)          /* bytes that wait for a child which does not read */
#define AHEAD_MAX NS_PER_S          /* a sample from further ahead is of now */
#define DROPPED_EVERY NS_PER_S

struct isolate_family {
	struct isolate *isolate;
	uint32_t number;
};

struct isolate_instance {
	UT_hash_handle hh; /* by theirs */
	uint32_t theirs;   /* id in the child */
	kith_id ours;
	uint32_t n_metrics;
};

struct isolate_cost {
	uint64_t calls, cpu_ns, failures;
	int64_t allocations;
	uint64_t dropped;
};

struct isolate {
	struct plugin *plugin;
	struct isolate_child *child;  /* NULL: none runs */
	int fd;
	struct kith_watch *socket;    /* of the plugin, like any other: reading is accounted for, and slowed */
	struct loop_watch *again, *check;
	int64_t delay, started, heard; /* mono ns but the first */
	bool hello;
	bool final;                   /* refused, skipped or stopped: not started again */
	bool deaf;                    /* nothing that comes counts any more */
	char *why;                    /* why it was killed */
	char *version;
	struct isolate_family *families[WIRE_FAMILIES_MAX];
	struct isolate_instance *instances;
	struct buf out;               /* whole messages */
	struct isolate_cost cost;     /* as reported last by this process */
	uint64_t dropped;             /* not yet said */
	int64_t dropped_said;
};

static int64_t isolate_limit(const struct plugin *p)
{
	return 3 * p->interval > SILENT_MIN ? 3 * p->interval : SILENT_MIN;
}

/* It goes too far: killed, with the reason shown once it has ended. */
static void isolate_kill(struct isolate *i, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void isolate_kill(struct isolate *i, const char *format, ...)
{
	struct buf b = BUF_INIT;
	va_list args;

	if (i->deaf || !i->child)
		return;
	va_start(args, format);
	buf_vprintf(&b, format, args);
	va_end(args);
	free(i->why);
	i->why = buf_take(&b);
	i->deaf = true;
	i->plugin->account.failures++;
	isolate_child_kill(i->child);
}

static void isolate_refuse(struct isolate *i, const char *text, const char *name)
{
	struct plugin *p = i->plugin;

	plugin_set_reason(p, "its family %s %s", name, text);
	p->state = HOST_REFUSED;
	plugin_say(p, KITH_WARNING, "%s: %s (%s)", host_state_name(p->state), p->reason, p->path);
	i->deaf = i->final = true;
	isolate_child_end(i->child);
}

/* ---- to the child ----------------------------------------------------------------------------------------------- */

static void isolate_listen(struct isolate *i, uint32_t events)
{
	struct kith_watch *w = i->socket;

	if (!w || w->events == events)
		return;
	w->events = events;
	if (!w->retry_at)
		loop_fd_set(i->plugin->host->parts.loop, w->on.loop, events);
}

static void out_done(struct isolate *i)
{
	if (i->out.failed || i->out.length > OUT_MAX)
		isolate_kill(i, "does not take what it is sent");
	isolate_listen(i, LOOP_READ | LOOP_WRITE);
}

static int wanted_cb(const char *instance, int wanted, void *user)
{
	struct isolate_family *f = user;
	struct buf *out = &f->isolate->out;
	size_t at = wire_begin(out, WIRE_WANT);

	wire_put_u32(out, f->number);
	wire_put_u32(out, wanted != 0);
	wire_put_text(out, instance, NAME_INSTANCE_MAX);
	wire_end(out, at);
	out_done(f->isolate);
	return 0;
}

/* As many whole messages as fit a datagram */
static size_t out_cut(const struct buf *out)
{
	size_t at = 0;
	uint32_t size;

	while (at < out->length) {
		memcpy(&size, out->data + at, sizeof(size));
		if (at + size > WIRE_DATAGRAM_MAX)
			break;
		at += size;
	}
	return at;
}

static void isolate_send(struct isolate *i)
{
	while (i->out.length && !i->out.failed) {
		size_t n = out_cut(&i->out);

		if (send(i->fd, i->out.data, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN)
				return;
			buf_reset(&i->out); /* it ends, which is told elsewhere */
			break;
		}
		memmove(i->out.data, i->out.data + n, i->out.length - n);
		i->out.length -= n;
	}
	isolate_listen(i, LOOP_READ);
}

/* ---- from the child --------------------------------------------------------------------------------------------- */

static int64_t isolate_time(const struct isolate *i, int64_t time)
{
	int64_t now = model_now(i->plugin->host->parts.model);

	return time > now + AHEAD_MAX ? now : time;
}

static void on_hello(struct isolate *i, struct wire_in *in)
{
	uint32_t magic = wire_u32(in), version = wire_u32(in);

	if (i->hello || magic != WIRE_MAGIC || version != WIRE_VERSION)
		in->bad = true;
	i->hello = true;
}

/* What is wanted of this family is told to the child, from now on. */
static int isolate_wants(struct isolate *i, uint32_t family)
{
	struct isolate_family *f = malloc(sizeof(*f));

	if (!f)
		return -ENOMEM;
	*f = (struct isolate_family){ i, family };
	i->families[family] = f;
	return watch_add_wanted(&i->plugin->table, family, wanted_cb, f, NULL);
}

static void on_family(struct isolate *i, struct wire_in *in)
{
	struct plugin *p = i->plugin;
	uint32_t number = wire_u32(in), ours;
	struct wire_family f;
	int r;

	if (number != p->n_families || number >= WIRE_FAMILIES_MAX) {
		in->bad = true;
		return;
	}
	r = wire_family(in, &f);
	if (r == 0)
		r = plugin_declare(p, &f.family, &ours);
	if (r == -EEXIST)
		isolate_refuse(i, "is another plugin's already", f.family.name);
	else if (r == -ENOMEM)
		isolate_kill(i, "there is no memory for its families");
	else if (r < 0)
		in->bad = true;
	if (r == 0 && isolate_wants(i, ours) < 0)
		isolate_kill(i, "there is no memory for its families");
	if (r != -EBADMSG)
		wire_family_free(&f);
}

static void on_begin(struct isolate *i, struct wire_in *in)
{
	struct plugin *p = i->plugin;
	uint32_t family = wire_u32(in), theirs = wire_u32(in);
	const char *name = wire_text(in);
	struct isolate_instance *instance;
	kith_id ours = KITH_ID_NONE;
	int r;

	HASH_FIND(hh, i->instances, &theirs, sizeof(theirs), instance);
	if (in->bad || instance || family >= p->n_families) {
		in->bad = true;
		return;
	}
	r = p->table.series(&p->table, family, name, &ours);
	if (r == -ENOSPC)
		return; /* said by the table; its samples go nowhere */
	if (r == -EINVAL) {
		in->bad = true;
		return;
	}
	instance = r < 0 ? NULL : calloc(1, sizeof(*instance));
	if (!instance) {
		isolate_kill(i, "there is no memory for its instances");
		return;
	}
	instance->theirs = theirs;
	instance->ours = ours;
	instance->n_metrics = p->families[family]->n_metrics;
	HASH_ADD(hh, i->instances, theirs, sizeof(theirs), instance);
	if (!instance->hh.tbl) {
		free(instance);
		isolate_kill(i, "there is no memory for its instances");
	}
}

static void on_end(struct isolate *i, struct wire_in *in)
{
	uint32_t theirs = wire_u32(in);
	struct isolate_instance *instance;

	HASH_FIND(hh, i->instances, &theirs, sizeof(theirs), instance);
	if (!instance)
		return;
	i->plugin->table.end(&i->plugin->table, instance->ours);
	HASH_DEL(i->instances, instance);
	free(instance);
}

static void on_samples(struct isolate *i, struct wire_in *in)
{
	struct model *model = i->plugin->host->parts.model;
	struct isolate_instance *instance = NULL;

	if (in->left % WIRE_SAMPLE_SIZE)
		in->bad = true;
	while (!in->bad && in->left) {
		uint32_t theirs = wire_u32(in), metric = wire_u32(in);
		double value = wire_f64(in);
		int64_t time = (int64_t)wire_u64(in);

		/* The metrics of an instance come in a row. */
		if (!instance || instance->theirs != theirs)
			HASH_FIND(hh, i->instances, &theirs, sizeof(theirs), instance);
		if (!instance)
			continue; /* beyond the cap of instances */
		if (metric >= instance->n_metrics || time <= 0 ||
		    model_put(model, &i->plugin->owner, instance->ours + metric, value, isolate_time(i, time)) == -EDOM)
			in->bad = true;
	}
}

static void on_record(struct isolate *i, struct wire_in *in)
{
	struct plugin *p = i->plugin;
	struct wire_record r;

	wire_record(in, &r);
	if (in->bad || r.record.time <= 0) {
		in->bad = true;
		return;
	}
	r.record.time = isolate_time(i, r.record.time);
	table_record(p, &r.record, r.record.flags & KITH_RECORD_LOG);
}

static void isolate_note(struct isolate *i, const char *text)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, *text ? "%s (isolated, pid %d)" : "%sisolated, pid %d", text, (int)i->child->pid);
	free(i->plugin->note);
	i->plugin->note = buf_take(&b);
}

static void on_state(struct isolate *i, struct wire_in *in)
{
	struct plugin *p = i->plugin;
	uint32_t state = wire_u32(in);
	const char *version = wire_text(in), *reason = wire_text(in);
	char *copy;

	if (in->bad || state > HOST_STOPPED) {
		in->bad = true;
		return;
	}
	copy = strdup(version);
	if (copy) {
		free(i->version);
		i->version = copy;
		p->d.version = copy;
	}
	i->final = state == HOST_REFUSED || state == HOST_SKIPPED || state == HOST_STOPPED;
	if (i->final) {
		p->state = (enum host_state)state;
		plugin_set_reason(p, "%s", reason);
		i->deaf = true;
		return;
	}
	if (!i->child)
		return;
	isolate_note(i, reason);
	/* Slowed for what it costs here: that stands until account.c takes it back. */
	if (p->account.slowed)
		return;
	p->state = (enum host_state)state;
	plugin_clear_reason(p);
}

static void on_cost(struct isolate *i, struct wire_in *in)
{
	struct account *a = &i->plugin->account;
	struct isolate_cost c, *o = &i->cost;

	c.calls = wire_u64(in);
	c.cpu_ns = wire_u64(in);
	c.failures = wire_u64(in);
	c.allocations = (int64_t)wire_u64(in);
	c.dropped = wire_u64(in);
	if (in->bad || c.calls < o->calls || c.cpu_ns < o->cpu_ns || c.failures < o->failures || c.dropped < o->dropped) {
		in->bad = true;
		return;
	}
	a->calls += c.calls - o->calls;
	a->cpu_ns += c.cpu_ns - o->cpu_ns;
	a->failures += c.failures - o->failures;
	if (c.allocations > o->allocations)
		a->allocations += c.allocations - o->allocations;
	i->dropped += c.dropped - o->dropped;
	*o = c;
	if (i->dropped && clock_mono() - i->dropped_said >= DROPPED_EVERY) {
		plugin_say(i->plugin, KITH_WARNING, "its process sent faster than it could be read: %llu samples or records were dropped",
		           (unsigned long long)i->dropped);
		i->dropped = 0;
		i->dropped_said = clock_mono();
	}
}

static void on_message(struct isolate *i, enum wire_type type, struct wire_in *in)
{
	if (!i->hello && type != WIRE_HELLO) {
		in->bad = true;
		return;
	}
	switch (type) {
	case WIRE_HELLO:
		on_hello(i, in);
		return;
	case WIRE_FAMILY:
		on_family(i, in);
		return;
	case WIRE_BEGIN:
		on_begin(i, in);
		return;
	case WIRE_END:
		on_end(i, in);
		return;
	case WIRE_SAMPLES:
		on_samples(i, in);
		return;
	case WIRE_RECORD:
		on_record(i, in);
		return;
	case WIRE_STATE:
		on_state(i, in);
		return;
	case WIRE_COST:
		on_cost(i, in);
		return;
	case WIRE_ALIVE:
		return;
	case WIRE_WANT:
	case WIRE_SETTLE:
		break;
	}
	in->bad = true;
}

static void on_datagram(struct isolate *i, const unsigned char *data, size_t n)
{
	struct wire_in in = { data, n, false }, message;
	uint32_t type;

	i->heard = clock_mono();
	while (!i->deaf && wire_next(&in, &type, &message)) {
		on_message(i, (enum wire_type)type, &message);
		/* What is left over is as wrong as what is missing. */
		if (!i->deaf && (message.bad || message.left))
			isolate_kill(i, "killed: it sent what it must not (a message of type %u); its memory must be damaged", type);
	}
	if (in.bad)
		isolate_kill(i, "killed: it sent what it must not (a torn message); its memory must be damaged");
}

/* Reads at most `max` datagrams; false: there will be no more. */
static bool isolate_receive(struct isolate *i, unsigned max)
{
	unsigned char **buffer = &i->plugin->host->datagram;

	if (!*buffer)
		*buffer = malloc(WIRE_DATAGRAM_MAX);
	if (!*buffer)
		return true;
	for (unsigned k = 0; k < max; k++) {
		ssize_t n = recv(i->fd, *buffer, WIRE_DATAGRAM_MAX, MSG_DONTWAIT | MSG_TRUNC);

		/* ECONNRESET, once: it ended without having read all; what it sent before is still to come. */
		if (n < 0 && (errno == EINTR || errno == ECONNRESET))
			continue;
		if (n < 0)
			return errno == EAGAIN;
		if (n == 0)
			return false;
		if ((size_t)n > WIRE_DATAGRAM_MAX)
			isolate_kill(i, "killed: it sent what it must not (%zd bytes at once); its memory must be damaged", n);
		if (!i->deaf)
			on_datagram(i, *buffer, (size_t)n);
	}
	return true;
}

static int socket_cb(int fd, uint32_t events, void *user)
{
	struct isolate *i = user;

	(void)fd;
	if (events & LOOP_WRITE)
		isolate_send(i);
	if ((events & LOOP_READ) && !isolate_receive(i, BATCH)) {
		/* It closed its end: it ends, or is made to. */
		isolate_listen(i, 0);
		if (i->child)
			isolate_child_end(i->child);
	}
	return 0;
}

/* ---- its life --------------------------------------------------------------------------------------------------- */

static void check_cb(void *user)
{
	struct isolate *i = user;
	int64_t limit = isolate_limit(i->plugin);
	struct pollfd p = { .fd = i->fd, .events = POLLIN };

	if (i->child && clock_mono() - i->heard > limit) {
		/* Perhaps it is we who did not read. */
		if (poll(&p, 1, 0) > 0 && (p.revents & POLLIN) && !i->deaf)
			i->heard = clock_mono();
		else
			isolate_kill(i, "killed: no sign of life for %d s, one of its callbacks does not return", (int)(limit / NS_PER_S));
	}
	loop_timer_set(i->plugin->host->parts.loop, i->check, limit / 4);
}

/* All that the process stood for goes: families, instances, the socket. */
static void isolate_clear(struct isolate *i)
{
	struct isolate_instance *instance, *next;

	i->socket = NULL;
	plugin_release(i->plugin);
	if (i->fd >= 0)
		close(i->fd);
	i->fd = -1;
	HASH_ITER(hh, i->instances, instance, next) {
		HASH_DEL(i->instances, instance);
		free(instance);
	}
	for (size_t k = 0; k < WIRE_FAMILIES_MAX; k++) {
		free(i->families[k]);
		i->families[k] = NULL;
	}
	buf_free(&i->out);
	i->cost = (struct isolate_cost){ 0 };
	i->hello = i->deaf = false;
	loop_timer_set(i->plugin->host->parts.loop, i->check, -1);
}

/* Not again at once, and ever later */
static void isolate_back_off(struct isolate *i, const char *what)
{
	struct plugin *p = i->plugin;

	if (clock_mono() - i->started >= RAN_WELL)
		i->delay = 0;
	i->delay = !i->delay ? AGAIN_FIRST : i->delay * 2 < AGAIN_MAX ? i->delay * 2 : AGAIN_MAX;
	p->state = HOST_BACKED_OFF;
	p->account.slowed = false;
	p->account.strikes = 0;
	plugin_set_reason(p, "its process %s; it is started again in %d s (isolated)", what, (int)(i->delay / NS_PER_S));
	plugin_say(p, KITH_WARNING, "%s", p->reason);
	loop_timer_set(p->host->parts.loop, i->again, i->delay);
}

static void isolate_launch(struct isolate *i)
{
	struct plugin *p = i->plugin;
	struct buf b = BUF_INIT;
	size_t at;
	int r;

	i->started = i->heard = clock_mono();
	r = isolate_child_start(i, p, &i->child, &i->fd);
	if (r == 0)
		r = watch_add_fd(&p->table, i->fd, KITH_READ, socket_cb, i, &i->socket);
	if (r < 0) {
		if (i->child)
			isolate_child_let_go(i->child);
		i->child = NULL;
		buf_printf(&b, "cannot be started: %s", strerror(-r));
		isolate_clear(i);
		isolate_back_off(i, buf_text(&b));
		buf_free(&b);
		return;
	}
	p->state = HOST_BACKED_OFF;
	plugin_set_reason(p, "starting (isolated, pid %d)", (int)i->child->pid);
	at = wire_begin(&i->out, WIRE_SETTLE);
	wire_put_u64(&i->out, (uint64_t)isolate_limit(p) / 4);
	wire_end(&i->out, at);
	out_done(i);
	loop_timer_set(p->host->parts.loop, i->check, isolate_limit(p) / 4);
}

static void again_cb(void *user)
{
	struct isolate *i = user;

	model_set_now(i->plugin->host->parts.model, clock_wall());
	isolate_launch(i);
}

void isolate_ended(struct isolate *i, int status)
{
	struct plugin *p = i->plugin;
	struct buf what = BUF_INIT;

	model_set_now(p->host->parts.model, clock_wall());
	/* Its last words: why it was refused, perhaps. The notes speak of a process that is no more. */
	if (!i->deaf)
		isolate_receive(i, REST_MAX);
	i->child = NULL;
	if (i->why)
		buf_puts(&what, i->why);
	else if (WIFSIGNALED(status))
		buf_printf(&what, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		buf_printf(&what, "ended with status %d", WEXITSTATUS(status));
	free(i->why);
	i->why = NULL;
	isolate_clear(i);
	if (i->final)
		p->started = false;
	else if (p->state != HOST_STOPPED)
		isolate_back_off(i, buf_text(&what));
	buf_free(&what);
}

bool isolate_wanted(const struct plugin *p)
{
	return p->section && p->section->isolated && !p->host->parts.inside && !p->builtin;
}

static void isolate_start(struct plugin *p)
{
	struct loop *loop = p->host->parts.loop;
	struct isolate *i = calloc(1, sizeof(*i));

	p->account = (struct account){ .window_start = clock_mono() };
	p->owner.samples = 0;
	p->due = 0;
	plugin_clear_reason(p);
	if (!i || !p->host->parts.config)
		goto fail;
	i->plugin = p;
	i->fd = -1;
	if (loop_timer(loop, -1, 0, 0, again_cb, i, &i->again) < 0)
		goto fail;
	if (loop_timer(loop, -1, 0, NS_PER_S, check_cb, i, &i->check) < 0) {
		loop_remove(loop, i->again);
		goto fail;
	}
	p->isolate = i;
	p->started = true;
	isolate_launch(i);
	return;
fail:
	free(i);
	p->state = HOST_REFUSED;
	plugin_set_reason(p, "it cannot run isolated here");
	plugin_say(p, KITH_WARNING, "%s", p->reason);
}

void isolate_load(struct plugin *p)
{
	plugin_stop(p, HOST_STOPPED);
	plugin_drop_library(p);
	if (!isolate_wait(p))
		isolate_start(p);
}

void isolate_stop(struct plugin *p)
{
	struct loop *loop = p->host->parts.loop;
	struct isolate *i = p->isolate;

	if (!i)
		return;
	p->isolate = NULL;
	p->started = false;
	if (i->child)
		isolate_child_let_go(i->child);
	isolate_clear(i);
	loop_remove(loop, i->again);
	loop_remove(loop, i->check);
	p->d.version = NULL;
	free(i->version);
	free(i->why);
	free(i);
}
