/* The system's journal, read in place through libsystemd: nothing of it is copied. Its entries' fields as a record: see kith-log(8). */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/log/log.h"

#ifdef KITH_JOURNAL

#include <systemd/sd-journal.h>

#define PROGRESS_EVERY 1024u          /* entries */
#define THRESHOLD (64u << 10)         /* bytes of a field that are read */
#define VALUE_MAX 16384u
#define WAIT_MS 1000

/* What is taken over, and what it is called then; the first three are looked at */
static const struct {
	const char *name, *as; /* as NULL: no field of the record */
} fields[] = {
	{ "MESSAGE=", NULL },
	{ "PRIORITY=", NULL },
	{ "_SYSTEMD_UNIT=", "unit" },
	{ "SYSLOG_IDENTIFIER=", "identifier" },
	{ "_PID=", "pid" },
	{ "_UID=", "uid" },
	{ "_COMM=", "comm" },
	{ "_SYSTEMD_USER_UNIT=", "user_unit" },
	{ "_TRANSPORT=", "transport" },
	{ "_HOSTNAME=", "host" },
	{ "SYSLOG_FACILITY=", "facility" },
	{ "MESSAGE_ID=", "message_id" },
	{ "UNIT=", "about_unit" },
	{ "ERRNO=", "errno" },
	{ "CODE_FILE=", "code_file" },
	{ "CODE_LINE=", "code_line" },
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))
enum { FIELD_MESSAGE, FIELD_PRIORITY, FIELD_UNIT, FIELD_IDENTIFIER };

struct journal {
	sd_journal *journal;
	const struct query *query;
	struct output *out;
	struct chunk chunk;
	struct buf values[N_FIELDS];
	struct buf subject, texts; /* of the record that is made */
	unsigned since;            /* entries since progress was told */
	bool started, at_entry;
};

/* ---- one entry ------------------------------------------------------------------------------------------------------ */

static void take_data(struct journal *j, const char *data, size_t length)
{
	for (size_t i = 0; i < N_FIELDS; i++) {
		size_t name = strlen(fields[i].name), n;

		if (length < name || memcmp(data, fields[i].name, name) != 0)
			continue;
		n = strnlen(data + name, length - name);
		if (!j->values[i].length)
			buf_append(&j->values[i], data + name, n < VALUE_MAX ? n : VALUE_MAX);
		return;
	}
}

static int read_entry(struct journal *j)
{
	const void *data;
	size_t length;
	int r;

	for (size_t i = 0; i < N_FIELDS; i++)
		buf_reset(&j->values[i]);
	sd_journal_restart_data(j->journal);
	while ((r = sd_journal_enumerate_available_data(j->journal, &data, &length)) > 0)
		take_data(j, data, length);
	return r;
}

static const char *make_subject(struct journal *j)
{
	buf_reset(&j->subject);
	if (j->values[FIELD_UNIT].length)
		buf_printf(&j->subject, "service:%s", buf_text(&j->values[FIELD_UNIT]));
	else
		buf_printf(&j->subject, "log:%s", buf_text(&j->values[FIELD_IDENTIFIER]));
	return buf_text(&j->subject);
}

/* Of the entry that was read */
static void make_row(struct journal *j, uint64_t usec, struct record_row *ret_row)
{
	const char *priority = buf_text(&j->values[FIELD_PRIORITY]);
	struct record_row row = { .time = (int64_t)usec * NS_PER_US, .priority = KITH_INFO };

	if (*priority >= '0' && *priority <= '7' && !priority[1])
		row.priority = (uint8_t)(*priority - '0');
	buf_reset(&j->texts);
	for (size_t i = 0; i < N_FIELDS; i++) {
		if (!fields[i].as || !j->values[i].length)
			continue;
		buf_append(&j->texts, fields[i].as, strlen(fields[i].as) + 1);
		buf_append(&j->texts, j->values[i].data, j->values[i].length + 1);
		row.n_fields++;
	}
	row.subject = make_subject(j);
	row.message = buf_text(&j->values[FIELD_MESSAGE]);
	row.fields = buf_text(&j->texts);
	row.end = row.fields + j->texts.length;
	*ret_row = row;
}

/* 1: the entry at hand fits, and is *ret_row; 0: it does not; -errno */
static int entry_fits(struct journal *j, struct record_row *ret_row)
{
	const struct query *q = j->query;
	uint64_t usec;
	int r = sd_journal_get_realtime_usec(j->journal, &usec);

	if (r < 0)
		return r == -EBADMSG || r == -EADDRNOTAVAIL ? 0 : r;
	if ((int64_t)usec * NS_PER_US < q->from || (int64_t)usec * NS_PER_US > q->to)
		return 0;
	r = read_entry(j);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	make_row(j, usec, ret_row);
	return ret_row->priority <= q->priority && query_subject(q, ret_row->subject, NULL) && query_fields(q, ret_row) &&
	       query_message(q, ret_row->message);
}

static bool go_on(struct journal *j)
{
	if (++j->since < PROGRESS_EVERY)
		return true;
	j->since = 0;
	return output_progress(j->out);
}

/* ---- its life ------------------------------------------------------------------------------------------------------- */

static int no_right(const char *folder)
{
	static const char *const places[] = { "/var/log/journal", "/run/log/journal" };

	if (folder)
		return access(folder, R_OK) < 0;
	for (int i = 0; i < 2; i++)
		if (access(places[i], F_OK) == 0 && access(places[i], R_OK | X_OK) == 0)
			return 0;
	return 1;
}

/* Those of a priority that counts: the journal has an index of that. One without a priority has none to be found by. */
static int add_matches(struct journal *j)
{
	char text[16];
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i <= j->query->priority && j->query->priority < KITH_INFO; i++) {
		snprintf(text, sizeof(text), "PRIORITY=%u", (unsigned)i);
		r = sd_journal_add_match(j->journal, text, 0);
	}
	return r;
}

int journal_new(const char *folder, const struct query *q, struct output *out, struct journal **ret_journal, struct buf *why)
{
	struct journal *j = calloc(1, sizeof(*j));
	uint64_t usage = 0;
	int r;

	if (!j)
		return -ENOMEM;
	j->query = q;
	j->out = out;
	r = folder ? sd_journal_open_directory(&j->journal, folder, 0) : sd_journal_open(&j->journal, SD_JOURNAL_LOCAL_ONLY);
	if (r >= 0) {
		sd_journal_set_data_threshold(j->journal, THRESHOLD);
		sd_journal_get_usage(j->journal, &usage);
		r = usage ? add_matches(j) : -ENODATA;
	}
	/* A folder that may be listed, and files that may not be read, look like none. */
	if (r == -EACCES || r == -EPERM || (r == -ENODATA && geteuid() != 0 && !no_right(folder)))
		buf_puts(why, "the system's journal is left out: there is none that this user may read");
	else if (r == -ENODATA || r == -ENOENT)
		buf_puts(why, "the system's journal is left out: there is none");
	else if (r < 0)
		buf_printf(why, "the system's journal is left out: %s", strerror(-r));
	if (r < 0) {
		journal_free(j);
		return r;
	}
	*ret_journal = j;
	return 0;
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	if (j->journal)
		sd_journal_close(j->journal);
	chunk_free(&j->chunk);
	for (size_t i = 0; i < N_FIELDS; i++)
		buf_free(&j->values[i]);
	buf_free(&j->subject);
	buf_free(&j->texts);
	free(j);
}

int journal_count(struct journal *j, uint64_t most, uint64_t *ret_count)
{
	struct record_row row;
	uint64_t count = 0, usec;
	int r;

	j->started = true;
	if (j->query->to < INT64_MAX)
		r = sd_journal_seek_realtime_usec(j->journal, (uint64_t)(j->query->to / NS_PER_US) + 1);
	else
		r = sd_journal_seek_tail(j->journal);
	while (r >= 0 && count < most && (r = sd_journal_previous(j->journal)) > 0) {
		if (sd_journal_get_realtime_usec(j->journal, &usec) >= 0 && (int64_t)usec * NS_PER_US < j->query->from)
			break;
		r = entry_fits(j, &row);
		count += r > 0;
		if (!go_on(j))
			return -EPIPE;
	}
	if (r < 0)
		return r;
	/* At the entry that the count ended with, which is the first to be given; or before all that there are. */
	j->at_entry = count == most && most;
	if (!j->at_entry && r == 0)
		r = sd_journal_seek_head(j->journal);
	*ret_count = count;
	return r < 0 ? r : 0;
}

int journal_next(struct journal *j, int64_t *ret_time, const uint8_t **ret_frame, size_t *ret_length)
{
	struct record_row row;
	int r = 0;

	if (!j->started && j->query->from > 0)
		r = sd_journal_seek_realtime_usec(j->journal, (uint64_t)(j->query->from / NS_PER_US));
	else if (!j->started)
		r = sd_journal_seek_head(j->journal);
	j->started = true;
	while (r >= 0 && (j->at_entry || (r = sd_journal_next(j->journal)) > 0)) {
		uint64_t usec;

		j->at_entry = false;
		if (!go_on(j))
			return -EPIPE;
		if (sd_journal_get_realtime_usec(j->journal, &usec) >= 0 && (int64_t)usec * NS_PER_US > j->query->to)
			return 0;
		r = entry_fits(j, &row);
		if (r <= 0)
			continue;
		j->chunk.length = j->chunk.n = 0;
		chunk_add(&j->chunk, &row, row.subject, "journal");
		if (j->chunk.failed)
			return -ENOMEM;
		if (!j->chunk.n)
			continue;
		*ret_time = row.time;
		*ret_frame = j->chunk.frames;
		*ret_length = j->chunk.length;
		return 1;
	}
	return r;
}

int journal_wait(struct journal *j, int fd)
{
	for (;;) {
		struct pollfd fds[2] = { { .fd = sd_journal_get_fd(j->journal) }, { .fd = fd } };
		int r;

		if (fds[0].fd < 0)
			return fds[0].fd;
		fds[0].events = (short)sd_journal_get_events(j->journal);
		if (poll(fds, 2, WAIT_MS) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents)
			return 0;
		r = sd_journal_process(j->journal);
		if (r < 0 || r != SD_JOURNAL_NOP)
			return r < 0 ? r : 1;
	}
}

#else

int journal_new(const char *folder, const struct query *q, struct output *out, struct journal **ret_journal, struct buf *why)
{
	(void)folder;
	(void)q;
	(void)out;
	(void)ret_journal;
	buf_puts(why, "the system's journal is left out: this kith-log was built without libsystemd");
	return -ENODATA;
}

void journal_free(struct journal *j)
{
	(void)j;
}

int journal_count(struct journal *j, uint64_t most, uint64_t *ret_count)
{
	(void)j;
	(void)most;
	(void)ret_count;
	return -ENODATA;
}

int journal_next(struct journal *j, int64_t *ret_time, const uint8_t **ret_frame, size_t *ret_length)
{
	(void)j;
	(void)ret_time;
	(void)ret_frame;
	(void)ret_length;
	return 0;
}

int journal_wait(struct journal *j, int fd)
{
	(void)j;
	(void)fd;
	return -ENODATA;
}

#endif
