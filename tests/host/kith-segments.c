/*
 * Makes segments of a journal, or what the ring gives, from lines on standard input; for tests of who reads them. Words are between tabs.
 *
 *   segment NUMBER BEGIN     the next one; the one before is written, without its seal unless there was one
 *   start                    kithd starts here
 *   family NAME LABEL STALE N   followed by N lines: NAME UNIT KIND FLAGS STATE…
 *   instance PLACE FAMILY NAME  FAMILY: which of this segment, from 0
 *   put PLACE METRIC VALUE TIME
 *   end PLACE
 *   seal
 *   raw HEX                  bytes of the chunk
 *
 *   kith-segments FOLDER     into files there
 *   kith-segments -          as journal_snapshot to standard output
 */
#include <endian.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/pack.h"
#include "store/segment.h"

#define CHUNK (4u << 20)
#define PLACES 20000u
#define WORDS 4200u

struct maker {
	const char *folder; /* NULL: a snapshot */
	struct packer packer;
	struct segment_head head;
	uint8_t *data;
	bool open, sealed;
	uint32_t chunk;
	uint32_t sizes[4096]; /* metrics of each family of this chunk */
	uint32_t families;
	struct pack_place *places[PLACES];
	double *values[PLACES];
	uint32_t widths[PLACES];
};

static void put_all(int fd, const void *data, size_t length)
{
	if (write(fd, data, length) != (ssize_t)length)
		err(1, "write");
}

static void finish(struct maker *m)
{
	uint8_t head[SEGMENT_HEAD + 8], frame[SEGMENT_FRAME];
	char path[4096], name[SEGMENT_NAME_SIZE];
	uint64_t length = htole64(m->packer.length);
	int fd = 1;

	if (!m->open)
		return;
	segment_put_head(&m->head, head);
	if (!m->folder) {
		memcpy(head + SEGMENT_HEAD, &length, sizeof(length));
		put_all(fd, head, sizeof(head));
		put_all(fd, m->data, m->packer.length);
		return;
	}
	segment_name(m->head.number, name);
	snprintf(path, sizeof(path), "%s/%s", m->folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		err(1, "%s", path);
	put_all(fd, head, SEGMENT_HEAD);
	if (m->packer.length) {
		segment_put_frame(m->data, m->packer.length, frame);
		put_all(fd, frame, sizeof(frame));
		put_all(fd, m->data, m->packer.length);
	}
	if (m->sealed) {
		segment_put_seal(m->head.number, m->packer.length, frame);
		put_all(fd, frame, sizeof(frame));
	}
	close(fd);
}

static size_t split(char *line, char **words)
{
	size_t n = 0;

	line[strcspn(line, "\n")] = '\0';
	for (char *tab; line && n < WORDS; line = tab) {
		tab = strchr(line, '\t');
		if (tab)
			*tab++ = '\0';
		words[n++] = line;
	}
	return n;
}

static void family(struct maker *m, char **words)
{
	uint32_t n = (uint32_t)strtoul(words[4], NULL, 10);
	struct pack_metric metrics[PACK_METRICS];
	static char *lines[PACK_METRICS], *parts[PACK_METRICS][64];
	char name[128], label[128];
	int64_t stale = strtoll(words[3], NULL, 10);
	size_t size;

	snprintf(name, sizeof(name), "%s", words[1]);
	snprintf(label, sizeof(label), "%s", words[2]);
	for (uint32_t k = 0; k < n; k++) {
		char **w = parts[k];
		size_t count;

		lines[k] = NULL;
		size = 0;
		if (getline(&lines[k], &size, stdin) < 0)
			errx(1, "a metric is missing");
		count = split(lines[k], w);
		metrics[k] = (struct pack_metric){ w[0], w[1], (uint32_t)atoi(w[2]), (uint32_t)atoi(w[3]), w + 4, (uint32_t)(count - 4) };
	}
	if (packer_family(&m->packer, name, label, stale, metrics, n) < 0)
		errx(1, "no room");
	m->sizes[m->families++] = n;
	for (uint32_t k = 0; k < n; k++)
		free(lines[k]);
}

static void instance(struct maker *m, char **words)
{
	uint32_t place = (uint32_t)strtoul(words[1], NULL, 10), of = (uint32_t)strtoul(words[2], NULL, 10), n = m->sizes[of];

	if (m->widths[place] != n) {
		free(m->places[place]);
		free(m->values[place]);
		m->places[place] = calloc(1, sizeof(struct pack_place) + n * sizeof(struct pack_cell));
		m->values[place] = calloc(n, sizeof(double));
		m->widths[place] = n;
	}
	m->places[place]->number = place;
	m->places[place]->n = n;
	if (packer_instance(&m->packer, m->places[place], of, words[3]) < 0)
		errx(1, "no room");
}

static void put(struct maker *m, char **words)
{
	uint32_t place = (uint32_t)strtoul(words[1], NULL, 10), metric = (uint32_t)strtoul(words[2], NULL, 10);
	double value = strtod(words[3], NULL);

	packer_put(&m->packer, m->places[place], metric, value, m->values[place][metric], strtoll(words[4], NULL, 10), false);
	m->values[place][metric] = value;
}

static void raw(struct maker *m, const char *hex)
{
	unsigned byte;

	packer_settle(&m->packer);
	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		m->data[m->packer.length++] = (uint8_t)byte;
}

static void take(struct maker *m, char **words)
{
	if (!strcmp(words[0], "segment")) {
		finish(m);
		m->head = (struct segment_head){ strtoull(words[1], NULL, 10), strtoll(words[2], NULL, 10) };
		m->open = true;
		m->sealed = false;
		m->families = 0;
		packer_begin(&m->packer, ++m->chunk, m->data, CHUNK, m->head.begin);
	} else if (!strcmp(words[0], "start")) {
		packer_start(&m->packer);
	} else if (!strcmp(words[0], "family")) {
		family(m, words);
	} else if (!strcmp(words[0], "instance")) {
		instance(m, words);
	} else if (!strcmp(words[0], "put")) {
		put(m, words);
	} else if (!strcmp(words[0], "end")) {
		packer_end(&m->packer, m->places[strtoul(words[1], NULL, 10)]);
	} else if (!strcmp(words[0], "raw")) {
		raw(m, words[1]);
	} else if (!strcmp(words[0], "seal")) {
		m->sealed = true;
	} else {
		errx(1, "\"%s\" is no line of ours", words[0]);
	}
}

int main(int argc, char **argv)
{
	static const uint8_t end[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct maker *m = calloc(1, sizeof(*m));
	char **words = calloc(WORDS, sizeof(*words)), *line = NULL;
	size_t size = 0;

	if (argc != 2 || !m || !words || !(m->data = malloc(CHUNK)))
		errx(1, "FOLDER, or -");
	m->folder = strcmp(argv[1], "-") != 0 ? argv[1] : NULL;
	while (getline(&line, &size, stdin) > 0) {
		split(line, words);
		if (*words[0])
			take(m, words);
	}
	finish(m);
	if (!m->folder)
		put_all(1, end, sizeof(end));
	for (uint32_t k = 0; k < PLACES; k++) {
		free(m->places[k]);
		free(m->values[k]);
	}
	free(m->data);
	free(m);
	free(words);
	free(line);
	return 0;
}
