/*
 * The bundles that ship: they load without a warning where their families are there, hold on a healthy host, and break
 * when they should
 */
#include "promise_help.h"

static const char *const rorw[] = { "rw", "ro", NULL };
static const struct kith_metric df[] = {
	{ "free_percent", "%", "f", NULL, KITH_GAUGE, 0 },
	{ "inodes_free_percent", "%", "f", NULL, KITH_GAUGE, 0 },
	{ "state", "1", "s", rorw, KITH_STATE, 0 },
};
static const struct kith_metric memory[] = { { "available_percent", "%", "f", NULL, KITH_GAUGE, 0 } };
static const struct kith_metric swap[] = {
	{ "total", "B", "f", NULL, KITH_GAUGE, 0 },
	{ "free_percent", "%", "f", NULL, KITH_GAUGE, 0 },
};
static const struct kith_metric interface[] = {
	{ "state", "1", "s", world_updown, KITH_STATE, KITH_METRIC_EVENT },
	{ "rx_errors", "packets", "s", NULL, KITH_COUNTER, 0 },
	{ "tx_errors", "packets", "s", NULL, KITH_COUNTER, 0 },
};
static const struct kith_metric kith[] = {
	{ "cpu_percent", "%", "f", NULL, KITH_GAUGE, 0 },
	{ "anonymous", "B", "f", NULL, KITH_GAUGE, 0 },
	{ "rss", "B", "f", NULL, KITH_GAUGE, 0 },
};
static const struct kith_metric pressure[] = {
	{ "some_avg300", "%", "f", NULL, KITH_GAUGE, 0 },
	{ "full_avg60", "%", "f", NULL, KITH_GAUGE, 0 },
	{ "full_avg300", "%", "f", NULL, KITH_GAUGE, 0 },
};

static const char *const presence[] = { "absent", "present", NULL };
static const char *const gateways[] = { "unknown", "resolving", "reachable", "failed", "none", NULL };
static const struct kith_metric route[] = {
	{ "state", NULL, "s", presence, KITH_STATE, KITH_METRIC_EVENT },
	{ "gateway", NULL, "g", gateways, KITH_STATE, KITH_METRIC_EVENT },
};
static const struct kith_metric conntrack[] = { { "fill_percent", "%", "f", NULL, KITH_GAUGE, 0 } };

static const char *const names[] = { "cost", "network", "room", "pressure", "groups" };
#define N_BUNDLES KITH_COUNT(names)

static struct world *bundles_world(void)
{
	const char *srcdir = getenv("srcdir");
	struct promises_file files[N_BUNDLES];
	struct faults faults = { 0 };
	struct world *w = world_new();
	char paths[N_BUNDLES][512], *texts[N_BUNDLES];
	struct buf b = BUF_INIT;

	family_remove(w->m, w->df);
	family_remove(w->m, w->memory);
	family_remove(w->m, w->interface);
	w->df = world_family(w, "df", "mount point", df, KITH_COUNT(df));
	world_family(w, "memory", NULL, memory, KITH_COUNT(memory));
	world_family(w, "swap", NULL, swap, KITH_COUNT(swap));
	world_family(w, "interface", "interface", interface, KITH_COUNT(interface));
	world_family(w, "route", "destination", route, KITH_COUNT(route));
	world_family(w, "conntrack", NULL, conntrack, KITH_COUNT(conntrack));
	world_family(w, "kith", NULL, kith, KITH_COUNT(kith));
	world_family(w, "pressure", "resource", pressure, KITH_COUNT(pressure));
	for (size_t i = 0; i < N_BUNDLES; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/promises/bundles/%s.promise", srcdir ? srcdir : ".", names[i]);
		files[i].path = paths[i];
		ck_assert_int_eq(file_read_all(paths[i], 1 << 20, &texts[i], &files[i].length), 0);
		files[i].text = texts[i];
	}
	ck_assert_int_eq(promises_load(w->p, files, N_BUNDLES, T0, &faults), 0);
	for (struct fault *f = faults.first; f; f = f->next)
		fault_format(f, &b);
	ck_assert_str_eq(buf_text(&b), "");
	faults_free(&faults);
	for (size_t i = 0; i < N_BUNDLES; i++)
		free(texts[i]);
	return w;
}

static void healthy(struct world *w, double s, double free_percent)
{
	put(w, "df", "/", "free_percent", free_percent, s);
	put(w, "df", "/", "inodes_free_percent", 50, s);
	put(w, "df", "/", "state", 0, s);
	put(w, "df", "/media", "free_percent", 0, s);
	put(w, "df", "/media", "state", 1, s); /* read-only and full: as it should be */
	put(w, "memory", "", "available_percent", 30, s);
	put(w, "swap", "", "total", 0, s); /* none */
	put(w, "interface", "lo", "state", 0, s);
	put(w, "interface", "lo", "rx_errors", 7, s);
	put(w, "interface", "lo", "tx_errors", 0, s);
	put(w, "route", "default/ipv4", "state", 1, s);
	put(w, "route", "default/ipv4", "gateway", 2, s);
	put(w, "conntrack", "", "fill_percent", 20, s);
	put(w, "kith", "", "cpu_percent", 0.2, s);
	put(w, "kith", "", "anonymous", 900e3, s);
	put(w, "kith", "", "rss", 4e6, s);
	/* Somebody builds */
	put(w, "pressure", "cpu", "some_avg300", 97, s);
	put(w, "pressure", "memory", "full_avg60", 3, s);
	put(w, "pressure", "io", "full_avg300", 40, s);
}

START_TEST(test_bundles)
{
	struct world *w = bundles_world();
	struct promise_info info;

	for (int i = 0; i < 10; i++)
		healthy(w, i * 10, 40);
	ck_assert_uint_eq(promises_count(w->p), 17);
	for (size_t i = 0; i < promises_count(w->p); i++) {
		info = world_info(w, i);
		ck_assert_msg(info.assessment == KITH_KEPT, "%s %s is %s: %s", info.name, info.promiser, assessment_name(info.assessment),
		              info.because);
	}
	w->n_transitions = 0;
	for (int i = 10; i < 17; i++)
		healthy(w, i * 10, 3);
	ck_assert_uint_eq(w->n_transitions, 1);
	ck_assert_str_eq(last(w)->name, "room.disk");
	ck_assert_str_eq(last(w)->promiser, "df:/");
	ck_assert_int_eq(last(w)->to, KITH_BROKEN);
	world_free(w);
}
END_TEST

/* Every example of the manual's conditions is of the language */
START_TEST(test_manual)
{
	const char *srcdir = getenv("srcdir");
	struct faults faults = { 0 };
	char path[512], *text, *line, *rest = NULL;
	struct buf b = BUF_INIT, said = BUF_INIT;
	struct promises_file file = { .path = "manual" };
	struct world *w = world_new();
	size_t length;
	int n = 0;

	snprintf(path, sizeof(path), "%s/promises/kith-promise.5", srcdir ? srcdir : ".");
	ck_assert_int_eq(file_read_all(path, 1 << 20, &text, &length), 0);
	buf_puts(&b, "bundle m {\n");
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (!strncmp(line, "keep ", 5))
			buf_printf(&b, "promise p%d { promiser x\n%s\n}\n", n++, line);
	buf_puts(&b, "}\n");
	ck_assert_int_ge(n, 15);
	file.text = buf_text(&b);
	file.length = b.length;
	family_remove(w->m, w->df);
	family_remove(w->m, w->memory);
	family_remove(w->m, w->interface);
	promises_check(w->p, &file, 1, &faults);
	for (struct fault *f = faults.first; f; f = f->next)
		if (!f->warning)
			fault_format(f, &said);
	ck_assert_str_eq(buf_text(&said), "");
	faults_free(&faults);
	buf_free(&b);
	buf_free(&said);
	free(text);
	world_free(w);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("bundles");
	TCase *t = tcase_create("bundles");

	tcase_add_test(t, test_bundles);
	tcase_add_test(t, test_manual);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
