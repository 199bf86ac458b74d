#include "store/fold/rrdfile.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The structures of the format are in a header that wants to be asked for, and that includes this one: before, or it would miss them. */
#include <rrd.h>
#define RRD_EXPORT_DEPRECATED
#include <rrd_format.h>

#include "base/clock.h"

#define SOURCES_MAX 1024u
#define RRAS_MAX 256u
#define ROWS_MAX (1u << 26)
#define STEP_MAX (366 * 86400u)
#define READ_AT_ONCE (64u << 10) /* bytes */

_Static_assert(RRD_HEAD_FIRST >= sizeof(stat_head_t), "what says how long a head is");

/* Where the parts of the head are: all are multiples of 8 bytes but the preparation of sources, whose size is one too. */
struct parts {
	const stat_head_t *stat;
	const ds_def_t *sources;
	const rra_def_t *archives;
	const live_head_t *live;
	const rra_ptr_t *rows;
};

static void parts_of(const uint8_t *head, struct parts *ret_parts)
{
	const stat_head_t *stat = (const void *)head;
	const uint8_t *at = head + sizeof(*stat);
	struct parts p = { .stat = stat };

	p.sources = (const void *)at;
	at += stat->ds_cnt * sizeof(*p.sources);
	p.archives = (const void *)at;
	at += stat->rra_cnt * sizeof(*p.archives);
	p.live = (const void *)at;
	at += sizeof(*p.live) + stat->ds_cnt * sizeof(pdp_prep_t) + stat->ds_cnt * stat->rra_cnt * sizeof(cdp_prep_t);
	p.rows = (const void *)at;
	*ret_parts = p;
}

int rrd_head_length(const uint8_t *first, size_t length, size_t *ret_length, size_t *ret_fixed)
{
	stat_head_t stat;
	size_t fixed;

	if (length < sizeof(stat))
		return -EBADMSG;
	memcpy(&stat, first, sizeof(stat));
	if (memcmp(stat.cookie, RRD_COOKIE, sizeof(stat.cookie)) != 0 || stat.float_cookie != FLOAT_COOKIE)
		return -EBADMSG;
	if (memcmp(stat.version, RRD_VERSION3, 5) && memcmp(stat.version, RRD_VERSION4, 5) && memcmp(stat.version, RRD_VERSION5, 5))
		return -EBADMSG;
	if (!stat.ds_cnt || stat.ds_cnt > SOURCES_MAX || !stat.rra_cnt || stat.rra_cnt > RRAS_MAX || !stat.pdp_step || stat.pdp_step > STEP_MAX)
		return -EBADMSG;
	fixed = sizeof(stat) + stat.ds_cnt * sizeof(ds_def_t) + stat.rra_cnt * sizeof(rra_def_t);
	*ret_fixed = fixed;
	*ret_length = fixed + sizeof(live_head_t) + stat.ds_cnt * sizeof(pdp_prep_t) + stat.ds_cnt * stat.rra_cnt * sizeof(cdp_prep_t) +
	              stat.rra_cnt * sizeof(rra_ptr_t);
	return 0;
}

int rrd_head_check(const uint8_t *head, size_t length, uint64_t *ret_rows)
{
	size_t wanted, fixed;
	uint64_t rows = 0;
	struct parts p;

	if (rrd_head_length(head, length, &wanted, &fixed) < 0 || wanted != length)
		return -EBADMSG;
	parts_of(head, &p);
	for (unsigned long i = 0; i < p.stat->ds_cnt; i++)
		if (!p.sources[i].ds_nam[0] || !memchr(p.sources[i].ds_nam, 0, DS_NAM_SIZE) || !memchr(p.sources[i].dst, 0, DST_SIZE))
			return -EBADMSG;
	for (unsigned long i = 0; i < p.stat->rra_cnt; i++) {
		const rra_def_t *a = &p.archives[i];

		if (!memchr(a->cf_nam, 0, CF_NAM_SIZE) || !a->row_cnt || a->row_cnt > ROWS_MAX || !a->pdp_cnt || a->pdp_cnt > ROWS_MAX ||
		    p.rows[i].cur_row >= a->row_cnt)
			return -EBADMSG;
		rows += a->row_cnt;
	}
	if (p.live->last_up < 0 || p.live->last_up > INT64_MAX / NS_PER_S / 2 || p.live->last_up_usec < 0 || p.live->last_up_usec >= 1000000)
		return -EBADMSG;
	*ret_rows = rows * p.stat->ds_cnt * sizeof(rrd_value_t);
	return 0;
}

static int read_at(int fd, void *data, size_t length, uint64_t offset)
{
	uint8_t *at = data;

	while (length) {
		ssize_t n = pread(fd, at, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EBADMSG;
		at += n;
		offset += (uint64_t)n;
		length -= (size_t)n;
	}
	return 0;
}

static int head_read(struct rrd_file *f)
{
	uint8_t first[RRD_HEAD_FIRST];
	uint64_t rows;
	struct parts p;
	int r;

	if (f->size < sizeof(first))
		return -EBADMSG;
	r = read_at(f->fd, first, sizeof(first), 0);
	if (r == 0)
		r = rrd_head_length(first, sizeof(first), &f->head_length, &f->fixed);
	if (r < 0)
		return r;
	if (f->head_length > f->size)
		return -EBADMSG;
	f->head = malloc(f->head_length);
	if (!f->head)
		return -ENOMEM;
	r = read_at(f->fd, f->head, f->head_length, 0);
	if (r == 0)
		r = rrd_head_check(f->head, f->head_length, &rows);
	if (r < 0)
		return r;
	if (f->size - f->head_length < rows)
		return -EBADMSG;
	parts_of(f->head, &p);
	f->n_sources = (unsigned)p.stat->ds_cnt;
	f->n_archives = (unsigned)p.stat->rra_cnt;
	f->step = (int64_t)p.stat->pdp_step * NS_PER_S;
	f->last = p.live->last_up * NS_PER_S + p.live->last_up_usec * NS_PER_US;
	return 0;
}

int rrd_file_open(int folder, const char *path, struct rrd_file *ret_file)
{
	struct rrd_file f = { .fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) };
	struct stat st;
	int r;

	if (f.fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	if (fstat(f.fd, &st) < 0)
		r = -errno;
	else
		r = S_ISREG(st.st_mode) ? 0 : -EBADMSG;
	if (r == 0) {
		f.size = (uint64_t)st.st_size;
		r = head_read(&f);
	}
	if (r < 0) {
		rrd_file_close(&f);
		return r;
	}
	*ret_file = f;
	return 0;
}

void rrd_file_close(struct rrd_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->head);
	*f = (struct rrd_file){ .fd = -1 };
}

const char *rrd_file_source_name(const struct rrd_file *f, unsigned source)
{
	struct parts p;

	parts_of(f->head, &p);
	return p.sources[source].ds_nam;
}

int rrd_file_source(const struct rrd_file *f, const char *name, bool *ret_gauge)
{
	struct parts p;

	parts_of(f->head, &p);
	for (unsigned i = 0; i < f->n_sources; i++)
		if (!strcmp(p.sources[i].ds_nam, name)) {
			*ret_gauge = !strcmp(p.sources[i].dst, "GAUGE");
			return (int)i;
		}
	return -1;
}

void rrd_file_archive(const struct rrd_file *f, unsigned archive, struct rrd_archive *ret_archive)
{
	static const char *const names[] = { "AVERAGE", "MIN", "MAX", "LAST" };
	struct rrd_archive a = { .function = RRD_OTHER };
	const rra_def_t *def;
	struct parts p;

	parts_of(f->head, &p);
	def = &p.archives[archive];
	for (unsigned i = 0; i < RRD_OTHER; i++)
		if (!strcmp(def->cf_nam, names[i]))
			a.function = (enum rrd_function)i;
	a.row = (int64_t)def->pdp_cnt * f->step;
	a.rows = def->row_cnt;
	a.newest = f->last - f->last % a.row;
	*ret_archive = a;
}

int rrd_file_read(const struct rrd_file *f, unsigned archive, unsigned source, int64_t first, int64_t last, double *ret_values)
{
	size_t width = f->n_sources * sizeof(double), n, done = 0, at_once = READ_AT_ONCE / width ? READ_AT_ONCE / width : 1;
	uint64_t offset = f->head_length, row;
	struct rrd_archive a;
	struct parts p;
	double *block;
	int r = 0;

	parts_of(f->head, &p);
	rrd_file_archive(f, archive, &a);
	n = (size_t)((last - first) / a.row + 1);
	if (first > last || last > a.newest || n + (uint64_t)((a.newest - last) / a.row) > a.rows)
		return -EINVAL;
	for (unsigned i = 0; i < archive; i++)
		offset += p.archives[i].row_cnt * width;
	row = (p.rows[archive].cur_row + a.rows - (uint64_t)((a.newest - first) / a.row)) % a.rows;
	block = malloc(at_once * width);
	if (!block)
		return -ENOMEM;
	while (done < n) {
		size_t some = n - done < at_once ? n - done : at_once;

		some = a.rows - row < some ? (size_t)(a.rows - row) : some;
		r = read_at(f->fd, block, some * width, offset + row * width);
		if (r < 0)
			break;
		for (size_t i = 0; i < some; i++)
			ret_values[done++] = block[i * f->n_sources + source];
		row = (row + some) % a.rows;
	}
	free(block);
	return r;
}
