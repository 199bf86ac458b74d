/*
 * What the record store costs: records a second and core through it, in the loop's thread and in all, the ratio of compression, and how long
 * kith-log takes for the last page and to look through all of it. Lines of real logs, over and over, as a reader of logs would put them.
 *
 *   bench_records [--mib N] KITH-LOG [FILE…]
 *
 * N: how large the store becomes, 64 without. FILE: logs; without, those of /var/log that are there, and /dev/kmsg.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "control/control.pb-c.h"
#include "control/frame.h"
#include "store/records.h"

#define ROUNDS 7
#define FILE_MAX (64u << 20)

struct lines {
	char **line;
	size_t *length, n;
	const char *subject;
};

static const char *const usual[] = { "/var/log/dpkg.log", "/var/log/syslog", "/var/log/messages", "/var/log/kern.log", "/var/log/auth.log",
	                             "/var/log/apt/term.log", "/var/log/alternatives.log" };

static void fail(const char *what)
{
	fprintf(stderr, "bench_records: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void add_text(struct lines *l, char *text)
{
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (l->n % 1024 == 0) {
			l->line = realloc(l->line, (l->n + 1024) * sizeof(*l->line));
			l->length = realloc(l->length, (l->n + 1024) * sizeof(*l->length));
			if (!l->line || !l->length)
				fail("lines");
		}
		l->length[l->n] = strlen(line);
		l->line[l->n++] = line;
	}
}

static void add_file(struct lines *l, const char *path)
{
	size_t length;
	char *text;

	if (file_read_all(path, FILE_MAX, &text, &length) < 0)
		return;
	printf("# %s: %zu bytes\n", path, length);
	add_text(l, text);
}

static void add_kmsg(struct lines *l)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct buf all = BUF_INIT;
	char text[8192];
	ssize_t n;

	while (fd >= 0 && ((n = read(fd, text, sizeof(text) - 1)) > 0 || errno == EPIPE))
		if (n > 0) {
			char *message = memchr(text, ';', (size_t)n);

			text[n] = '\0';
			buf_printf(&all, "%.*s\n", (int)strcspn(message ? message + 1 : text, "\n"), message ? message + 1 : text);
		}
	if (fd >= 0)
		close(fd);
	if (all.length)
		printf("# /dev/kmsg: %zu bytes\n", all.length);
	if (all.length)
		add_text(l, buf_take(&all));
}

static int64_t process_cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * NS_PER_S + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * NS_PER_US;
}

static long anonymous_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	char line[256];
	long kib = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Anonymous: %ld kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* ---- in ------------------------------------------------------------------------------------------------------------- */

static void fill(const char *folder, const struct lines *l, int64_t size)
{
	struct records_config config = { .folder = folder, .max_size = 4 * size };
	int64_t wall = clock_wall() - 86400 * NS_PER_S, cpu, own = 0, all;
	struct records_counts c = { 0 };
	char pid[16] = "";
	struct kith_field fields[] = { { "identifier", "bench" }, { "pid", pid } };
	struct kith_record record = { .size = sizeof(record), .subject = "log:bench", .fields = fields, .n_fields = 2 };
	uint64_t n = 0, bytes = 0, rows = 0;
	long before = anonymous_kib();
	struct records *r;
	struct model *m;

	if (model_new(&m) < 0 || records_new(m, &config, &r) < 0)
		fail(folder);
	all = process_cpu();
	while (c.size < size) {
		/* A share at a time: the thread that packs comes after. What it then has to be waited for is not the store's. */
		cpu = clock_thread_cpu();
		for (int i = 0; i < 20000; i++, n++) {
			wall += 1000 * NS_PER_US;
			if (i % 100 == 0) {
				model_set_now(m, wall);
				snprintf(pid, sizeof(pid), "%d", 1000 + (int)(n / 100 % 30000));
			}
			record.time = wall - wall % NS_PER_US;
			record.priority = n % 97 ? KITH_INFO : KITH_WARNING;
			record.message = l->line[n % l->n];
			bytes += l->length[n % l->n] + 1;
			model_record(m, &record);
		}
		own += clock_thread_cpu() - cpu;
		rows += 20000;
		records_settle(r);
		records_counts(r, &c);
	}
	all = process_cpu() - all;
	printf("records          %llu, %.0f bytes a line, %llu dropped\n", (unsigned long long)rows, (double)bytes / (double)rows,
	       (unsigned long long)c.dropped);
	printf("loop's thread    %.0f ns a record\n", (double)own / (double)rows);
	printf("in all           %.0f ns a record: %.2f million a second and core\n", (double)all / (double)rows, (double)rows * 1e3 / (double)all);
	printf("on the disk      %.1f MiB: 1:%.1f of the lines, %.1f bytes a record\n", (double)c.size / 1048576,
	       (double)bytes / (double)c.size, (double)c.size / (double)rows);
	printf("memory           %ld KiB anonymous more than before, at rest\n", anonymous_kib() - before);
	records_free(r);
	model_free(m);
}

/* ---- out ------------------------------------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* ms from the start of the program to the end of its output; *ret_bytes of output */
static double run_once(const char *program, const char *folder, const Control__LogRequest *ask, size_t *ret_bytes, double *ret_cpu)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	uint8_t frame[4096];
	struct rusage usage;
	int in[2], out[2];
	int64_t begin;
	char data[65536];
	ssize_t n;
	size_t length;
	pid_t pid;

	request.ask_case = CONTROL__REQUEST__ASK_LOG;
	request.log = (Control__LogRequest *)(uintptr_t)ask;
	length = control__request__pack(&request, frame + FRAME_HEADER);
	frame_put_length(frame, length);
	if (pipe(in) < 0 || pipe(out) < 0 || write(in[1], frame, FRAME_HEADER + length) < 0)
		fail("pipe");
	close(in[1]);
	begin = clock_mono();
	pid = fork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(out[0]);
		execl(program, program, "--state-dir", folder, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	*ret_bytes = 0;
	while ((n = read(out[0], data, sizeof(data))) > 0)
		*ret_bytes += (size_t)n;
	close(out[0]);
	wait4(pid, NULL, 0, &usage);
	*ret_cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
	return (double)(clock_mono() - begin) / 1e6;
}

static void ask(const char *what, const char *program, const char *folder, const char *grep, const char *field, uint32_t last)
{
	Control__LogRequest request = CONTROL__LOG_REQUEST__INIT;
	char *fields[] = { (char *)(uintptr_t)field };
	double times[ROUNDS], cpu[ROUNDS];
	size_t bytes = 0;

	request.grep = (char *)(uintptr_t)(grep ? grep : "");
	request.fields = fields;
	request.n_fields = field ? 1 : 0;
	request.last = last;
	request.sources = 1;
	for (int i = 0; i < ROUNDS; i++)
		times[i] = run_once(program, folder, &request, &bytes, &cpu[i]);
	qsort(times, ROUNDS, sizeof(times[0]), by_value);
	qsort(cpu, ROUNDS, sizeof(cpu[0]), by_value);
	printf("%-40s %8.1f ms (least %.1f), CPU %.1f ms, %zu bytes\n", what, times[ROUNDS / 2], times[0], cpu[ROUNDS / 2], bytes);
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/kith-bench-XXXXXX", command[128];
	struct lines l = { 0 };
	int64_t mib = 64;
	int at = 1;

	if (at + 1 < argc && !strcmp(argv[at], "--mib")) {
		mib = atoll(argv[at + 1]);
		at += 2;
	}
	if (at >= argc || mib < 1) {
		fprintf(stderr, "usage: bench_records [--mib N] KITH-LOG [FILE...]\n");
		return 2;
	}
	mallopt(M_ARENA_MAX, 1);
	for (int i = at + 1; i < argc; i++)
		add_file(&l, argv[i]);
	for (size_t i = 0; at + 1 == argc && i < sizeof(usual) / sizeof(usual[0]); i++)
		add_file(&l, usual[i]);
	if (at + 1 == argc)
		add_kmsg(&l);
	if (!l.n || !mkdtemp(folder))
		fail("no lines");
	fill(folder, &l, mib << 20);
	ask("the last 50", argv[at], folder, NULL, NULL, 50);
	ask("grep of a word that is nowhere", argv[at], folder, "quetzalcoatl", NULL, 0);
	ask("grep of a whole word that is nowhere", argv[at], folder, " quetzalcoatl ", NULL, 0);
	ask("grep of either of two that are nowhere", argv[at], folder, "quetzal|coatl", NULL, 0);
	ask("a field's value of one in 30000", argv[at], folder, NULL, "pid=1007", 50);
	ask("grep without a plain text, the last 50", argv[at], folder, "[q][u][e]tz", NULL, 50);
	if (getenv("KITH_BENCH_KEEP"))
		return printf("# kept: %s\n", folder) < 0;
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command) != 0;
}
