#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "processes/processes.h"

/* The number that an entry of /proc stands for; 0: none */
static int32_t entry_pid(const char *name)
{
	int64_t v = 0;

	if (*name < '1' || *name > '9')
		return 0;
	for (; *name; name++) {
		if (*name < '0' || *name > '9' || v > INT32_MAX / 10)
			return 0;
		v = v * 10 + (*name - '0');
	}
	return v <= INT32_MAX ? (int32_t)v : 0;
}

/* Every entry of /proc. Read with getdents itself: readdir would hold 32 KiB for each scan. */
static int each_entry(int dir, int (*fn)(const struct dirent64 *entry, void *user), void *user)
{
	_Alignas(struct dirent64) char buffer[4096];
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (r >= 0 && (n = getdents64(fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t at = 0; at < n && r >= 0;) {
			const struct dirent64 *entry = (const void *)(buffer + at);

			at += entry->d_reclen;
			r = fn(entry, user);
		}
	}
	if (r >= 0 && n < 0)
		r = -errno;
	close(fd);
	return r < 0 ? r : 0;
}

struct each {
	int (*fn)(int32_t pid, void *user);
	void *user;
	int n;
};

static int each_pid(const struct dirent64 *entry, void *user)
{
	struct each *e = user;
	int32_t pid = entry_pid(entry->d_name);

	if (!pid)
		return 0;
	e->n++;
	return e->fn(pid, e->user);
}

int proc_each(int dir, int (*fn)(int32_t pid, void *user), void *user)
{
	struct each e = { fn, user, 0 };
	int r = each_entry(dir, each_pid, &e);

	return r < 0 ? r : e.n;
}

struct tally {
	int dir;
	uint64_t pids, others;
};

static int tally_entry(const struct dirent64 *entry, void *user)
{
	struct tally *t = user;
	struct stat st;

	if (entry_pid(entry->d_name))
		t->pids++;
	else if (entry->d_type == DT_DIR)
		t->others++;
	else if (entry->d_type == DT_UNKNOWN && fstatat(t->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		t->others += S_ISDIR(st.st_mode);
	return 0;
}

int proc_count(int dir, uint64_t *ret_pids, uint64_t *ret_others)
{
	struct tally t = { .dir = dir };
	int r = each_entry(dir, tally_entry, &t);

	if (r < 0)
		return r;
	*ret_pids = t.pids;
	*ret_others = t.others;
	return 0;
}

/* One file of a process, at most size - 1 bytes, ended with NUL. Its length or -errno. */
static int read_file(int dir, int32_t pid, const char *file, char *text, size_t size)
{
	char path[40];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%d/%s", pid, file);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	n = n < 0 ? -errno : n;
	close(fd);
	if (n >= 0)
		text[n] = '\0';
	return (int)n;
}

int proc_name(int dir, int32_t pid, char *name, size_t size)
{
	int n = read_file(dir, pid, "comm", name, size);

	if (n > 0 && name[n - 1] == '\n')
		name[--n] = '\0';
	return n;
}

int proc_program(int dir, int32_t pid, char *name, size_t size)
{
	char text[4096], *slash;
	int n = read_file(dir, pid, "cmdline", text, sizeof(text));

	if (n < 0)
		return n;
	/* argv[0] ends with NUL; a process that writes its own title may put anything there */
	slash = strrchr(text, '/');
	n = snprintf(name, size, "%s", slash ? slash + 1 : text);
	return n < (int)size ? n : -ENAMETOOLONG;
}

int proc_stat_parse(const char *text, struct proc_stat *ret)
{
	/* The name may hold blanks and parentheses: what follows the last one is plain */
	const char *s = strrchr(text, ')');
	struct proc_stat stat = { 0 };
	char *end;

	if (!s || s[1] != ' ' || !s[2] || s[3] != ' ')
		return -EBADMSG;
	stat.state = s[2];
	s += 3;
	/* From field 4, the parent, to field 24, the resident pages */
	for (int field = 4; field <= 24; field++) {
		s += strspn(s, " ");
		if (field == 14 || field == 15)
			stat.cpu += strtoull(s, NULL, 10);
		else if (field == 20)
			stat.threads = strtol(s, &end, 10);
		else if (field == 22)
			stat.start = strtoull(s, NULL, 10);
		else if (field == 24)
			stat.pages = strtoull(s, NULL, 10);
		if (field == 20 && end == s)
			return -EBADMSG;
		s += strcspn(s, " ");
	}
	*ret = stat;
	return 0;
}

int proc_stat(int dir, int32_t pid, struct proc_stat *ret)
{
	char text[1024];
	int n = read_file(dir, pid, "stat", text, sizeof(text));

	return n < 0 ? n : proc_stat_parse(text, ret);
}

enum proc_life proc_life(int dir, int32_t pid, struct proc_stat *ret)
{
	struct proc_stat stat;

	if (proc_stat(dir, pid, &stat) < 0)
		return PROC_GONE;
	if (ret)
		*ret = stat;
	if (stat.state != 'Z' && stat.state != 'X' && stat.state != 'x')
		return PROC_LIVES;
	return stat.threads > 1 ? PROC_HEADLESS : PROC_GONE;
}
