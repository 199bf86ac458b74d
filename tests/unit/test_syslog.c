/* The syslog plugin over real sockets, without kithd: its streams' lines, its options, its counts, its limits. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_host.h"
#include "syslog/frame.h"

#define NS_PER_S INT64_C(1000000000)

extern const struct kith_plugin kith_plugin;

/* ---- frames ---------------------------------------------------------------------------------------------------------- */

struct heard {
	char text[4096];
};

static void on_line(char *text, size_t length, bool cut, size_t whole, void *user)
{
	struct heard *h = user;
	size_t n = strlen(h->text);

	snprintf(h->text + n, sizeof(h->text) - n, "[%.*s%s", length > 40 ? 6 : (int)length, text, cut ? "~" : "");
	if (whole)
		snprintf(h->text + strlen(h->text), sizeof(h->text) - strlen(h->text), "=%zu", whole);
	strcat(h->text, "]");
	text[length] = '!';
}

/* Examples of RFC 6587 and what else is met; %L: 9000 times x, %M: 8192 times */
static const struct {
	const char *data, *lines, *rest;
} frames[] = {
	{ "<13>a\n<13>b\n", "[<13>a][<13>b]", "" },
	{ "<13>a\n<13>b", "[<13>a]", "<13>b" },
	{ "5 <13>a6 <13>bb", "[<13>a=5][<13>bb=6]", "" },
	{ "5 <13>a\n6 <13>bb\n", "[<13>a=5][<13>bb=6]", "" },
	{ "7 <13>a\nb<13>c\n", "[<13>a\nb=7][<13>c]", "" },
	{ "5 <13>a<13>b\n5 <13>c", "[<13>a=5][<13>b][<13>c=5]", "" },
	{ "5 <13>", "", "5 <13>" },
	{ "5 ", "", "5 " },
	{ "5", "", "5" },
	{ "5 apples\n", "[5 apples]", "" },
	{ "2026-11-28T00:59:58Z h t: x\n", "[2026-11-28T00:59:58Z h t: x]", "" },
	{ "12345678 <13>a\n", "[12345678 <13>a]", "" },
	{ "05 <13>a\n", "[05 <13>a]", "" },
	{ "\n\n\r\n<13>a\n", "[\r][<13>a]", "" },
	{ "<13>a\r\n", "[<13>a\r]", "" },
	{ "%L\n<13>a\n", "[xxxxxx~][<13>a]", "" },
	{ "%M\n<13>a\n", "[xxxxxx][<13>a]", "" },
	{ "9004 <13>%L<13>a\n", "[<13>xx~=9004][<13>a]", "" },
	{ "8196 <13>%M5 <13>a", "[<13>xx~=8196][<13>a=5]", "" },
	{ "", "", "" },
};

static size_t expand(const char *from, char *to)
{
	char *at = to;

	for (; *from; from++) {
		size_t n = from[0] == '%' ? from[1] == 'L' ? 9000 : 8192 : 0;

		if (n) {
			memset(at, 'x', n);
			at += n;
			from++;
		} else {
			*at++ = *from;
		}
	}
	return (size_t)(at - to);
}

START_TEST(streams)
{
	for (size_t i = 0; i < KITH_COUNT(frames); i++) {
		char data[32768];
		struct heard h = { "" };
		struct frame f = { 0 };
		size_t n = expand(frames[i].data, data), done;

		done = frame_parse(&f, data, n, on_line, &h);
		ck_assert_msg(!strcmp(h.text, frames[i].lines), "%s: %s", frames[i].data, h.text);
		ck_assert_msg(n - done == strlen(frames[i].rest) && !memcmp(data + done, frames[i].rest, n - done), "%s: rest", frames[i].data);
	}
}
END_TEST

START_TEST(streams_in_pieces)
{
	for (size_t i = 0; i < KITH_COUNT(frames); i++)
		for (size_t piece = 1; piece < 20; piece++) {
			char data[32768], buffer[32768];
			struct heard h = { "" };
			struct frame f = { 0 };
			size_t n = expand(frames[i].data, data), rest = 0;

			for (size_t at = 0; at < n; at += piece) {
				size_t m = n - at < piece ? n - at : piece, done;

				memcpy(buffer + rest, data + at, m);
				done = frame_parse(&f, buffer, rest + m, on_line, &h);
				rest = rest + m - done;
				memmove(buffer, buffer + done, rest);
				ck_assert_uint_lt(rest, FRAME_REST_MAX);
			}
			ck_assert_msg(!strcmp(h.text, frames[i].lines), "%s by %zu: %s", frames[i].data, piece, h.text);
			ck_assert_uint_eq(rest, strlen(frames[i].rest));
		}
}
END_TEST

START_TEST(ends_of_streams)
{
	static const struct {
		const char *data, *lines;
	} table[] = { { "<13>a", "[<13>a]" }, { "9 <13>a", "[<13>a~=9]" }, { "9 ", "[9 ]" }, { "", "" } };

	for (size_t i = 0; i < KITH_COUNT(table); i++) {
		char data[64];
		struct heard h = { "" };
		struct frame f = { 0 };

		strcpy(data, table[i].data);
		frame_end(&f, data, strlen(data), on_line, &h);
		ck_assert_str_eq(h.text, table[i].lines);
	}
}
END_TEST

/* ---- the plugin -------------------------------------------------------------------------------------------------------- */

static struct fake_host *f;
static char tree[64], path[128], instance[200];

static void begin(void)
{
	fake_tree_new(tree);
	snprintf(path, sizeof(path), "%s/log", tree);
	snprintf(instance, sizeof(instance), "unix:%s", path);
	f = fake_host_new(&kith_plugin, "");
	fake_host_option(f, "sockets", path);
}

static void end(void)
{
	fake_host_free(f);
	fake_tree_free(tree);
}

static double count(const char *metric)
{
	char name[300];

	snprintf(name, sizeof(name), "syslog:%s:%s", instance, metric);
	return fake_host_value(f, name);
}

static int connect_to(const char *to)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(address.sun_path, to);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Whatever descriptor it watches */
static void fire(void)
{
	for (int fd = 3; fd < 64; fd++)
		fake_host_fd(f, fd, KITH_READ);
}

START_TEST(nothing_without_an_option)
{
	f = fake_host_new(&kith_plugin, "");
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_ptr_nonnull(strstr(f->note, "no socket is asked for"));
	fake_host_free(f);
}
END_TEST

START_TEST(bad_options)
{
	static const char *const bad[] = { "514", "localhost:514", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:514", "[::1]", "[::1]:", "127.0.0.1:5x" };

	for (size_t i = 0; i < KITH_COUNT(bad); i++) {
		f = fake_host_new(&kith_plugin, "");
		fake_host_option(f, i % 2 ? "udp" : "tcp", bad[i]);
		ck_assert_msg(fake_host_start(f) == -EINVAL, "%s", bad[i]);
		ck_assert_ptr_nonnull(strstr(f->note, i % 2 ? "udp: " : "tcp: "));
		fake_host_free(f);
	}
	f = fake_host_new(&kith_plugin, "");
	fake_host_option(f, "sockets", "dev/log");
	ck_assert_int_eq(fake_host_start(f), -EINVAL);
	fake_host_free(f);
}
END_TEST

START_TEST(a_local_line)
{
	struct stat st;
	char want[200];
	int fd;

	begin();
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert(stat(path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 07777) == 0666);
	ck_assert(count("received") == 0);
	fd = connect_to(path);
	ck_assert_int_eq(send(fd, "<30>Nov 14 22:13:20 app[7]: hello", 33, 0), 33);
	ck_assert_int_eq(send(fd, "<30>app: again", 14, 0), 14);
	fire();
	ck_assert_uint_eq(f->n_records, 2);
	snprintf(want, sizeof(want), "6 log:app hello pid=7 facility=daemon sender=%d uid=%d", (int)getpid(), (int)getuid());
	ck_assert_str_eq(fake_host_record(f, "hello"), want);
	snprintf(want, sizeof(want), "6 log:app again facility=daemon pid=%d uid=%d", (int)getpid(), (int)getuid());
	ck_assert_str_eq(fake_host_record(f, "again"), want);
	fake_host_advance(f, 2 * NS_PER_S);
	ck_assert(count("received") == 2 && count("dropped") == 0 && count("bytes") == 47 && count("lost") == 0);
	close(fd);
	fake_host_stop(f);
	ck_assert(stat(path, &st) < 0);
	end();
}
END_TEST

START_TEST(long_lines_are_cut)
{
	char line[20000] = "<30>app: ";
	int fd;

	begin();
	ck_assert_int_eq(fake_host_start(f), 0);
	fd = connect_to(path);
	memset(line + 9, 'x', sizeof(line) - 9);
	ck_assert_int_eq(send(fd, line, sizeof(line), 0), (ssize_t)sizeof(line));
	fire();
	ck_assert_uint_eq(f->n_records, 1);
	fake_host_stop(f);
	ck_assert(count("bytes") != count("bytes")); /* it ended */
	close(fd);
	end();
}
END_TEST

/* One that nobody listens on is replaced, one that somebody listens on is left alone, and so is what is no socket. */
START_TEST(what_is_there_already)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), other;
	struct stat st;

	begin();
	strcpy(address.sun_path, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_ptr_nonnull(strstr(f->note, "somebody else listens there"));
	close(fd);
	fake_host_advance(f, 20 * NS_PER_S);
	ck_assert_ptr_null(f->note);
	other = connect_to(path);
	ck_assert_int_eq(send(other, "<13>x", 5, 0), 5);
	fire();
	ck_assert_uint_eq(f->n_records, 1);
	close(other);
	/* Another's under the name at the end is left, too. */
	unlink(path);
	ck_assert_int_eq(fake_write(tree, "/log", "a file"), 0);
	fake_host_stop(f);
	ck_assert(stat(path, &st) == 0 && S_ISREG(st.st_mode));
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_ptr_nonnull(f->note);
	fake_host_stop(f);
	ck_assert(stat(path, &st) == 0 && S_ISREG(st.st_mode));
	end();
}
END_TEST

/* As kithd tells it, then all that came */
static void path_event(uint32_t what)
{
	fake_host_file(f, path, "", what);
	fire();
}

/* Its file is removed: made again at once; who is connected to the old socket is heard on, and what waits in it is not lost. */
START_TEST(the_file_is_removed)
{
	struct stat st;
	int old, new;

	begin();
	ck_assert_int_eq(fake_host_start(f), 0);
	old = connect_to(path);
	path_event(KITH_FILE_ADDED); /* its own */
	ck_assert_uint_eq(f->n_logs, 0);
	ck_assert_int_eq(send(old, "<13>a: waits", 12, 0), 12);
	ck_assert_int_eq(unlink(path), 0);
	path_event(KITH_FILE_REMOVED);
	ck_assert_ptr_null(f->note);
	ck_assert_ptr_nonnull(strstr(f->last_log, "made again"));
	ck_assert(stat(path, &st) == 0 && (st.st_mode & 07777) == 0666);
	new = connect_to(path);
	ck_assert_int_eq(send(new, "<13>a: new", 10, 0), 10);
	ck_assert_int_eq(send(old, "<13>a: old", 10, 0), 10);
	fire();
	ck_assert_ptr_nonnull(fake_host_record(f, " waits "));
	ck_assert_ptr_nonnull(fake_host_record(f, " new "));
	ck_assert_ptr_nonnull(fake_host_record(f, " old "));
	ck_assert_uint_eq(f->n_records, 3);
	/* Once more: the oldest ends, after what was sent to it. */
	ck_assert_int_eq(send(old, "<13>a: end", 10, 0), 10);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert_ptr_nonnull(fake_host_record(f, " end "));
	ck_assert_int_lt(send(old, "<13>a: no", 9, MSG_NOSIGNAL), 0);
	ck_assert_int_eq(send(new, "<13>a: on", 9, 0), 9);
	fire();
	fake_host_advance(f, 2 * NS_PER_S);
	ck_assert(count("received") == 5 && f->n_records == 5);
	ck_assert_int_eq(send(new, "<13>a: last", 11, 0), 11);
	fake_host_stop(f);
	ck_assert_ptr_nonnull(fake_host_record(f, " last "));
	ck_assert(stat(path, &st) < 0);
	close(old);
	close(new);
	end();
}
END_TEST

/* Another's has its path: left alone and said, while who is connected to the old one is heard; taken when it is gone. */
START_TEST(the_file_is_taken_over)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int other = socket(AF_UNIX, SOCK_DGRAM, 0), fd;

	begin();
	strcpy(address.sun_path, path);
	ck_assert_int_eq(fake_host_start(f), 0);
	fd = connect_to(path);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(bind(other, (struct sockaddr *)&address, sizeof(address)), 0);
	path_event(KITH_FILE_REMOVED);
	path_event(KITH_FILE_ADDED);
	ck_assert_ptr_nonnull(strstr(f->note, "somebody else listens there; tried again every 10 s"));
	ck_assert_int_eq(send(fd, "<13>a: x", 8, 0), 8);
	fake_host_advance(f, 20 * NS_PER_S);
	fire();
	ck_assert_ptr_nonnull(strstr(f->note, "somebody else listens there"));
	ck_assert_uint_eq(f->n_records, 1);
	/* It ends, and leaves its file. */
	close(other);
	fake_host_advance(f, 20 * NS_PER_S);
	ck_assert_ptr_null(f->note);
	close(fd);
	fd = connect_to(path);
	ck_assert_int_eq(send(fd, "<13>a: y", 8, 0), 8);
	fire();
	fake_host_advance(f, 2 * NS_PER_S);
	ck_assert(f->n_records == 2 && count("received") == 2);
	/* And one that takes it with it: noticed at once */
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(fake_write(tree, "/log", "a file"), 0);
	path_event(KITH_FILE_REMOVED);
	ck_assert_ptr_nonnull(f->note);
	ck_assert_int_eq(unlink(path), 0);
	path_event(KITH_FILE_REMOVED);
	ck_assert_ptr_null(f->note);
	close(fd);
	end();
}
END_TEST

/* Who removes it again and again does not keep kithd busy; a folder that comes back brings the old socket. */
START_TEST(the_file_is_always_removed)
{
	char away[200];
	struct stat st;
	unsigned made = 0;

	begin();
	ck_assert_int_eq(fake_host_start(f), 0);
	for (int i = 0; i < 20; i++) {
		made += unlink(path) == 0;
		path_event(KITH_FILE_REMOVED);
	}
	ck_assert_uint_le(made, 6);
	ck_assert_ptr_nonnull(strstr(f->note, "tried again every 10 s"));
	fake_host_advance(f, 20 * NS_PER_S);
	ck_assert(stat(path, &st) == 0);
	ck_assert_ptr_null(f->note);
	snprintf(away, sizeof(away), "%s/away", tree);
	ck_assert_int_eq(rename(path, away), 0);
	path_event(KITH_FILE_REMOVED);
	ck_assert_ptr_nonnull(f->note);
	ck_assert_int_eq(rename(away, path), 0);
	fake_host_advance(f, 20 * NS_PER_S);
	ck_assert_ptr_null(f->note);
	fake_host_stop(f);
	ck_assert(stat(path, &st) < 0);
	end();
}
END_TEST

/* Without a priority it is user.notice. */
START_TEST(without_a_priority)
{
	int fd;

	begin();
	ck_assert_int_eq(fake_host_start(f), 0);
	fd = connect_to(path);
	ck_assert_int_eq(send(fd, "no pri at all", 13, 0), 13);
	ck_assert_int_eq(send(fd, "<192>too much", 13, 0), 13);
	ck_assert_int_eq(send(fd, "<189>45: *Nov 14 22:13:20.5: %SYS-5-CONFIG_I: x", 47, 0), 47);
	fire();
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "no pri"), "5 log:- no pri at all facility=user "));
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "too much"), "5 log:- <192>too much facility=user "));
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "CONFIG_I"), "5 log:%SYS-5-CONFIG_I x facility=local7 sequence=45 "));
	close(fd);
	end();
}
END_TEST

/* More than a source may bring: what is left is counted, and said after a while. */
START_TEST(a_flood)
{
	unsigned sent = 0;
	int fd;

	begin();
	fake_host_option(f, "rate", "1");
	fake_host_option(f, "burst", "100");
	ck_assert_int_eq(fake_host_start(f), 0);
	fd = connect_to(path);
	for (int round = 0; round < 100; round++) {
		while (send(fd, "<13>a: x", 8, MSG_DONTWAIT) == 8)
			sent++;
		fire();
	}
	fire();
	ck_assert_uint_gt(sent, 200);
	ck_assert_uint_ge(f->n_records, 100);
	ck_assert_uint_le(f->n_records, 105);
	fake_host_advance(f, 2 * NS_PER_S);
	ck_assert(count("received") == sent);
	ck_assert(count("dropped") == sent - (double)f->n_records);
	ck_assert_ptr_null(fake_host_record(f, "were dropped"));
	fake_host_advance(f, 10 * NS_PER_S);
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "were dropped"), "4 syslog:dropped "));
	close(fd);
	end();
}
END_TEST

static int connect_port(int type, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

START_TEST(from_the_network)
{
	char port[64];
	uint16_t number = (uint16_t)(20000 + getpid() % 20000);
	int udp, tcp;

	f = fake_host_new(&kith_plugin, "");
	snprintf(port, sizeof(port), "127.0.0.1:%u", number);
	fake_host_option(f, "udp", port);
	fake_host_option(f, "tcp", port);
	ck_assert_int_eq(fake_host_start(f), 0);
	if (f->note) { /* somebody has the port */
		fake_host_free(f);
		return;
	}
	udp = connect_port(SOCK_DGRAM, number);
	ck_assert_int_eq(send(udp, "<34>1 - host app 1 - - one", 26, 0), 26);
	fire();
	ck_assert_str_eq(fake_host_record(f, " one "), "2 log:app one host=host pid=1 facility=auth from=127.0.0.1");
	tcp = connect_port(SOCK_STREAM, number);
	fire();
	ck_assert_int_eq(send(tcp, "<34>app: two\n12 <34>a: three<34>app: fo", 39, 0), 39);
	fire();
	ck_assert_ptr_nonnull(fake_host_record(f, " two "));
	ck_assert_ptr_nonnull(fake_host_record(f, " three "));
	ck_assert_ptr_null(fake_host_record(f, " fo"));
	ck_assert_int_eq(send(tcp, "ur\n<34>app: last", 16, 0), 16);
	fire();
	ck_assert_ptr_nonnull(fake_host_record(f, " four "));
	close(tcp);
	fire();
	ck_assert_ptr_nonnull(fake_host_record(f, " last "));
	snprintf(instance, sizeof(instance), "tcp:%s", port);
	fake_host_advance(f, 2 * NS_PER_S);
	ck_assert(count("received") == 4 && count("clients") == 0);
	close(udp);
	fake_host_free(f);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("syslog");
	TCase *tcase = tcase_create("syslog");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, streams);
	tcase_add_test(tcase, streams_in_pieces);
	tcase_add_test(tcase, ends_of_streams);
	tcase_add_test(tcase, nothing_without_an_option);
	tcase_add_test(tcase, bad_options);
	tcase_add_test(tcase, a_local_line);
	tcase_add_test(tcase, long_lines_are_cut);
	tcase_add_test(tcase, what_is_there_already);
	tcase_add_test(tcase, the_file_is_removed);
	tcase_add_test(tcase, the_file_is_taken_over);
	tcase_add_test(tcase, the_file_is_always_removed);
	tcase_add_test(tcase, without_a_priority);
	tcase_add_test(tcase, a_flood);
	tcase_add_test(tcase, from_the_network);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
