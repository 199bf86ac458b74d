/*
 * The process of one isolated plugin: loop, model, sources and host as in main.c, with this plugin alone. What the model hears goes to kithd
 * over the socket that it was given; kithd tells what is wanted. It ends when kithd does, however that ends.
 */
#include <config.h>

#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/wire.h"

#define ALIVE_EVERY (2500 * NS_PER_MS)  /* until kithd says how often */
#define REPORT_EVERY NS_PER_S           /* state and cost, at most */
#define QUEUE_MAX (4u << 20)            /* bytes that wait for kithd to read; beyond, the oldest samples and records are dropped */
#define LAST_WORDS 500                  /* ms that the end waits for kithd to read */
#define OOM_SCORE "500"                 /* when memory is short, rather this process than kithd */

/* A full datagram that waits */
struct datagram {
	struct datagram *next;
	size_t length;
	unsigned n_data; /* samples and records: it may be dropped; 0: it may not */
	char data[];
};

struct sent_series {
	struct series_watch watch;
	struct sent_instance *instance;
};

struct sent_instance {
	struct isolated *isolated;
	unsigned left; /* series that are watched still */
	struct sent_series series[];
};

struct isolated {
	struct daemon *d;
	struct model_observer observer;
	const struct family *families[WIRE_FAMILIES_MAX];
	char *names[WIRE_FAMILIES_MAX];
	uint32_t n_families;
	/* The open datagrams: what must arrive, and before what it is about; samples and records, in their order */
	struct buf structure, data, message;
	size_t samples_at; /* where the message of samples begins in `data` */
	bool samples_open;
	unsigned n_data;
	struct datagram *first, **last;
	size_t queued;
	uint64_t dropped;
	struct loop_watch *socket, *flush, *alive;
	int64_t alive_every;
	bool flush_due, ending, failed;
	/* told last */
	char *version, *reason;
	enum host_state state;
	uint64_t calls, dropped_told;
	int64_t state_at, cost_at; /* mono ns; 0: never */
};

/* ---- sending ---------------------------------------------------------------------------------------------------- */

/* Nobody listens any more, or nothing can be said: the end. */
static void isolated_fail(struct isolated *i, const char *why)
{
	if (!i->failed && why)
		log_err("the process of plugin %s ends: %s", i->d->options.isolated, why);
	i->failed = true;
	loop_stop(i->d->loop);
}

/* 1: sent; 0: kithd has to read first */
static int send_now(struct isolated *i, const char *data, size_t length)
{
	while (send(WIRE_FD, data, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
			return 0;
		isolated_fail(i, errno == EPIPE || errno == ECONNRESET ? NULL : strerror(errno));
		return 1;
	}
	return 1;
}

static void queue_take(struct isolated *i, struct datagram **at)
{
	struct datagram *g = *at;

	*at = g->next;
	if (!g->next)
		i->last = at;
	i->queued -= g->length;
	free(g);
}

static void queue_send(struct isolated *i)
{
	while (i->first && !i->failed && send_now(i, i->first->data, i->first->length))
		queue_take(i, &i->first);
	loop_fd_set(i->d->loop, i->socket, i->first ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

static void queue_wait(struct isolated *i, int ms)
{
	struct pollfd p = { .fd = WIRE_FD, .events = POLLOUT };

	poll(&p, 1, ms);
	if (p.revents & (POLLHUP | POLLERR))
		isolated_fail(i, NULL);
	else
		queue_send(i);
}

/* Memory is bounded: the oldest samples go; and what must not go makes this process wait. */
static void queue_bound(struct isolated *i)
{
	struct datagram **at = &i->first;

	while (i->queued > QUEUE_MAX && *at) {
		if ((*at)->n_data) {
			i->dropped += (*at)->n_data;
			queue_take(i, at);
		} else {
			at = &(*at)->next;
		}
	}
	while (i->queued > QUEUE_MAX && !i->failed)
		queue_wait(i, 1000);
}

static void datagram_send(struct isolated *i, struct buf *b, unsigned n_data)
{
	struct datagram *g;

	if (b->failed)
		isolated_fail(i, "no memory");
	if (!b->length || i->failed || (!i->first && send_now(i, b->data, b->length))) {
		buf_reset(b);
		return;
	}
	g = malloc(sizeof(*g) + b->length);
	if (!g) {
		isolated_fail(i, "no memory");
		return;
	}
	*g = (struct datagram){ .length = b->length, .n_data = n_data };
	memcpy(g->data, b->data, b->length);
	*i->last = g;
	i->last = &g->next;
	i->queued += g->length;
	buf_reset(b);
	queue_bound(i);
	loop_fd_set(i->d->loop, i->socket, LOOP_READ | LOOP_WRITE);
}

static void samples_close(struct isolated *i)
{
	if (i->samples_open)
		wire_end(&i->data, i->samples_at);
	i->samples_open = false;
}

static void structure_send(struct isolated *i)
{
	datagram_send(i, &i->structure, 0);
}

/* Instances first: the samples may be theirs. */
static void all_send(struct isolated *i)
{
	unsigned n = i->n_data;

	structure_send(i);
	samples_close(i);
	i->n_data = 0;
	datagram_send(i, &i->data, n);
}

static void flush_later(struct isolated *i)
{
	if (i->flush_due || i->ending)
		return;
	i->flush_due = true;
	loop_timer_set(i->d->loop, i->flush, 0);
}

/* Appends the message that was made in i->message */
static void structure_put(struct isolated *i)
{
	if (i->structure.length + i->message.length > WIRE_DATAGRAM_MAX)
		structure_send(i);
	buf_append(&i->structure, i->message.data, i->message.length);
	if (i->message.failed)
		i->structure.failed = true;
	flush_later(i);
}

static size_t message_begin(struct isolated *i, enum wire_type type)
{
	buf_reset(&i->message);
	return wire_begin(&i->message, type);
}

/* ---- state and cost --------------------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b);
}

static bool state_is_final(enum host_state s)
{
	return s == HOST_REFUSED || s == HOST_SKIPPED || s == HOST_STOPPED;
}

static void report_state(struct isolated *i, const struct host_info *info, int64_t mono)
{
	size_t at;

	if (i->state_at && info->state == i->state && same_text(i->reason, info->reason) && same_text(i->version, info->version))
		return;
	if (i->state_at && !state_is_final(info->state) && mono - i->state_at < REPORT_EVERY)
		return;
	free(i->reason);
	free(i->version);
	i->reason = strdup(info->reason);
	i->version = strdup(info->version);
	i->state = info->state;
	i->state_at = mono;
	/* Its last samples and records come before its end. */
	if (state_is_final(info->state))
		all_send(i);
	at = message_begin(i, WIRE_STATE);
	wire_put_u32(&i->message, info->state);
	wire_put_text(&i->message, info->version, 256);
	wire_put_text(&i->message, info->reason, 4096);
	wire_end(&i->message, at);
	structure_put(i);
}

static void report_cost(struct isolated *i, const struct host_info *info, int64_t mono)
{
	size_t at;

	if (i->cost_at && ((info->calls == i->calls && i->dropped == i->dropped_told) || mono - i->cost_at < REPORT_EVERY))
		return;
	i->calls = info->calls;
	i->dropped_told = i->dropped;
	i->cost_at = mono;
	at = message_begin(i, WIRE_COST);
	wire_put_u64(&i->message, info->calls);
	wire_put_u64(&i->message, info->cpu_ns);
	wire_put_u64(&i->message, info->failures);
	wire_put_u64(&i->message, (uint64_t)info->allocations);
	wire_put_u64(&i->message, i->dropped);
	wire_end(&i->message, at);
	structure_put(i);
}

static void isolated_flush(struct isolated *i)
{
	struct host_info info;
	int64_t mono = clock_mono();

	loop_timer_set(i->d->loop, i->flush, -1);
	i->flush_due = true; /* what is put from here on goes with it */
	if (host_info(i->d->host, 0, &info) == 0) {
		report_cost(i, &info, mono);
		report_state(i, &info, mono);
		if (state_is_final(info.state)) {
			i->ending = true;
			loop_stop(i->d->loop);
		}
	}
	all_send(i);
	i->flush_due = false;
}

static void flush_cb(void *user)
{
	isolated_flush(user);
}

static void tick_cb(int64_t now, void *user)
{
	(void)now;
	isolated_flush(user);
}

static void alive_cb(void *user)
{
	struct isolated *i = user;
	size_t at = message_begin(i, WIRE_ALIVE);

	wire_end(&i->message, at);
	structure_put(i);
	isolated_flush(i);
	loop_timer_set(i->d->loop, i->alive, i->alive_every);
}

/* ---- what the model tells --------------------------------------------------------------------------------------- */

static void on_family(const struct family *family, bool begins, void *user)
{
	struct isolated *i = user;
	size_t at;

	if (!begins || i->ending)
		return;
	if (i->n_families >= WIRE_FAMILIES_MAX || !(i->names[i->n_families] = strdup(family->name))) {
		isolated_fail(i, "it declares too many families for a plugin that is isolated");
		return;
	}
	i->families[i->n_families] = family;
	at = message_begin(i, WIRE_FAMILY);
	wire_put_u32(&i->message, i->n_families++);
	wire_put_family(&i->message, family);
	wire_end(&i->message, at);
	if (i->message.length > WIRE_DATAGRAM_MAX)
		isolated_fail(i, "its family is too large for a plugin that is isolated");
	else
		structure_put(i);
}

static void on_sample(struct series_watch *watch, const struct series *s, enum series_event event)
{
	struct sent_series *sent = (struct sent_series *)(void *)((char *)watch - offsetof(struct sent_series, watch));
	struct sent_instance *instance = sent->instance;
	struct isolated *i = instance->isolated;

	if (event == SERIES_END && !--instance->left)
		free(instance);
	if (event != SERIES_SAMPLE || i->ending)
		return;
	if (i->data.length + WIRE_SAMPLE_SIZE + 16 > WIRE_DATAGRAM_MAX)
		all_send(i);
	if (!i->samples_open)
		i->samples_at = wire_begin(&i->data, WIRE_SAMPLES);
	i->samples_open = true;
	i->n_data++;
	wire_put_u32(&i->data, s->instance->id);
	wire_put_u32(&i->data, s->metric);
	wire_put_f64(&i->data, s->value);
	wire_put_u64(&i->data, (uint64_t)s->time);
	flush_later(i);
}

static void instance_begins(struct isolated *i, struct instance *instance)
{
	uint32_t n = instance->family->n_metrics, family = 0;
	struct sent_instance *sent = calloc(1, sizeof(*sent) + n * sizeof(sent->series[0]));
	size_t at;

	if (!sent) {
		isolated_fail(i, "no memory");
		return;
	}
	sent->isolated = i;
	sent->left = n;
	for (uint32_t k = 0; k < n; k++) {
		sent->series[k] = (struct sent_series){ .watch.fn = on_sample, .instance = sent };
		series_watch_add(&instance->series[k], &sent->series[k].watch);
	}
	while (family < i->n_families && i->families[family] != instance->family)
		family++;
	at = message_begin(i, WIRE_BEGIN);
	wire_put_u32(&i->message, family);
	wire_put_u32(&i->message, instance->id);
	wire_put_text(&i->message, instance->name, NAME_INSTANCE_MAX);
	wire_end(&i->message, at);
	structure_put(i);
}

static void on_instance(struct instance *instance, bool begins, void *user)
{
	struct isolated *i = user;
	size_t at;

	if (i->ending)
		return;
	if (begins) {
		instance_begins(i, instance);
		return;
	}
	/* Its last samples come before its end. */
	if (i->data.length)
		all_send(i);
	at = message_begin(i, WIRE_END);
	wire_put_u32(&i->message, instance->id);
	wire_end(&i->message, at);
	structure_put(i);
}

static void on_record(const struct kith_record *record, uint64_t number, void *user)
{
	struct isolated *i = user;

	(void)number;
	buf_reset(&i->message);
	wire_put_record(&i->message, record);
	if (i->data.length + i->message.length > WIRE_DATAGRAM_MAX)
		all_send(i);
	samples_close(i);
	buf_append(&i->data, i->message.data, i->message.length);
	i->n_data++;
	flush_later(i);
}

/* ---- what kithd tells ------------------------------------------------------------------------------------------- */

static void hear(struct isolated *i, uint32_t type, struct wire_in *in)
{
	if (type == WIRE_WANT) {
		uint32_t family = wire_u32(in), wanted = wire_u32(in);
		const char *instance = wire_text(in);

		if (in->bad || family >= i->n_families)
			return;
		if (wanted)
			model_want(i->d->model, i->names[family], instance);
		else
			model_unwant(i->d->model, i->names[family], instance);
	} else if (type == WIRE_SETTLE) {
		uint64_t every = wire_u64(in);

		if (in->bad || every < (uint64_t)NS_PER_MS || every > 3600 * (uint64_t)NS_PER_S)
			return;
		i->alive_every = (int64_t)every;
		loop_timer_set(i->d->loop, i->alive, i->alive_every);
	}
}

static void socket_cb(int fd, unsigned events, void *user)
{
	struct isolated *i = user;
	unsigned char *data = malloc(WIRE_DATAGRAM_MAX);
	struct wire_in in, message;
	uint32_t type;
	ssize_t n;

	if (events & LOOP_WRITE)
		queue_send(i);
	if (!(events & LOOP_READ) || !data) {
		free(data);
		return;
	}
	model_set_now(i->d->model, loop_now(i->d->loop));
	n = recv(fd, data, WIRE_DATAGRAM_MAX, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		isolated_fail(i, NULL);
	in = (struct wire_in){ data, n > 0 ? (size_t)n : 0, false };
	while (wire_next(&in, &type, &message))
		hear(i, type, &message);
	free(data);
}

/* ---- start and end ---------------------------------------------------------------------------------------------- */

static void stop_cb(void *user)
{
	struct daemon *d = user;

	loop_stop(d->loop);
}

/* kithd's end is the end of this, too. The socket tells that it ended before this was set. */
static int isolated_bind(void)
{
	struct pollfd p = { .fd = WIRE_FD };
	socklen_t length = sizeof(int);
	int type = 0, fd;

	if (getsockopt(WIRE_FD, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_SEQPACKET)
		return -ENOTSOCK;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || fcntl(WIRE_FD, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	/* Started through /proc/self/exe, it would be called so. */
	prctl(PR_SET_NAME, "kithd");
	if (poll(&p, 1, 0) > 0 && (p.revents & POLLHUP))
		return -EPIPE;
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, OOM_SCORE, strlen(OOM_SCORE)) < 0)
			log_debug("oom_score_adj: %s", strerror(errno));
		close(fd);
	}
	return 0;
}

static int isolated_conf(struct daemon *d)
{
	struct faults faults = { 0 };
	/* kithd may go on with a configuration whose file is faulty now; the plugin's own section is checked when it is loaded. */
	int r = conf_load_faulty(d->options.config, false, &d->conf, &faults);

	faults_free(&faults);
	if (r == 0)
		log_set_level((enum log_level)d->conf->log_level);
	return r;
}

static int isolated_host(struct isolated *i)
{
	struct daemon *d = i->d;
	struct host_parts parts = { .loop = d->loop, .model = d->model, .netlink = d->netlink, .process = d->process,
		                    .file = d->file, .children = &d->children, .conf = d->conf, .state = d->options.state_dir, .inside = true, .user = i, .on_tick = tick_cb };
	size_t at;
	int r = host_new(&parts, &d->host);

	if (r < 0)
		return r;
	at = message_begin(i, WIRE_HELLO);
	wire_put_u32(&i->message, WIRE_MAGIC);
	wire_put_u32(&i->message, WIRE_VERSION);
	wire_end(&i->message, at);
	structure_put(i);
	i->observer = (struct model_observer){ .user = i, .on_family = on_family, .on_instance = on_instance, .on_record = on_record };
	model_observe(d->model, &i->observer);
	return host_load_one(d->host, d->options.plugin_dirs[0], d->options.isolated);
}

static int isolated_start(struct isolated *i)
{
	struct daemon *d = i->d;
	int r;

	if ((r = isolated_conf(d)) < 0 || (r = loop_new(&d->loop)) < 0 || (r = model_new(&d->model)) < 0)
		return r;
	d->children.loop = d->loop;
	if ((r = loop_signal(d->loop, SIGTERM, stop_cb, d, &d->signals[0])) < 0 ||
	    (r = loop_signal(d->loop, SIGINT, stop_cb, d, &d->signals[1])) < 0)
		return r;
	if ((r = loop_fd(d->loop, WIRE_FD, LOOP_READ, socket_cb, i, &i->socket)) < 0 ||
	    (r = loop_timer(d->loop, -1, 0, 0, flush_cb, i, &i->flush)) < 0 ||
	    (r = loop_timer(d->loop, i->alive_every, 0, NS_PER_S, alive_cb, i, &i->alive)) < 0)
		return r;
	if ((r = netlink_source_new(d->loop, &d->netlink)) < 0 || (r = process_source_new(d->loop, &d->process)) < 0 ||
	    (r = file_source_new(d->loop, &d->file)) < 0)
		return r;
	return isolated_host(i);
}

/* Says what is left to say: why it was refused, perhaps. */
static void isolated_last_words(struct isolated *i)
{
	int64_t by = clock_mono() + LAST_WORDS * NS_PER_MS;

	all_send(i);
	while (i->first && !i->failed && clock_mono() < by)
		queue_wait(i, LAST_WORDS);
	while (i->first)
		queue_take(i, &i->first);
}

static void isolated_stop(struct isolated *i)
{
	struct daemon *d = i->d;

	i->ending = true;
	host_free(d->host);
	children_end(&d->children);
	if (d->file)
		file_source_free(d->file);
	if (d->process)
		process_source_free(d->process);
	if (d->netlink)
		netlink_source_free(d->netlink);
	if (d->loop && i->socket)
		isolated_last_words(i);
	model_free(d->model);
	if (d->loop) {
		loop_remove(d->loop, i->socket);
		loop_remove(d->loop, i->flush);
		loop_remove(d->loop, i->alive);
		loop_remove(d->loop, d->signals[0]);
		loop_remove(d->loop, d->signals[1]);
	}
	loop_free(d->loop);
	conf_free(d->conf);
	for (uint32_t k = 0; k < i->n_families; k++)
		free(i->names[k]);
	buf_free(&i->structure);
	buf_free(&i->data);
	buf_free(&i->message);
	free(i->version);
	free(i->reason);
}

int isolated_run(struct daemon *d)
{
	struct isolated *i;
	int r = isolated_bind();
	bool failed;

	if (r < 0 || d->options.n_plugin_dirs != 1) {
		fprintf(stderr, "kithd: --isolated is for kithd itself; isolated = true in a plugin's section makes it use it\n");
		return 2;
	}
	if (!d->options.foreground)
		log_to_syslog();
	i = calloc(1, sizeof(*i));
	if (!i)
		return 1;
	i->d = d;
	i->last = &i->first;
	i->alive_every = ALIVE_EVERY;
	r = isolated_start(i);
	if (r == 0) {
		isolated_flush(i);
		malloc_trim(0);
		if (!i->ending && !i->failed)
			loop_run(d->loop);
	} else {
		log_err("the process of plugin %s does not start: %s", d->options.isolated, strerror(-r));
	}
	isolated_stop(i);
	failed = i->failed;
	free(i);
	return r < 0 || failed ? 1 : 0;
}
