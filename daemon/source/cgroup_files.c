#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "source/cgroup.h"

static const struct { enum cgroup_watch_kind file; const char *key; enum kith_cgroup_count count; } keys[] = {
	{ WATCH_EVENTS, "populated", KITH_CGROUP_POPULATED },
	{ WATCH_EVENTS, "frozen", KITH_CGROUP_FROZEN },
	{ WATCH_MEMORY, "low", KITH_CGROUP_LOW },
	{ WATCH_MEMORY, "high", KITH_CGROUP_HIGH },
	{ WATCH_MEMORY, "max", KITH_CGROUP_MAX },
	{ WATCH_MEMORY, "oom", KITH_CGROUP_OOM },
	{ WATCH_MEMORY, "oom_kill", KITH_CGROUP_OOM_KILL },
	{ WATCH_MEMORY, "oom_group_kill", KITH_CGROUP_OOM_GROUP },
	{ WATCH_PIDS, "max", KITH_CGROUP_PIDS_MAX },
	{ READ_LOCAL, "high", KITH_CGROUP_OWN_HIGH },
	{ READ_LOCAL, "max", KITH_CGROUP_OWN_MAX },
	{ READ_LOCAL, "oom_kill", KITH_CGROUP_OWN_KILL },
};

struct line {
	const char *key;
	size_t length; /* of the key; 0: this line is not of that form */
	uint64_t value;
};

/* "KEY NUMBER\n" at *p, which is moved to the next line */
static struct line parse_line(const char **p)
{
	const char *key = *p, *end = strchrnul(key, '\n'), *blank = memchr(key, ' ', (size_t)(end - key)), *s = blank;
	struct line line = { .key = key };

	*p = *end ? end + 1 : end;
	/* Without its end it may be half a number */
	if (*end && blank && kith_scan_u64(&s, &line.value) == 0 && s == end)
		line.length = (size_t)(blank - key);
	return line;
}

static bool line_is(const struct line *line, const char *key)
{
	return line->length == strlen(key) && !memcmp(line->key, key, line->length);
}

void cgroup_parse(enum cgroup_watch_kind kind, const char *text, uint32_t *known, uint64_t *counts)
{
	while (*text) {
		struct line line = parse_line(&text);

		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			if (keys[i].file != kind || !line_is(&line, keys[i].key))
				continue;
			counts[keys[i].count] = keys[i].count <= KITH_CGROUP_FROZEN ? line.value != 0 : line.value;
			*known |= 1u << keys[i].count;
		}
	}
}

bool cgroup_parse_oom_control(const char *text, uint64_t *ret_kills, bool *ret_under)
{
	bool found = false;

	while (*text) {
		struct line line = parse_line(&text);

		if (line_is(&line, "under_oom")) {
			*ret_under = line.value != 0;
		} else if (line_is(&line, "oom_kill")) {
			*ret_kills = line.value;
			found = true;
		}
	}
	return found;
}

const char *cgroup_path(struct cgroup_reader *c, const struct cgroup_node *node, const char *file)
{
	buf_reset(&c->path);
	buf_printf(&c->path, "%s%s%s%s%s", source_env(c->source)->root, c->trees[node->tree].at, node->path, *file ? "/" : "", file);
	return buf_text(&c->path);
}

int cgroup_read(struct cgroup_reader *c, const struct cgroup_node *node, const char *file, char *text, size_t size)
{
	int fd = open(cgroup_path(c, node, file), O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	n = n < 0 ? -errno : n;
	close(fd);
	if (n >= 0)
		text[n] = '\0';
	return (int)n;
}

const char *cgroup_file_name(const struct cgroup_node *node, enum cgroup_watch_kind kind)
{
	static const char *const names[KITH_CGROUP_TREES][READ_LOCAL + 1] = {
		[KITH_CGROUP_V2] = { "", "cgroup.events", "memory.events", "pids.events", "cgroup.subtree_control",
		                     "memory.events.local" },
		[KITH_CGROUP_V1_MEMORY] = { [WATCH_DIR] = "", [WATCH_MEMORY] = "memory.limit_in_bytes" },
		[KITH_CGROUP_V1_PIDS] = { [WATCH_DIR] = "", [WATCH_PIDS] = "pids.events" },
	};

	return names[node->tree][kind];
}
