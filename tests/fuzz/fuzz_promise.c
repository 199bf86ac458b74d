/*
 * Any text as a promise file: read, checked, loaded where it is good, and its promises led through samples, gaps and
 * ends.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/model.h"
#include "promises/promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const updown[] = { "up", "down", NULL };
static const struct kith_metric df_metrics[] = {
	{ "free", "B", "f", NULL, KITH_GAUGE, 0 },
	{ "free_percent", "%", "f", NULL, KITH_GAUGE, 0 },
};
static const struct kith_metric interface_metrics[] = {
	{ "state", "1", "s", updown, KITH_STATE, KITH_METRIC_EVENT },
	{ "rx_bytes", "B", "r", NULL, KITH_COUNTER, 0 },
	{ "restarts", "1", "r", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
};
static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "df", "d", "mount point", df_metrics, 2, 0 },
	{ KITH_FAMILY_INIT, "interface", "i", "interface", interface_metrics, 3, 0 },
};

struct fuzz {
	struct model *m;
	struct owner owner;
	struct promises *p;
	int64_t armed, now;
	uint64_t token;
};

static void on_arm(int64_t at, void *user)
{
	struct fuzz *f = user;

	f->armed = at;
}

static int on_act(const struct promise_action *a, void *user)
{
	struct fuzz *f = user;

	if (!a->argv[0] || a->argv[0][0] != '/' || strlen(a->json) != a->json_length)
		abort();
	f->token = a->token;
	return a->token % 3 == 2 ? -EAGAIN : 0;
}

/* Asks for all that can be asked */
static void look(struct fuzz *f)
{
	struct promise_explanation x;
	struct promise_info info;
	size_t n = promises_count(f->p);

	for (size_t i = 0; i < n && i < 16; i++) {
		if (promises_get(f->p, i, &info) < 0 || promises_explain(f->p, i, f->now, &x) < 0)
			abort();
		promise_explanation_free(&x);
	}
}

static void sample(struct fuzz *f, const char *family, const char *name, uint32_t metric, double value)
{
	struct family *fam = family_find(f->m, family, strlen(family));
	struct instance *i;

	f->now += NS_PER_S;
	model_set_now(f->m, f->now);
	if (f->armed && f->armed <= f->now)
		promises_run(f->p, f->now);
	if (fam && instance_add(f->m, fam, name, &i) == 0)
		model_put(f->m, &f->owner, i->id + metric, value, f->now);
	if (f->token)
		{
			struct promise_result result = { .status = (int)(f->token % 2) << 8, .output = "it\033 ran\xff\n", .length = 9 };

			promises_action_done(f->p, f->token, &result, f->now);
		}
	f->token = 0;
}

static void stream(struct fuzz *f)
{
	struct family *df = family_find(f->m, "df", 2);
	struct instance *i;

	for (int round = 0; round < 6; round++) {
		sample(f, "df", "/", 0, round * 1e9);
		sample(f, "df", "/", 1, round * 17);
		sample(f, "df", "/home", 1, 60 - round);
		sample(f, "interface", "eth0", 0, round % 2);
		sample(f, "interface", "eth0", 1, round == 4 ? 3 : round * 1000);
		sample(f, "interface", "eth0", 2, round);
		if (round == 3 && df && (i = instance_find(df, "/home", 5)))
			instance_end(f->m, i);
		if (round == 2)
			look(f);
	}
	f->now += 60 * NS_PER_S;
	model_set_now(f->m, f->now);
	model_expire(f->m, &f->owner, f->now);
	promises_jump(f->p, -5 * NS_PER_S);
	promises_run(f->p, f->now);
	look(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const tags[] = { "web" };
	static const struct promises_facts facts = { "web1", "ams/r1", tags, 1 };
	struct fuzz f = { .owner = { .name = "fuzz", .stale_after = 30 * NS_PER_S }, .now = 1800000000 * NS_PER_S };
	struct promises_driver driver = { &f, on_arm, on_act };
	struct promises_file file = { "fuzz.promise", (const char *)data, size };
	struct faults faults = { 0 };
	struct family *family;
	struct buf b = BUF_INIT;
	const char *why;
	int r;

	if (model_new(&f.m) < 0)
		return 0;
	model_set_now(f.m, f.now);
	for (size_t i = 0; i < KITH_COUNT(families); i++)
		if (family_add(f.m, &f.owner, &families[i], 0, &family, &why) < 0)
			abort();
	if (promises_new(f.m, &driver, &facts, &f.p) < 0)
		abort();
	r = promises_load(f.p, &file, 1, f.now, &faults);
	/* Good or told why not: never neither */
	if ((r < 0) != (faults.n_errors > 0))
		abort();
	for (const struct fault *fault = faults.first; fault; fault = fault->next)
		fault_format(fault, &b);
	stream(&f);
	if (promises_load(f.p, &file, 1, f.now, &faults) != r)
		abort();
	stream(&f);
	buf_free(&b);
	faults_free(&faults);
	promises_free(f.p);
	model_free(f.m);
	return 0;
}
