/*
 * A plugin that goes wrong on request: when the file of its option `order` holds a word, it does that once (the file is removed first) on its
 * next sample. For the tests of isolated
 * plugins.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugin.h"

#ifndef WILD_VERSION
#define WILD_VERSION "1"
#endif
#define SOCKET 3 /* to kithd, in an isolated process */

enum { METRIC_ROUNDS, METRIC_MOOD, N_METRICS };

static const char *const moods[] = { "calm", "wild", NULL };
static const struct kith_metric metrics[N_METRICS] = {
	[METRIC_ROUNDS] = { "rounds", "rounds", "samples so far", NULL, KITH_COUNTER, 0 },
	[METRIC_MOOD] = { "mood", NULL, "always calm", moods, KITH_STATE, KITH_METRIC_EVENT },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "wild", "A plugin that goes wrong", "name", metrics, N_METRICS, 0 },
};

static const struct kith_option options[] = {
	{ "order", NULL, "a file that holds what to do", 0, 0, KITH_OPTION_STRING, 0 },
	{ "fini", NULL, "a file that fini makes", 0, 0, KITH_OPTION_STRING, 0 },
	{ "series", "1", "metrics of so many instances are put with each sample", 1, 10000, KITH_OPTION_NUMBER, 0 },
	{ "refuse", NULL, "what init says before it fails", 0, 0, KITH_OPTION_STRING, 0 },
};

struct wild {
	const struct kith_host *h;
	kith_id *ids;
	unsigned n, rounds;
	kith_id extra;
};

static void garbage(const char *how)
{
	unsigned char bytes[4096];

	memset(bytes, 0xa5, sizeof(bytes));
	if (!strcmp(how, "short"))
		send(SOCKET, bytes, 3, 0);
	else if (!strcmp(how, "torn")) /* a header that says more than there is */
		send(SOCKET, "\xff\x00\x00\x00\x05\x00\x00\x00", 8, 0);
	else if (!strcmp(how, "type"))
		send(SOCKET, "\x08\x00\x00\x00\x63\x00\x00\x00", 8, 0);
	else if (!strcmp(how, "samples")) /* not of whole samples */
		send(SOCKET, "\x0c\x00\x00\x00\x05\x00\x00\x00\x01\x02\x03\x04", 12, 0);
	else if (!strcmp(how, "end")) /* too long */
		send(SOCKET, "\x10\x00\x00\x00\x04\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08", 16, 0);
	else if (!strcmp(how, "text")) /* begins an instance whose name has no end */
		send(SOCKET, "\x18\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x99\x99\x99\x00\x03\x00\x00\x00" "abcd", 24, 0);
	else if (!strcmp(how, "family"))
		send(SOCKET, "\x14\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00", 20, 0);
	else
		send(SOCKET, bytes, sizeof(bytes), 0);
}

/* Without the sanitizers' help: it is to die of the signal. */
__attribute__((no_sanitize("address", "undefined"))) static void crash(void)
{
	volatile uintptr_t address = 8;

	*(volatile int *)address = 1;
}

static void obey(struct wild *w, const char *word)
{
	struct kith_field field = { "number", "7" };
	struct kith_record record = { .size = sizeof(record), .priority = KITH_NOTICE, .subject = "wild:one",
		                      .message = "a word from outside", .fields = &field, .n_fields = 1 };

	if (!strcmp(word, "segv"))
		crash();
	else if (!strcmp(word, "abort"))
		abort();
	else if (!strcmp(word, "exit"))
		_exit(7);
	else if (!strcmp(word, "close"))
		close(SOCKET);
	else if (!strcmp(word, "loop"))
		for (;;)
			usleep(1000);
	else if (!strcmp(word, "flood"))
		for (;;) /* signs of life, well made */
			send(SOCKET, "\x08\x00\x00\x00\x09\x00\x00\x00", 8, 0);
	else if (!strcmp(word, "fork") && fork() == 0)
		for (;;)
			pause();
	else if (!strcmp(word, "sleep"))
		sleep(3);
	else if (!strcmp(word, "record"))
		w->h->record(w->h, &record);
	else if (!strcmp(word, "note"))
		w->h->note(w->h, "a note of its own");
	else if (!strcmp(word, "begin"))
		w->h->series(w->h, 0, "extra", &w->extra);
	else if (!strcmp(word, "end"))
		w->h->end(w->h, w->extra);
	else if (!strncmp(word, "garbage ", 8))
		garbage(word + 8);
}

static void order_look(struct wild *w)
{
	const char *path = w->h->option_string(w->h, "order");
	char word[64];
	ssize_t n;
	int fd;

	fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	n = read(fd, word, sizeof(word) - 1);
	close(fd);
	unlink(path);
	word[n > 0 ? n : 0] = '\0';
	obey(w, word);
}

static int wild_sample(void *user)
{
	struct wild *w = user;

	order_look(w);
	w->rounds++;
	for (unsigned i = 0; i < w->n; i++)
		w->h->put(w->h, w->ids[i] + METRIC_ROUNDS, w->rounds);
	return 0;
}

static void wild_free(struct wild *w)
{
	free(w->ids);
	free(w);
}

static void wild_fini(void *state)
{
	struct wild *w = state;
	const char *path = w->h->option_string(w->h, "fini");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : -1;

	if (fd >= 0)
		close(fd);
	wild_free(w);
}

static int wild_init(const struct kith_host *h, void **ret_state)
{
	const char *refuse = h->option_string(h, "refuse");
	struct wild *w;
	int r = 0;

	if (refuse) {
		h->note(h, refuse);
		return -ENODEV;
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->h = h;
	w->n = (unsigned)h->option_number(h, "series");
	w->ids = calloc(w->n, sizeof(*w->ids));
	for (unsigned i = 0; w->ids && r == 0 && i < w->n; i++) {
		char name[16] = "one";

		if (i)
			snprintf(name, sizeof(name), "%u", i);
		r = h->series(h, 0, name, &w->ids[i]);
		if (r == 0)
			h->put(h, w->ids[i] + METRIC_MOOD, 0);
	}
	if (r == 0)
		r = w->ids ? h->sample(h, wild_sample, w, NULL) : -ENOMEM;
	if (r < 0) {
		wild_free(w);
		return r;
	}
	*ret_state = w;
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "wild",
	.version = WILD_VERSION,
	.help = "A plugin that goes wrong",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = wild_init,
	.fini = wild_fini,
};
