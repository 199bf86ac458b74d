/* kith status */
#include <stdio.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/status.h"

static json_t *journal_json(const Control__Journal *j)
{
	json_t *o = json_object();

	json_object_set_new(o, "samples", json_u64(j->samples));
	json_object_set_new(o, "bytes", json_u64(j->bytes));
	json_object_set_new(o, "ring", json_u64(j->ring));
	json_object_set_new(o, "disk", json_u64(j->disk));
	json_object_set_new(o, "segments", json_u64(j->segments));
	json_object_set_new(o, "unfolded", json_u64(j->unfolded));
	json_object_set_new(o, "dropped", json_u64(j->dropped));
	json_object_set_new(o, "written", json_u64(j->written));
	json_object_set_new(o, "appends", json_u64(j->appends));
	json_object_set_new(o, "off", *j->off ? json_text(j->off) : json_null());
	return o;
}

json_t *status_json(const Control__Status *s)
{
	json_t *o = json_object();

	json_object_set_new(o, "version", json_text(s->version));
	json_object_set_new(o, "host", json_text(s->host));
	json_object_set_new(o, "time", json_time(s->now));
	json_object_set_new(o, "started", json_time(s->started));
	json_object_set_new(o, "interval", json_double((double)s->interval / 1e9));
	json_object_set_new(o, "cpu_percent", json_double(s->cpu_percent));
	json_object_set_new(o, "rss", json_u64(s->rss));
	json_object_set_new(o, "anonymous", json_u64(s->anonymous));
	json_object_set_new(o, "wakeups", json_u64(s->wakeups));
	json_object_set_new(o, "families", json_u64(s->families));
	json_object_set_new(o, "series", json_u64(s->series));
	json_object_set_new(o, "records", json_u64(s->records));
	json_object_set_new(o, "record_store", json_pack("{s:o,s:o,s:o}", "kept", json_u64(s->records_kept), "dropped",
	                                                 json_u64(s->records_dropped), "size", json_u64((uint64_t)s->records_size)));
	json_object_set_new(o, "promises", json_pack("{s:o,s:o,s:o}", "kept", json_u64(s->kept), "broken", json_u64(s->broken),
	                                             "unknown", json_u64(s->unknown)));
	json_object_set_new(o, "plugins", json_pack("{s:o,s:o}", "running", json_u64(s->plugins_running), "other",
	                                            json_u64(s->plugins_other)));
	json_object_set_new(o, "clients", json_pack("{s:o,s:o,s:o,s:o}", "connected", json_u64(s->clients), "cut_off",
	                                            json_u64(s->clients_cut_off), "refused", json_u64(s->clients_refused),
	                                            "garbage", json_u64(s->clients_garbage)));
	json_object_set_new(o, "state_dir", json_text(s->state_dir));
	if (s->journal)
		json_object_set_new(o, "journal", journal_json(s->journal));
	return o;
}

static void line(const struct out *o, const char *label, enum out_color color, const char *value)
{
	struct buf b = BUF_INIT;

	out_clean(&b, value);
	printf("%s%-10s%s %s%s%s\n", out_on(o, OUT_DIM), label, out_off(o, OUT_DIM), out_on(o, color), buf_text(&b),
	       out_off(o, color));
	buf_free(&b);
}

static void journal_print(const struct out *o, const Control__Journal *j)
{
	char ring[UNIT_TEXT_MAX], disk[UNIT_TEXT_MAX];
	struct buf t = BUF_INIT;

	buf_printf(&t, "%llu samples of %.2f bytes, %s in memory, ", (unsigned long long)j->samples,
	           j->samples ? (double)j->bytes / (double)j->samples : 0, unit_format((double)j->ring, "B", ring, sizeof(ring)));
	if (*j->off)
		buf_printf(&t, "not written: %s", j->off);
	else if (j->on)
		buf_printf(&t, "%s on disk", unit_format((double)j->disk, "B", disk, sizeof(disk)));
	else
		buf_puts(&t, "not written: switched off");
	if (j->dropped)
		buf_printf(&t, ", %llu dropped", (unsigned long long)j->dropped);
	line(o, "journal", *j->off || j->dropped ? OUT_YELLOW : OUT_PLAIN, buf_text(&t));
	buf_free(&t);
}

static void status_print(const struct out *o, const Control__Status *s)
{
	char a[UNIT_TEXT_MAX], b[UNIT_TEXT_MAX];
	struct buf t = BUF_INIT;

	line(o, "host", OUT_BOLD, s->host);
	buf_printf(&t, "kithd %s, up %s, every %s", s->version, ago_text(s->started, s->now, a, sizeof(a)),
	           unit_format((double)s->interval / 1e9, "s", b, sizeof(b)));
	line(o, "daemon", OUT_PLAIN, buf_text(&t));
	buf_reset(&t);
	buf_printf(&t, "%.3f %% of a core, RSS %s, ", s->cpu_percent, unit_format((double)s->rss, "B", a, sizeof(a)));
	buf_printf(&t, "anonymous %s, %llu wake-ups", unit_format((double)s->anonymous, "B", a, sizeof(a)),
	           (unsigned long long)s->wakeups);
	line(o, "cost", OUT_PLAIN, buf_text(&t));
	buf_reset(&t);
	buf_printf(&t, "%llu broken, %llu unknown, %llu kept", (unsigned long long)s->broken, (unsigned long long)s->unknown,
	           (unsigned long long)s->kept);
	line(o, "promises", s->broken ? OUT_RED : s->unknown ? OUT_YELLOW : OUT_GREEN, buf_text(&t));
	buf_reset(&t);
	buf_printf(&t, "%llu running, %llu not", (unsigned long long)s->plugins_running, (unsigned long long)s->plugins_other);
	line(o, "plugins", OUT_PLAIN, buf_text(&t));
	buf_reset(&t);
	buf_printf(&t, "%llu of %llu families, %llu records", (unsigned long long)s->series, (unsigned long long)s->families,
	           (unsigned long long)s->records);
	line(o, "series", OUT_PLAIN, buf_text(&t));
	if (s->journal)
		journal_print(o, s->journal);
	buf_reset(&t);
	buf_printf(&t, "%llu kept, %llu dropped, %s on the disk", (unsigned long long)s->records_kept,
	           (unsigned long long)s->records_dropped, unit_format((double)s->records_size, "B", a, sizeof(a)));
	line(o, "records", s->records_dropped ? OUT_YELLOW : OUT_PLAIN, buf_text(&t));
	buf_reset(&t);
	buf_printf(&t, "%llu connected, %llu cut off, %llu refused, %llu closed for garbage", (unsigned long long)s->clients,
	           (unsigned long long)s->clients_cut_off, (unsigned long long)s->clients_refused,
	           (unsigned long long)s->clients_garbage);
	line(o, "clients", OUT_PLAIN, buf_text(&t));
	if (*s->state_dir)
		line(o, "kept in", OUT_PLAIN, s->state_dir);
	buf_free(&t);
}

static void on_status(const Control__Answer *answer, void *user)
{
	struct cli *cli = user;

	if (answer->is_case != CONTROL__ANSWER__IS_STATUS)
		return;
	if (cli->json)
		json_line_take(status_json(answer->status));
	else
		status_print(&cli->out, answer->status);
}

int cmd_status(struct cli *cli)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__StatusRequest status = CONTROL__STATUS_REQUEST__INIT;

	request.ask_case = CONTROL__REQUEST__ASK_STATUS;
	request.status = &status;
	return ask(cli, &request, on_status, cli);
}
