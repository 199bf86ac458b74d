/* Whole trees: events of fanotify taken apart, and what the file plugin makes of them */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>

#include "fake_host.h"
#include "source/tree.h"
#include "sources/tree.h"

extern const struct kith_plugin kith_plugin;

#define MS INT64_C(1000000)
#define S (1000 * MS)
#define INFO_OLD 10
#define INFO_NEW 12
#define MASK_RENAME UINT64_C(0x10000000)

/* ---- frames ------------------------------------------------------------------------------------------------------ */

struct frame {
	unsigned char data[1024];
	size_t length;
};

static void frame_begin(struct frame *f, uint64_t mask, int32_t pid)
{
	struct fanotify_event_metadata m = { .event_len = sizeof(m), .vers = FANOTIFY_METADATA_VERSION, .metadata_len = sizeof(m), .mask = mask,
		                             .fd = FAN_NOFD, .pid = pid };

	memset(f, 0x5a, sizeof(*f));
	memcpy(f->data, &m, sizeof(m));
	f->length = sizeof(m);
}

/* As the kernel writes it: the header, the file system's number, the handle, the name, padding to 4 bytes */
static void frame_piece(struct frame *f, uint8_t type, uint64_t fsid, const char *handle, const char *name)
{
	uint32_t bytes = (uint32_t)strlen(handle), length, event;
	int32_t handle_type = 1;
	size_t n = name ? strlen(name) + 1 : 0, at = f->length;
	struct fanotify_event_info_header h = { .info_type = type };

	length = (uint32_t)(sizeof(h) + 16 + bytes + n + 3) & ~3u;
	h.len = (uint16_t)length;
	memset(f->data + at, 0, length);
	memcpy(f->data + at, &h, sizeof(h));
	memcpy(f->data + at + 4, &fsid, 8);
	memcpy(f->data + at + 12, &bytes, 4);
	memcpy(f->data + at + 16, &handle_type, 4);
	memcpy(f->data + at + 20, handle, bytes);
	if (name)
		memcpy(f->data + at + 20 + bytes, name, n);
	f->length += length;
	event = (uint32_t)f->length;
	memcpy(f->data, &event, 4);
}

static void frame_create(struct frame *f)
{
	frame_begin(f, FAN_CREATE | FAN_CLOSE_WRITE, 42);
	frame_piece(f, FAN_EVENT_INFO_TYPE_DFID_NAME, 7, "dirhandle", "na\nme");
	frame_piece(f, FAN_EVENT_INFO_TYPE_FID, 7, "file", NULL);
}

static void frame_rename(struct frame *f)
{
	frame_begin(f, MASK_RENAME | FAN_ONDIR, 43);
	frame_piece(f, INFO_OLD, 7, "olddir", "old");
	frame_piece(f, INFO_NEW, 7, "newdir", "new");
}

START_TEST(an_event)
{
	struct tree_frame e;
	struct frame f;

	frame_create(&f);
	ck_assert_uint_eq(tree_parse(f.data, f.length + 100, &e), f.length);
	ck_assert(e.mask == (FAN_CREATE | FAN_CLOSE_WRITE) && e.pid == 42);
	ck_assert_str_eq(e.at.name, "na\nme");
	ck_assert(e.at.dir.fsid == 7 && e.at.dir.bytes == 9 && !memcmp(e.at.dir.handle, "dirhandle", 9));
	ck_assert(e.target.bytes == 4 && !memcmp(e.target.handle, "file", 4));
	ck_assert_ptr_null(e.from.name);
	frame_rename(&f);
	ck_assert_uint_eq(tree_parse(f.data, f.length, &e), f.length);
	ck_assert_str_eq(e.from.name, "old");
	ck_assert_str_eq(e.at.name, "new");
	ck_assert(!tree_key_same(&e.from.dir, &e.at.dir) && tree_key_same(&e.at.dir, &e.at.dir));
	frame_begin(&f, FAN_ATTRIB | FAN_ONDIR, 1);
	frame_piece(&f, FAN_EVENT_INFO_TYPE_DFID, 7, "self", NULL);
	ck_assert(tree_parse(f.data, f.length, &e) && !strcmp(e.at.name, "."));
	frame_begin(&f, FAN_Q_OVERFLOW, 0);
	ck_assert(tree_parse(f.data, f.length, &e) && e.mask == FAN_Q_OVERFLOW && !e.at.name);
	/* A piece of a newer kernel is passed over. */
	frame_begin(&f, FAN_DELETE, 1);
	frame_piece(&f, 200, 1, "x", "y");
	frame_piece(&f, FAN_EVENT_INFO_TYPE_DFID_NAME, 7, "d", "z");
	ck_assert(tree_parse(f.data, f.length, &e) && !strcmp(e.at.name, "z"));
}
END_TEST

/* The frame lies at the end of what is allocated: a byte too far is seen by the sanitizers. */
static size_t parse_exact(const struct frame *f, size_t length, struct tree_frame *e)
{
	unsigned char *copy = malloc(length ? length : 1);
	size_t n;

	memcpy(copy, f->data, length);
	n = tree_parse(copy, length, e);
	if (n && e->at.name)
		ck_assert_ptr_nonnull(memchr(e->at.name, '\0', (size_t)(copy + length - (const unsigned char *)e->at.name)));
	free(copy);
	return n;
}

START_TEST(cut_anywhere)
{
	struct tree_frame e;
	struct frame f;

	for (int kind = 0; kind < 2; kind++) {
		(kind ? frame_rename : frame_create)(&f);
		for (size_t n = 0; n < f.length; n++) {
			uint32_t event = (uint32_t)n;
			struct frame cut = f;

			ck_assert_uint_eq(parse_exact(&f, n, &e), 0);
			/* And with a length that says so */
			memcpy(cut.data, &event, 4);
			ck_assert_uint_eq(parse_exact(&cut, n, &e), n < sizeof(struct fanotify_event_metadata) ? 0 : n);
		}
		ck_assert_uint_eq(parse_exact(&f, f.length, &e), f.length);
	}
}
END_TEST

START_TEST(damaged)
{
	const size_t piece = sizeof(struct fanotify_event_metadata);
	struct tree_frame e;
	struct frame f;

	frame_create(&f);
	f.data[4]++; /* another version */
	ck_assert_uint_eq(parse_exact(&f, f.length, &e), 0);
	for (unsigned v = 0; v < 256; v++) { /* any length of a handle */
		frame_create(&f);
		f.data[piece + 12] = (unsigned char)v;
		ck_assert_uint_eq(parse_exact(&f, f.length, &e), f.length);
		ck_assert(!e.at.name || e.at.dir.bytes == v);
	}
	for (unsigned v = 0; v < 256; v++) { /* any length of a piece */
		frame_create(&f);
		f.data[piece + 2] = (unsigned char)v;
		ck_assert_uint_eq(parse_exact(&f, f.length, &e), f.length);
	}
	frame_begin(&f, FAN_CREATE, 1);
	frame_piece(&f, FAN_EVENT_INFO_TYPE_DFID_NAME, 7, "d", "../x");
	ck_assert(parse_exact(&f, f.length, &e) && !e.at.name);
}
END_TEST

START_TEST(within)
{
	ck_assert(tree_within("/srv", "/srv") && tree_within("/srv/a/b", "/srv") && tree_within("/", "/") && tree_within("/a", "/"));
	ck_assert(!tree_within("/srvx", "/srv") && !tree_within("/sr", "/srv") && !tree_within("/", "/srv") && !tree_within("/b/srv", "/srv"));
}
END_TEST

/* ---- the plugin -------------------------------------------------------------------------------------------------- */

static struct fake_host *f;
static char root[64];

static void begin(void)
{
	fake_tree_new(root);
	f = fake_host_new(&kith_plugin, root);
}

static void end(void)
{
	fake_host_free(f);
	fake_tree_free(root);
}

static void settle(int status)
{
	struct kith_tree_event e = { .size = sizeof(e), .what = KITH_TREE_SETTLED, .status = status, .count = 1, .time = f->now, .path = "/srv", .program = "" };

	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_TREE, &e), 0);
}

static void start(void)
{
	fake_host_option(f, "trees", "/srv/");
	ck_assert_int_eq(fake_host_start(f), 0);
	settle(0);
}

static void happens(uint32_t what, uint32_t flags, uint32_t count, const char *path, const char *old)
{
	struct kith_tree_event e = { .size = sizeof(e), .what = what, .flags = flags, .pid = 99, .count = count, .time = f->now, .path = path,
		                     .old_path = old, .program = "vi" };

	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_TREE, &e), 0);
}

static void batch(void)
{
	fake_host_advance(f, S);
}

static double value(const char *metric)
{
	char name[64];

	snprintf(name, sizeof(name), "tree:/srv:%s", metric);
	return fake_host_value(f, name);
}

START_TEST(nobody_names_a_tree)
{
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_TREE), 0);
	fake_host_want(f, 1, "*", true);
	fake_host_want(f, 1, "/srv/*", true);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_TREE), 0);
	fake_host_want(f, 1, "/srv", true);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_TREE), 1);
	ck_assert_str_eq(((const struct kith_tree_filter *)fake_host_filter(f, KITH_SOURCE_TREE, 0))->path, "/srv");
	settle(0);
	happens(KITH_TREE_CREATED, 0, 1, "/srv/x", NULL);
	fake_host_want(f, 1, "/srv", false);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_TREE), 0);
	ck_assert(!fake_host_has(f, "tree", "/srv"));
	batch();
	ck_assert_uint_eq(f->n_records, 0);
}
END_TEST

START_TEST(counted_and_recorded)
{
	start();
	ck_assert_str_eq(fake_host_state(f, "tree:/srv:state"), "watched");
	ck_assert_int_eq(fake_write(root, "/srv/a", "four"), 0);
	happens(KITH_TREE_CREATED, 0, 1, "/srv/a", NULL);
	happens(KITH_TREE_CHANGED, 0, 1, "/srv/a", NULL);
	ck_assert_uint_eq(f->n_records, 0);
	batch();
	ck_assert(value("created") == 1 && value("changed") == 1 && value("removed") == 0 && value("lost") == 0);
	ck_assert_uint_eq(f->n_records, 1);
	ck_assert_ptr_nonnull(fake_host_record(f, "tree:/srv /srv/a was created by vi (99) change=created path=/srv/a pid=99 program=vi size=4"));
	happens(KITH_TREE_CHANGED, 0, 1, "/srv/a", NULL);
	batch();
	ck_assert_ptr_nonnull(fake_host_record(f, "/srv/a was changed by vi (99)"));
	happens(KITH_TREE_ATTR, 0, 1, "/srv/a", NULL);
	batch();
	ck_assert_ptr_nonnull(fake_host_record(f, "change=attributes"));
	happens(KITH_TREE_REMOVED, 0, 1, "/srv/a", NULL);
	batch();
	ck_assert_ptr_nonnull(fake_host_record(f, "/srv/a was removed by vi (99) change=removed"));
	happens(KITH_TREE_REMOVED, 0, 1, "/srv/b", NULL);
	happens(KITH_TREE_CREATED, 0, 1, "/srv/b", NULL);
	batch();
	ck_assert_ptr_nonnull(fake_host_record(f, "/srv/b was replaced"));
	happens(KITH_TREE_CREATED, 0, 1, "/srv/c", NULL);
	happens(KITH_TREE_REMOVED, 0, 1, "/srv/c", NULL);
	batch();
	ck_assert_ptr_nonnull(fake_host_record(f, "/srv/c was created and removed"));
	happens(0x4000, 0, 1, "/srv/c", NULL); /* of a later kithd */
	batch();
	ck_assert_uint_eq(f->n_records, 6);
}
END_TEST

START_TEST(renamed)
{
	start();
	happens(KITH_TREE_RENAMED, 0, 1, "/srv/b", "/srv/a");
	batch();
	ck_assert_ptr_nonnull(fake_host_record(f, "/srv/b was renamed from /srv/a by vi (99) change=renamed path=/srv/b from=/srv/a"));
	/* As most programs write files */
	happens(KITH_TREE_CREATED, 0, 1, "/srv/b.tmp", NULL);
	happens(KITH_TREE_CHANGED, 0, 1, "/srv/b.tmp", NULL);
	happens(KITH_TREE_RENAMED, 0, 1, "/srv/b", "/srv/b.tmp");
	batch();
	ck_assert_ptr_nonnull(fake_host_record(f, "/srv/b was replaced"));
	ck_assert_uint_eq(f->n_records, 2);
	happens(KITH_TREE_RENAMED, 0, 1, "/srv/d", "/srv/c");
	happens(KITH_TREE_RENAMED, 0, 1, "/srv/e", "/srv/d");
	happens(KITH_TREE_RENAMED, 0, 1, "/srv/e", "/srv/e");
	batch();
	ck_assert_ptr_nonnull(fake_host_record(f, "/srv/e was renamed from /srv/c"));
	ck_assert_uint_eq(f->n_records, 3);
	ck_assert(value("renamed") == 5);
}
END_TEST

START_TEST(many_at_once)
{
	char path[64];

	start();
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "/srv/%u", i);
		happens(KITH_TREE_CREATED, 0, 1, path, NULL);
	}
	happens(KITH_TREE_REMOVED, KITH_TREE_GATHERED, 70, "/srv/gone", NULL);
	batch();
	ck_assert(value("created") == 1000 && value("removed") == 70);
	ck_assert(f->n_records < 100);
	ck_assert_ptr_nonnull(fake_host_record(f, "968 created, 0 changed, 70 removed"));
	ck_assert_ptr_nonnull(fake_host_record(f, "change=many"));
}
END_TEST

START_TEST(odd_names)
{
	static char longest[4000];

	start();
	happens(KITH_TREE_CREATED, 0, 1, "/srv/new\nline\xff", NULL);
	batch();
	ck_assert_ptr_nonnull(fake_host_record(f, "path=/srv/new\\012line\\377"));
	memset(longest, '\n', sizeof(longest) - 1);
	memcpy(longest, "/srv/", 5);
	memcpy(longest + sizeof(longest) - 5, "/end", 5);
	happens(KITH_TREE_CREATED, 0, 1, longest, NULL);
	batch();
	ck_assert_ptr_nonnull(fake_host_record(f, "\\012/end"));
	ck_assert(value("created") == 2);
}
END_TEST

START_TEST(lost)
{
	start();
	happens(KITH_TREE_LOST, 0, 1, "/srv", NULL);
	happens(KITH_TREE_LOST, 0, 1, "/srv", NULL);
	ck_assert_int_eq(fake_host_resync(f), 0);
	batch();
	ck_assert(value("lost") == 2);
	ck_assert_ptr_nonnull(fake_host_record(f, "the kernel dropped events"));
	ck_assert_uint_eq(f->n_records, 1);
}
END_TEST

START_TEST(comes_and_goes)
{
	start();
	settle(-ENOENT);
	ck_assert_str_eq(fake_host_state(f, "tree:/srv:state"), "missing");
	ck_assert_ptr_nonnull(fake_host_record(f, "the tree is gone"));
	ck_assert_ptr_null(f->note);
	settle(0);
	ck_assert_ptr_nonnull(fake_host_record(f, "the tree is there"));
	settle(0);
	ck_assert_ptr_nonnull(fake_host_record(f, "another directory, or another file system"));
	settle(-EREMOTE);
	ck_assert_str_eq(fake_host_state(f, "tree:/srv:state"), "refused");
	ck_assert_ptr_nonnull(strstr(f->note, "the tree /srv is not watched: its file system is one of the network's"));
	settle(0);
	ck_assert_ptr_null(f->note);
}
END_TEST

START_TEST(refused)
{
	f->fail_source = -EPERM;
	fake_host_option(f, "trees", "/srv, relative");
	fake_host_option(f, "paths", "/etc/a");
	ck_assert_int_eq(fake_write(root, "/etc/a", "x"), 0);
	ck_assert_int_eq(fake_host_start(f), 0);
	batch();
	ck_assert_str_eq(fake_host_state(f, "tree:/srv:state"), "refused");
	ck_assert_ptr_nonnull(strstr(f->note, "fanotify needs CAP_SYS_ADMIN"));
	ck_assert_str_eq(fake_host_state(f, "file:/etc/a:exists"), "yes");
	ck_assert_uint_eq(fake_host_instances(f, "tree"), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tree");
	TCase *parts = tcase_create("frames"), *plugin = tcase_create("plugin");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(parts, an_event);
	tcase_add_test(parts, cut_anywhere);
	tcase_add_test(parts, damaged);
	tcase_add_test(parts, within);
	tcase_add_checked_fixture(plugin, begin, end);
	tcase_add_test(plugin, nobody_names_a_tree);
	tcase_add_test(plugin, counted_and_recorded);
	tcase_add_test(plugin, renamed);
	tcase_add_test(plugin, many_at_once);
	tcase_add_test(plugin, odd_names);
	tcase_add_test(plugin, lost);
	tcase_add_test(plugin, comes_and_goes);
	tcase_add_test(plugin, refused);
	suite_add_tcase(s, parts);
	suite_add_tcase(s, plugin);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
