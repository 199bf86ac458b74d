/* What the tests of the language share: one world, and questions about where its promises stand */
#ifndef KITH_TEST_LANGUAGE_HELP_H
#define KITH_TEST_LANGUAGE_HELP_H

#include "promise_help.h"

#define KEEP(text) "bundle b {\n promise p {\n promiser x\n keep " text "\n }\n}"

static struct world *w;

static inline void setup(void)
{
	w = world_new();
}

static inline void teardown(void)
{
	world_free(w);
}

/* The assessment of the first promise of this name, and promiser unless NULL */
static inline const char *stands(const char *name, const char *promiser)
{
	struct promise_info info;

	for (size_t i = 0; promises_get(w->p, i, &info) == 0; i++)
		if (!strcmp(info.name, name) && (!promiser || !strcmp(info.promiser, promiser)))
			return assessment_name(info.assessment);
	return "missing";
}

static inline const char *why(const char *name)
{
	struct promise_info info;

	for (size_t i = 0; promises_get(w->p, i, &info) == 0; i++)
		if (!strcmp(info.name, name))
			return info.because;
	return "missing";
}

static inline unsigned transitions_of(const char *name, enum kith_assessment to)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->n_transitions && i < HEARD_MAX; i++)
		n += !strcmp(w->transitions[i].name, name) && w->transitions[i].to == to;
	return n;
}

/* The first error is this one */
static inline bool refused(const char *text, const char *expected, const char *hint)
{
	struct faults faults = { 0 };
	int r = world_try(w, text, T0, &faults);
	const struct fault *f = faults.first;
	bool is;

	while (f && f->warning)
		f = f->next;
	is = r == -EINVAL && f && !strcmp(f->text, expected) && (hint ? f->hint && !strcmp(f->hint, hint) : !f->hint);
	if (!is && f)
		fprintf(stderr, "%s (%s)\n", f->text, f->hint ? f->hint : "");
	faults_free(&faults);
	return is;
}

/* A promise with `only on ONLY` is there on this host, or not. */
static inline void in_force(const char *only, bool is_so)
{
	static const char *const tags[] = { "web", "eu-1" };
	static const struct promises_facts facts = { .host = "web1.example", .zone = "ams/r1", .tags = tags, .n_tags = 2, .os = "debian",
		.os_version = "12", .kernel = "6.10.3-amd64", .arch = "x86_64", .virtual = "kvm", .cpus = 8, .memory = 16e9 };
	char text[512];

	promises_set_facts(w->p, &facts);
	snprintf(text, sizeof(text), "bundle b {\n promise p {\n only on %s\n promiser d\n keep df:/:free > 1B\n }\n}", only);
	world_load_at(w, "", 0);
	world_load_at(w, text, 0);
	ck_assert_msg((promises_count(w->p) == 1) == is_so, "only on %s", only);
	/* The bundle's hold for each promise of it. */
	snprintf(text, sizeof(text), "bundle b {\n only on tag \"web\"\n only on %s\n promise p {\n promiser d\n keep df:/:free > 1B\n }\n}", only);
	world_load_at(w, "", 0);
	world_load_at(w, text, 0);
	ck_assert_msg((promises_count(w->p) == 1) == is_so, "in a bundle: only on %s", only);
}

#endif
