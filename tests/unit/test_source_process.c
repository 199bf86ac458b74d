#include <check.h>
#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frames.h"
#include "source/process.h"

struct heard {
	unsigned n;
	struct kith_process_event last;
	char name[32];
};

static void on_event(const struct kith_process_event *e, void *user)
{
	struct heard *h = user;

	h->n++;
	h->last = *e;
	if (e->name)
		snprintf(h->name, sizeof(h->name), "%s", e->name);
}

/* ---- parsing ------------------------------------------------------------------------------------------------------ */

#define FRAME 92

/* A frame as the kernel makes it: event_data as six words */
static size_t frame(unsigned char *data, uint32_t what, const uint32_t words[6])
{
	struct nlmsghdr header = { .nlmsg_len = 76, .nlmsg_type = NLMSG_DONE };
	struct cn_msg cn = { .id = { CN_IDX_PROC, CN_VAL_PROC }, .len = 40 };
	uint64_t time = 1234567;

	memset(data, 0, FRAME);
	memcpy(data, &header, 16);
	memcpy(data + 16, &cn, 20);
	memcpy(data + 36, &what, 4);
	memcpy(data + 44, &time, 8);
	memcpy(data + 52, words, 24);
	return 76;
}

START_TEST(parse_recorded)
{
	static const struct { const char *name; uint32_t what; int32_t status; } frames[] = {
		{ "process_acknowledge", 0, 0 },
		{ "process_fork", KITH_PROCESS_FORK, 0 },
		{ "process_exec", KITH_PROCESS_EXEC, 0 },
		{ "process_name", KITH_PROCESS_NAME, 0 },
		{ "process_exit", KITH_PROCESS_EXIT, 0x100 },
	};
	unsigned char data[256];

	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		size_t n = frame_read(frames[i].name, data, sizeof(data));
		struct heard h = { 0 };

		ck_assert_int_eq(process_parse(data, n, on_event, &h), 0);
		ck_assert_uint_eq(h.n, frames[i].what != 0);
		ck_assert_uint_eq(h.last.what, frames[i].what);
		ck_assert_int_eq(h.last.status, frames[i].status);
		if (frames[i].what == KITH_PROCESS_NAME)
			ck_assert_str_eq(h.name, "renamed");
		if (frames[i].what == KITH_PROCESS_FORK || frames[i].what == KITH_PROCESS_EXIT)
			ck_assert_int_gt(h.last.parent, 0);
		for (size_t cut = 0; cut < n; cut++) {
			void *copy = exactly(data, cut);

			h = (struct heard){ 0 };
			ck_assert_int_eq(process_parse(copy, cut, on_event, &h), cut ? -EBADMSG : 0);
			ck_assert_uint_eq(h.n, 0);
			free(copy);
		}
	}
}
END_TEST

START_TEST(parse_fields)
{
	unsigned char data[FRAME * 2];
	struct heard h = { 0 };
	size_t n = frame(data, PROC_EVENT_FORK, (uint32_t[6]){ 11, 10, 20, 20 });

	ck_assert_int_eq(process_parse(data, n, on_event, &h), 0);
	ck_assert_int_eq(h.last.pid, 20);
	ck_assert_int_eq(h.last.parent, 10); /* the process, whichever of its threads it was */
	ck_assert_int_eq(h.last.time, 1234567);
	n = frame(data, PROC_EVENT_FORK, (uint32_t[6]){ 10, 10, 21, 20 }); /* a thread */
	ck_assert_int_eq(process_parse(data, n, on_event, &h), 0);
	n = frame(data, PROC_EVENT_EXIT, (uint32_t[6]){ 21, 20 });
	ck_assert_int_eq(process_parse(data, n, on_event, &h), 0);
	n = frame(data, PROC_EVENT_UID, (uint32_t[6]){ 20, 20 }); /* nobody can ask for it */
	ck_assert_int_eq(process_parse(data, n, on_event, &h), 0);
	n = frame(data, PROC_EVENT_EXEC, (uint32_t[6]){ (uint32_t)-5, (uint32_t)-5 });
	ck_assert_int_eq(process_parse(data, n, on_event, &h), 0);
	ck_assert_uint_eq(h.n, 1);
	n = frame(data, PROC_EVENT_EXIT, (uint32_t[6]){ 20, 20, 9, 17, 11, 10 });
	n += frame(data + n, PROC_EVENT_EXEC, (uint32_t[6]){ 30, 30 });
	ck_assert_int_eq(process_parse(data, n, on_event, &h), 0);
	ck_assert_uint_eq(h.n, 3);
	ck_assert_int_eq(h.last.pid, 30);
	/* A name that fills its field has no NUL */
	n = frame(data, PROC_EVENT_COMM, (uint32_t[6]){ 30, 30, 0x41414141, 0x41414141, 0x41414141, 0x41414141 });
	ck_assert_int_eq(process_parse(data, n, on_event, &h), 0);
	ck_assert_uint_eq(strlen(h.name), 16);
	data[16] = 9; /* another connector */
	ck_assert_int_eq(process_parse(data, n, on_event, &h), 0);
	ck_assert_uint_eq(h.n, 4);
}
END_TEST

/* ---- the program, run by the kernel on a socket pair --------------------------------------------------------------- */

static int pair[2] = { -1, -1 };

static void program_set(const struct kith_process_filter *filters, size_t n, size_t size)
{
	struct sock_filter program[PROCESS_BPF_MAX];
	struct sock_fprog prog = { .filter = program };
	int length = process_filter_program(filters, n, program, size);

	ck_assert_int_gt(length, 0);
	ck_assert_int_le(length, (int)size);
	prog.len = (unsigned short)length;
	if (pair[0] < 0)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), 0);
}

static bool passes_frame(const void *data, size_t n)
{
	unsigned char back[256];
	ssize_t got;

	ck_assert(send(pair[0], data, n, 0) == (ssize_t)n || errno == EPERM);
	got = recv(pair[1], back, sizeof(back), 0);
	ck_assert(got < 0 || got == (ssize_t)n); /* whole, or not at all */
	return got > 0;
}

static bool passes(uint32_t what, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	unsigned char data[FRAME];
	size_t n = frame(data, what, (uint32_t[6]){ a, b, c, d });

	return passes_frame(data, n);
}

static bool passes_name(uint32_t pid, uint32_t group, const char *name)
{
	uint32_t words[6] = { pid, group };
	unsigned char data[FRAME];
	char comm[16] = "";
	size_t n;

	snprintf(comm, sizeof(comm), "%s", name);
	memcpy(words + 2, comm, 16);
	n = frame(data, PROC_EVENT_COMM, words);
	return passes_frame(data, n);
}

START_TEST(program_some)
{
	const int32_t pids[] = { 100, 200, 0x01020304 };
	const char *const names[] = { "sshd", "exactly-fifteen", "a" };
	struct kith_process_filter f = { .size = sizeof(f), .all = KITH_PROCESS_EXEC,
		                         .some = KITH_PROCESS_EXIT | KITH_PROCESS_FORK | KITH_PROCESS_NAME, .pids = pids, .n_pids = 3,
		                         .names = names, .n_names = 3 };

	program_set(&f, 1, PROCESS_BPF_MAX);
	ck_assert(passes(PROC_EVENT_NONE, 0, 0, 0, 0)); /* the acknowledgement */
	ck_assert(passes(PROC_EVENT_EXEC, 7, 7, 0, 0));
	ck_assert(!passes(PROC_EVENT_EXEC, 8, 7, 0, 0)); /* a thread */
	ck_assert(passes(PROC_EVENT_EXIT, 100, 100, 0, 17));
	ck_assert(passes(PROC_EVENT_EXIT, 0x01020304, 0x01020304, 0, 17));
	ck_assert(!passes(PROC_EVENT_EXIT, 0x04030201, 0x04030201, 0, 17));
	ck_assert(!passes(PROC_EVENT_EXIT, 101, 101, 0, 17));
	ck_assert(!passes(PROC_EVENT_EXIT, 100, 200, 0, 17));
	ck_assert(passes(PROC_EVENT_FORK, 200, 200, 300, 300)); /* by its parent */
	ck_assert(passes(PROC_EVENT_FORK, 201, 200, 300, 300)); /* another thread of it */
	ck_assert(!passes(PROC_EVENT_FORK, 200, 200, 301, 300));
	ck_assert(!passes(PROC_EVENT_FORK, 300, 300, 200, 200));
	ck_assert(passes_name(100, 100, "anything"));
	ck_assert(passes_name(5, 5, "sshd"));
	ck_assert(passes_name(5, 5, "exactly-fifteen"));
	ck_assert(passes_name(5, 5, "a"));
	ck_assert(!passes_name(6, 5, "sshd"));
	ck_assert(!passes_name(5, 5, "sshd2"));
	ck_assert(!passes_name(5, 5, "ssh"));
	ck_assert(!passes_name(5, 5, "exactly-fifteem"));
	ck_assert(!passes_name(5, 5, ""));
	ck_assert(!passes(PROC_EVENT_UID, 100, 100, 0, 0));
	ck_assert(!passes(PROC_EVENT_PTRACE, 100, 100, 0, 0));
	ck_assert(!passes(0x40000000, 100, 100, 0, 0)); /* a core dump */
	ck_assert(!passes_frame("short", 5));
}
END_TEST

START_TEST(program_merged)
{
	const int32_t one[] = { 1 }, two[] = { 2 };
	struct kith_process_filter f[3] = { { .size = sizeof(f[0]), .some = KITH_PROCESS_EXIT, .pids = one, .n_pids = 1 },
		                            { .size = sizeof(f[0]), .some = KITH_PROCESS_FORK, .pids = two, .n_pids = 1 },
		                            { .size = sizeof(f[0]), .all = KITH_PROCESS_NAME } };

	program_set(f, 3, PROCESS_BPF_MAX);
	ck_assert(passes(PROC_EVENT_EXIT, 1, 1, 0, 0));
	ck_assert(!passes(PROC_EVENT_EXIT, 2, 2, 0, 0)); /* the other one's pids for the other one's events */
	ck_assert(passes(PROC_EVENT_FORK, 2, 2, 9, 9));
	ck_assert(!passes(PROC_EVENT_FORK, 1, 1, 9, 9));
	ck_assert(passes_name(77, 77, "x"));
	ck_assert(!passes_name(78, 77, "x"));
	ck_assert(!passes(PROC_EVENT_EXEC, 1, 1, 0, 0)); /* nobody asked */
	program_set(f, 1, PROCESS_BPF_MAX); /* replaced at once */
	ck_assert(!passes_name(77, 77, "x"));
	ck_assert(passes(PROC_EVENT_EXIT, 1, 1, 0, 0));
}
END_TEST

START_TEST(program_too_many)
{
	struct kith_process_filter f = { .size = sizeof(f), .some = KITH_PROCESS_EXIT | KITH_PROCESS_FORK, .n_pids = 1 };
	struct sock_filter program[PROCESS_BPF_MAX];
	int32_t pids[1000];

	for (int i = 0; i < 1000; i++)
		pids[i] = i + 1;
	f.pids = pids;
	for (uint32_t n = 1; n <= 1000; n = n < 180 ? n + 1 : n + 91) {
		f.n_pids = n;
		program_set(&f, 1, PROCESS_BPF_MAX);
		ck_assert(passes(PROC_EVENT_EXIT, n, n, 0, 0));
		ck_assert(passes(PROC_EVENT_EXIT, 1, 1, 0, 0));
		ck_assert(passes(PROC_EVENT_FORK, n, n, 5000, 5000));
		ck_assert(!passes(PROC_EVENT_EXEC, n, n, 0, 0));
		ck_assert(!passes(PROC_EVENT_EXIT, n, n + 1, 0, 0));
		/* Few: exactly those. More than fit: all. */
		ck_assert(passes(PROC_EVENT_EXIT, 4000, 4000, 0, 0) == (n > 180));
	}
	ck_assert_int_eq(process_filter_program(&f, 1, program, 10), -ENOSPC);
}
END_TEST

/* The subscribers' wishes, said once more and in another way */
static bool wished(const struct kith_process_filter *f, size_t n, uint32_t what, int32_t member, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (f[i].all & what)
			return true;
		if (!(f[i].some & what))
			continue;
		for (uint32_t p = 0; p < f[i].n_pids; p++)
			if (f[i].pids[p] == member)
				return true;
		for (uint32_t p = 0; what == KITH_PROCESS_NAME && p < f[i].n_names; p++)
			if (!strncmp(f[i].names[p], name, 15))
				return true;
	}
	return false;
}

START_TEST(program_random)
{
	static const char *const pool[] = { "a", "ab", "sshd", "cron", "abcdefghijklmno", "abcdefghijklmnopq", "abcdefghijklmn" };
	int32_t pids[3][8];
	const char *names[3][3];

	srand(42);
	for (int round = 0; round < 400; round++) {
		struct kith_process_filter f[3];
		size_t n = (size_t)(rand() % 3 + 1);

		for (size_t i = 0; i < n; i++) {
			f[i] = (struct kith_process_filter){ .size = sizeof(f[i]), .all = rand() % 4 ? 0 : (uint32_t)(rand() & 15),
				                             .some = (uint32_t)(rand() & 15), .pids = pids[i], .n_pids = (uint32_t)(rand() % 8),
				                             .names = names[i], .n_names = (uint32_t)(rand() % 3) };
			for (int k = 0; k < 8; k++)
				pids[i][k] = rand() % 12 + 1;
			for (int k = 0; k < 3; k++)
				names[i][k] = pool[rand() % 7];
		}
		program_set(f, n, PROCESS_BPF_MAX);
		for (uint32_t pid = 1; pid <= 13; pid++) {
			const char *name = pool[rand() % 7];
			int32_t p = (int32_t)pid;

			ck_assert(passes(PROC_EVENT_EXIT, pid, pid, 0, 0) == wished(f, n, KITH_PROCESS_EXIT, p, ""));
			ck_assert(passes(PROC_EVENT_EXEC, pid, pid, 0, 0) == wished(f, n, KITH_PROCESS_EXEC, p, ""));
			ck_assert(passes(PROC_EVENT_FORK, 50, pid, 60, 60) == wished(f, n, KITH_PROCESS_FORK, p, ""));
			ck_assert(passes_name(pid, pid, name) == wished(f, n, KITH_PROCESS_NAME, p, name));
		}
	}
}
END_TEST

START_TEST(not_allowed)
{
	struct kith_process_filter f = { .size = sizeof(f), .all = KITH_PROCESS_EXEC };
	struct process_listener listener = { 0 };
	struct process_source *source;
	struct process_sub *sub = NULL;
	struct loop *loop;

	/* As nobody a socket may be had or not (Linux 6.6 asks later); never a crash, and nothing is left */
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(process_source_new(loop, &source), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	if (process_subscribe(source, &f, &listener, &sub) == 0) {
		loop_run_once(loop, 50000000);
		process_unsubscribe(source, sub);
	} else {
		ck_assert_ptr_null(sub);
	}
	process_source_free(source);
	loop_free(loop);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	prctl(PR_SET_DUMPABLE, 1); /* the leak sanitizer looks at itself */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("source process");
	TCase *parse = tcase_create("parse"), *program = tcase_create("program"), *socket_case = tcase_create("socket");
	SRunner *runner;
	int failed;

	tcase_add_test(parse, parse_recorded);
	tcase_add_test(parse, parse_fields);
	tcase_add_test(program, program_some);
	tcase_add_test(program, program_merged);
	tcase_add_test(program, program_too_many);
	tcase_add_test(program, program_random);
	tcase_set_timeout(program, 60);
	tcase_add_test(socket_case, not_allowed);
	suite_add_tcase(s, parse);
	suite_add_tcase(s, program);
	suite_add_tcase(s, socket_case);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
