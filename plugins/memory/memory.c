/* memory: what the host's memory is used for, from /proc/meminfo */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin.h"

/* What is read, in the file's order */
enum {
	TOTAL, FREE, AVAILABLE, BUFFERS, CACHED, ACTIVE, INACTIVE, UNEVICTABLE, LOCKED, DIRTY, WRITEBACK, ANONYMOUS, MAPPED,
	SHARED, SLAB_RECLAIMABLE, SLAB_UNRECLAIMABLE, KERNEL_STACK, PAGE_TABLES, COMMIT_LIMIT, COMMITTED, VMALLOC_USED,
	PER_CPU, ANONYMOUS_HUGE, HUGEPAGES_TOTAL, HUGEPAGES_FREE, HUGEPAGES_RESERVED,
	N_PUT, HUGEPAGE_SIZE = N_PUT,
	N_KEYS,
};
/* What is worked out takes the places behind */
enum { USED = N_PUT, USED_PERCENT, AVAILABLE_PERCENT, N_METRICS };
_Static_assert((int)N_METRICS >= (int)N_KEYS, "the keys are read into the array of the metrics");

static const struct kith_key keys[N_KEYS] = {
	[TOTAL] = KITH_KEY("MemTotal:"),
	[FREE] = KITH_KEY("MemFree:"),
	[AVAILABLE] = KITH_KEY("MemAvailable:"), /* since 3.14 */
	[BUFFERS] = KITH_KEY("Buffers:"),
	[CACHED] = KITH_KEY("Cached:"),
	[ACTIVE] = KITH_KEY("Active:"),
	[INACTIVE] = KITH_KEY("Inactive:"),
	[UNEVICTABLE] = KITH_KEY("Unevictable:"),
	[LOCKED] = KITH_KEY("Mlocked:"),
	[DIRTY] = KITH_KEY("Dirty:"),
	[WRITEBACK] = KITH_KEY("Writeback:"),
	[ANONYMOUS] = KITH_KEY("AnonPages:"),
	[MAPPED] = KITH_KEY("Mapped:"),
	[SHARED] = KITH_KEY("Shmem:"),
	[SLAB_RECLAIMABLE] = KITH_KEY("SReclaimable:"),
	[SLAB_UNRECLAIMABLE] = KITH_KEY("SUnreclaim:"),
	[KERNEL_STACK] = KITH_KEY("KernelStack:"),
	[PAGE_TABLES] = KITH_KEY("PageTables:"),
	[COMMIT_LIMIT] = KITH_KEY("CommitLimit:"),
	[COMMITTED] = KITH_KEY("Committed_AS:"),
	[VMALLOC_USED] = KITH_KEY("VmallocUsed:"),
	[PER_CPU] = KITH_KEY("Percpu:"), /* since 4.19 */
	[ANONYMOUS_HUGE] = KITH_KEY("AnonHugePages:"),
	[HUGEPAGES_TOTAL] = KITH_KEY("HugePages_Total:"),
	[HUGEPAGES_FREE] = KITH_KEY("HugePages_Free:"),
	[HUGEPAGES_RESERVED] = KITH_KEY("HugePages_Rsvd:"),
	[HUGEPAGE_SIZE] = KITH_KEY("Hugepagesize:"),
};

#define BYTES(text) "B", text, NULL, KITH_GAUGE, 0
static const struct kith_metric metrics[N_METRICS] = {
	[TOTAL] = { "total", BYTES("all that the kernel can use") },
	[FREE] = { "free", BYTES("used for nothing at all") },
	[AVAILABLE] = { "available", BYTES("what programs can have without swapping, the kernel's estimate") },
	[BUFFERS] = { "buffers", BYTES("cache of block devices") },
	[CACHED] = { "cached", BYTES("cache of files, shared memory included") },
	[ACTIVE] = { "active", BYTES("used lately") },
	[INACTIVE] = { "inactive", BYTES("not used lately, the first to be reclaimed") },
	[UNEVICTABLE] = { "unevictable", BYTES("cannot be reclaimed") },
	[LOCKED] = { "locked", BYTES("locked by programs (mlock)") },
	[DIRTY] = { "dirty", BYTES("waiting to be written to a disk") },
	[WRITEBACK] = { "writeback", BYTES("being written to a disk") },
	[ANONYMOUS] = { "anonymous", BYTES("of programs, without a file behind") },
	[MAPPED] = { "mapped", BYTES("files that programs have mapped") },
	[SHARED] = { "shared", BYTES("shared memory and tmpfs") },
	[SLAB_RECLAIMABLE] = { "slab_reclaimable", BYTES("the kernel's objects that it can drop: names, inodes") },
	[SLAB_UNRECLAIMABLE] = { "slab_unreclaimable", BYTES("the kernel's objects that it needs") },
	[KERNEL_STACK] = { "kernel_stack", BYTES("kernel stacks of the tasks") },
	[PAGE_TABLES] = { "page_tables", BYTES("page tables") },
	[COMMIT_LIMIT] = { "commit_limit", BYTES("what may be promised to programs when overcommit is off") },
	[COMMITTED] = { "committed", BYTES("what has been promised to programs") },
	[VMALLOC_USED] = { "vmalloc_used", BYTES("the kernel's large allocations") },
	[PER_CPU] = { "per_cpu", BYTES("the kernel's data for each processor") },
	[ANONYMOUS_HUGE] = { "anonymous_huge", BYTES("the part of anonymous in transparent huge pages") },
	[HUGEPAGES_TOTAL] = { "hugepages_total", BYTES("set aside as huge pages of the default size") },
	[HUGEPAGES_FREE] = { "hugepages_free", BYTES("the part of these that nobody has taken") },
	[HUGEPAGES_RESERVED] = { "hugepages_reserved", BYTES("the part of the free ones that is promised") },
	[USED] = { "used", BYTES("total without free, buffers, cached and both slabs") },
	[USED_PERCENT] = { "used_percent", "%", "used in percent of total", NULL, KITH_GAUGE, 0 },
	[AVAILABLE_PERCENT] = { "available_percent", "%", "available in percent of total", NULL, KITH_GAUGE, 0 },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "memory", "What the host's memory is used for", NULL, metrics, N_METRICS, 0 },
};

struct state {
	const struct kith_host *h;
	int fd;
	kith_id id;
	uint32_t at[N_KEYS];
};

/* In place: `v` has N_KEYS numbers as the kernel gives them, and room for N_METRICS values */
static void work_out(double *v)
{
	double hugepage = v[HUGEPAGE_SIZE] * 1024, unused; /* its place is USED's from here on */
	unsigned i;

	for (i = 0; i < HUGEPAGES_TOTAL; i++)
		v[i] *= 1024; /* kB of the kernel's is KiB */
	for (; i <= HUGEPAGES_RESERVED; i++)
		v[i] *= hugepage; /* these count pages */
	unused = v[FREE] + v[BUFFERS] + v[CACHED] + v[SLAB_RECLAIMABLE] + v[SLAB_UNRECLAIMABLE];
	v[USED] = unused <= v[TOTAL] ? v[TOTAL] - unused : (double)NAN;
	v[USED_PERCENT] = v[TOTAL] > 0 ? 100 * v[USED] / v[TOTAL] : (double)NAN;
	v[AVAILABLE_PERCENT] = v[TOTAL] > 0 ? 100 * v[AVAILABLE] / v[TOTAL] : (double)NAN;
}

static int sample(void *user)
{
	struct state *s = user;
	double values[N_METRICS];
	size_t length;
	char *text;
	int r;

	r = s->h->read(s->h, s->fd, &text, &length);
	if (r < 0)
		return r;
	if (kith_scan_keys(text, length, keys, N_KEYS, s->at, values) == 0)
		return -EBADMSG;
	work_out(values);
	return s->h->put_all(s->h, s->id, values, N_METRICS);
}

static void fini(void *state)
{
	struct state *s = state;

	close(s->fd);
	free(s);
}

static int init(const struct kith_host *h, void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	s->fd = r = h->open(h, "/proc/meminfo");
	if (r < 0) {
		h->log(h, KITH_ERR, "cannot open /proc/meminfo: %s: mount proc there", strerror(-r));
		goto fail;
	}
	r = h->series(h, 0, NULL, &s->id);
	if (r < 0)
		goto fail_close;
	r = h->sample(h, sample, s, NULL);
	if (r < 0)
		goto fail_close;
	*ret_state = s;
	return 0;

fail_close:
	close(s->fd);
fail:
	free(s);
	return r;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "memory",
	.version = "1",
	.help = "What the host's memory is used for",
	.provides = KITH_PROVIDES_SAMPLES,
	.needs = KITH_NEEDS_PROCFS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.init = init,
	.fini = fini,
	.hears = "/proc/meminfo on the tick",
	.costs = "25 us a tick",
};
