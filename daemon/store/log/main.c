/* kith-log(8): one request from standard input, its answer to standard output. Frames as on the control socket. */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/log/log.h"

#define OUT_SIZE 65536u
#define PROGRESS_EVERY (250 * NS_PER_MS)

struct output {
	uint8_t data[OUT_SIZE];
	size_t length;
	bool gone;          /* nobody reads any more */
	int64_t told;       /* mono ns of the last progress or record */
	const struct own *own;
};

struct options {
	const char *state_dir, *host, *journal;
	bool verify, look; /* look: without mending */
};

/* ---- out ------------------------------------------------------------------------------------------------------------ */

static bool out_write(struct output *o, const uint8_t *data, size_t length)
{
	while (length && !o->gone) {
		ssize_t n = write(STDOUT_FILENO, data, length);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd fd = { .fd = STDOUT_FILENO, .events = POLLOUT };

			poll(&fd, 1, -1);
		} else if (n < 0 && errno != EINTR) {
			o->gone = true;
		} else if (n > 0) {
			data += n;
			length -= (size_t)n;
		}
	}
	return !o->gone;
}

static bool out_flush(struct output *o)
{
	size_t length = o->length;

	o->length = 0;
	return out_write(o, o->data, length);
}

static bool out_put(struct output *o, const uint8_t *data, size_t length)
{
	if (o->length + length > OUT_SIZE && !out_flush(o))
		return false;
	if (length > OUT_SIZE)
		return out_write(o, data, length);
	memcpy(o->data + o->length, data, length);
	o->length += length;
	return !o->gone;
}

static bool out_say(struct output *o, const Control__Answer *answer)
{
	size_t length = control__answer__get_packed_size(answer);
	uint8_t *frame = malloc(FRAME_HEADER + length);
	bool good;

	if (!frame)
		return false;
	frame_put_length(frame, length);
	control__answer__pack(answer, frame + FRAME_HEADER);
	good = out_put(o, frame, FRAME_HEADER + length);
	free(frame);
	return good && out_flush(o);
}

static bool out_note(struct output *o, const char *what)
{
	Control__Progress progress = CONTROL__PROGRESS__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;
	uint64_t done = 0, of = 0;

	if (o->own)
		own_progress(o->own, &done, &of);
	progress.done = done;
	progress.of = of;
	progress.what = (char *)(uintptr_t)what;
	answer.is_case = CONTROL__ANSWER__IS_PROGRESS;
	answer.progress = &progress;
	o->told = clock_mono();
	return out_say(o, &answer);
}

static void out_fault(struct output *o, Control__Code code, const char *text)
{
	Control__Fault fault = CONTROL__FAULT__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;

	fault.code = code;
	fault.text = (char *)(uintptr_t)text;
	answer.is_case = CONTROL__ANSWER__IS_FAULT;
	answer.fault = &fault;
	out_say(o, &answer);
}

static void out_end(struct output *o)
{
	Control__End end = CONTROL__END__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;

	answer.is_case = CONTROL__ANSWER__IS_END;
	answer.end = &end;
	out_say(o, &answer);
}

bool output_progress(struct output *o)
{
	struct pollfd fd = { .fd = STDOUT_FILENO };

	if (o->gone || clock_mono() - o->told < PROGRESS_EVERY)
		return !o->gone;
	/* A pipe whose reader has gone has an error at once. */
	if (poll(&fd, 1, 0) > 0 && (fd.revents & POLLERR))
		o->gone = true;
	return !o->gone && out_note(o, "");
}

/* ---- the two in order of time ---------------------------------------------------------------------------------------- */

struct merge {
	struct output *out;
	struct own *own;
	struct journal *journal;
	struct {
		bool there;
		int64_t time;
		const uint8_t *frame;
		size_t length;
	} next[2]; /* of both */
};

static int merge_fetch(struct merge *m, int i)
{
	int r = 0;

	if (i == 0 && m->own)
		r = own_next(m->own, &m->next[0].time, &m->next[0].frame, &m->next[0].length);
	else if (i == 1 && m->journal)
		r = journal_next(m->journal, &m->next[1].time, &m->next[1].frame, &m->next[1].length);
	m->next[i].there = r == 1;
	return r < 0 ? r : 0;
}

/* All that there is; the first `skip` are not written */
static int merge_all(struct merge *m, uint64_t skip)
{
	int r = merge_fetch(m, 0);

	if (r == 0)
		r = merge_fetch(m, 1);
	while (r == 0 && (m->next[0].there || m->next[1].there)) {
		int i = !m->next[0].there || (m->next[1].there && m->next[1].time < m->next[0].time);

		if (skip)
			skip--;
		else if (!out_put(m->out, m->next[i].frame, m->next[i].length))
			return -EPIPE;
		r = merge_fetch(m, i);
	}
	return r == 0 && !out_flush(m->out) ? -EPIPE : r;
}

static int merge_last(struct merge *m, uint64_t last)
{
	uint64_t own = 0, journal = 0;
	int r = 0;

	if (m->own)
		r = own_count(m->own, last, &own);
	if (r == 0 && m->journal)
		r = journal_count(m->journal, last, &journal);
	return r < 0 ? r : merge_all(m, own + journal > last ? own + journal - last : 0);
}

/* What comes to the journal, until nobody reads any more; own records kithd tells of itself */
static int follow(struct merge *m)
{
	int r;

	if (!out_note(m->out, "following"))
		return -EPIPE;
	if (!m->journal) {
		struct pollfd fd = { .fd = STDOUT_FILENO };

		while (poll(&fd, 1, -1) < 0 && errno == EINTR)
			;
		return -EPIPE;
	}
	while ((r = journal_wait(m->journal, STDOUT_FILENO)) > 0) {
		while ((r = merge_fetch(m, 1)) == 0 && m->next[1].there)
			if (!out_put(m->out, m->next[1].frame, m->next[1].length))
				return -EPIPE;
		if (r < 0 || !out_flush(m->out))
			return r < 0 ? r : -EPIPE;
	}
	return r < 0 ? r : -EPIPE;
}

/* ---- the request ----------------------------------------------------------------------------------------------------- */

static bool read_whole(void *data, size_t length)
{
	uint8_t *at = data;

	while (length) {
		ssize_t n = read(STDIN_FILENO, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		length -= (size_t)n;
	}
	return true;
}

/* NULL: there is none, or none of kith's */
static Control__Request *request_read(void)
{
	uint8_t header[FRAME_HEADER], *data;
	Control__Request *request;
	size_t length;

	if (!read_whole(header, sizeof(header)) || (length = frame_length(header)) > FRAME_REQUEST_MAX)
		return NULL;
	data = malloc(length + 1);
	request = data && read_whole(data, length) ? control__request__unpack(NULL, length, data) : NULL;
	free(data);
	return request;
}

static void answer_damaged(struct output *o, const struct own *own)
{
	unsigned gone, damaged = own_damaged(own, &gone);
	char text[128];

	if (damaged) {
		snprintf(text, sizeof(text), "%u damaged stretches of the store were passed over: kith-log --verify says where", damaged);
		out_note(o, text);
	}
	if (gone) {
		snprintf(text, sizeof(text), "%u blocks were removed for their age while they were to be read", gone);
		out_note(o, text);
	}
}

static int answer(struct output *o, const struct options *options, const struct query *q)
{
	struct merge m = { .out = o };
	struct buf why = BUF_INIT;
	int r = 0, x;

	if (q->own)
		r = own_new(options->state_dir, q, o, &m.own);
	if (r == -ENOENT) {
		r = 0;
		out_note(o, "this kithd keeps no records of its own yet");
	}
	o->own = m.own;
	if (r == 0 && q->journal) {
		x = journal_new(options->journal, q, o, &m.journal, &why);
		if (x < 0)
			m.journal = NULL;
		if (why.length)
			out_note(o, buf_text(&why));
	}
	if (r == 0)
		r = q->last ? merge_last(&m, q->last) : merge_all(&m, 0);
	if (r == 0 && m.own)
		answer_damaged(o, m.own);
	if (r == 0 && q->follow)
		r = follow(&m);
	o->own = NULL;
	own_free(m.own);
	journal_free(m.journal);
	buf_free(&why);
	return r;
}

static int log_run(const struct options *options)
{
	struct output *o = calloc(1, sizeof(*o));
	Control__Request *request = request_read();
	struct buf why = BUF_INIT;
	struct query q = { 0 };
	int r = -EINVAL;

	if (!o)
		return 1;
	o->told = clock_mono();
	if (request && request->ask_case == CONTROL__REQUEST__ASK_LOG)
		r = query_new(&q, request->log, options->host, clock_wall(), &why);
	else
		buf_puts(&why, "kith-log wants a LogRequest on its standard input");
	if (r < 0) {
		out_fault(o, r == -EHOSTUNREACH ? CONTROL__CODE__NO_NEIGHBOUR : r == -ENOMEM ? CONTROL__CODE__INTERNAL : CONTROL__CODE__USAGE,
		          why.length ? buf_text(&why) : strerror(-r));
	} else {
		r = answer(o, options, &q);
		if (r == 0)
			out_end(o);
		else if (r != -EPIPE)
			out_fault(o, CONTROL__CODE__INTERNAL, strerror(-r));
		query_free(&q);
	}
	if (request)
		control__request__free_unpacked(request, NULL);
	buf_free(&why);
	free(o);
	return r < 0 && r != -EPIPE;
}

/* ---- the command line ------------------------------------------------------------------------------------------------ */

static const struct option options_long[] = {
	{ "state-dir", required_argument, NULL, 'S' },
	{ "host", required_argument, NULL, 'H' },
	{ "journal", required_argument, NULL, 'J' },
	{ "verify", no_argument, NULL, 'v' },
	{ "look", no_argument, NULL, 'l' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void usage(void)
{
	printf("Usage: kith-log --state-dir DIR [--host NAME] [--journal DIR]\n"
	       "       kith-log --state-dir DIR --verify [--look]\n"
	       "Answers kithd's requests for records of the past: see kith-log(8). People ask kith log.\n\n"
	       "      --state-dir DIR   kithd's (" KITH_STATEDIR ")\n"
	       "      --host NAME       this host's name, for patterns with @NAME\n"
	       "      --journal DIR     the journal in this folder instead of the system's\n"
	       "      --verify          check the files, mend what can be: 0 all is well, 1 it is not\n"
	       "      --look            with --verify: change nothing\n"
	       "  -V, --version         print the version\n"
	       "  -h, --help            print this\n");
}

int main(int argc, char **argv)
{
	struct options o = { .state_dir = KITH_STATEDIR, .host = "localhost" };
	int c;

	setlocale(LC_CTYPE, "C.UTF-8"); /* which characters are letters */
	signal(SIGPIPE, SIG_IGN);
	while ((c = getopt_long(argc, argv, "Vh", options_long, NULL)) != -1) {
		if (c == 'S')
			o.state_dir = optarg;
		else if (c == 'H')
			o.host = optarg;
		else if (c == 'J')
			o.journal = optarg;
		else if (c == 'v')
			o.verify = true;
		else if (c == 'l')
			o.look = true;
		else if (c == 'V')
			printf("kith-log %s\n", PACKAGE_VERSION);
		else if (c == 'h')
			usage();
		if (c == 'V' || c == 'h')
			return 0;
		if (c == '?')
			return 2;
	}
	if (optind < argc) {
		fprintf(stderr, "kith-log: \"%s\" is not understood\n", argv[optind]);
		return 2;
	}
	return o.verify ? verify_run(o.state_dir, !o.look) : log_run(&o);
}
