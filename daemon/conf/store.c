/* The section journal { }: how much of the past is kept, and where */
#include "conf/parse.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/archives.h"
#include "base/clock.h"

#define YEAR (365 * 86400.)
#define GIB (1024. * 1024 * 1024)

enum { JOURNAL_ENABLED, JOURNAL_RING, JOURNAL_MAX_SIZE, JOURNAL_SYNC, JOURNAL_FOLD, JOURNAL_STEP, JOURNAL_ARCHIVES, JOURNAL_KEEP, JOURNAL_CACHED,
       N_JOURNAL };

const struct kith_option conf_journal_keys[] = {
	[JOURNAL_ENABLED] = { "enabled", "true", "whether samples are written to the disk", 0, 0, KITH_OPTION_BOOL },
	[JOURNAL_RING] = { "ring", "1MiB", "recent samples in memory", 256 * 1024, GIB, KITH_OPTION_SIZE },
	[JOURNAL_MAX_SIZE] = { "max_size", "64MiB", "what waits to be folded on the disk", 1024 * 1024, 1024 * GIB, KITH_OPTION_SIZE },
	[JOURNAL_SYNC] = { "sync", "30s", "what a power cut may cost", 1, 3600, KITH_OPTION_DURATION },
	[JOURNAL_FOLD] = { "fold", "1h", "how often samples are folded into RRD files; 0: never", 0, 86400, KITH_OPTION_DURATION },
	[JOURNAL_STEP] = { "step", "10s", "of new RRD files", 1, 3600, KITH_OPTION_DURATION },
	[JOURNAL_ARCHIVES] = { "archives", ARCHIVES_DEFAULT, "of new RRD files: STEP:LENGTH each", 0, 0, KITH_OPTION_STRING },
	[JOURNAL_KEEP] = { "keep", "30d", "RRD files of what is gone", 3600, 100 * YEAR, KITH_OPTION_DURATION },
	[JOURNAL_CACHED] = { "cached", NULL, "the address of an rrdcached that writes them", 0, 0, KITH_OPTION_STRING },
};
const size_t conf_n_journal_keys = N_JOURNAL;

int conf_add_journal(struct conf *c, const struct conf_node *n, struct faults *faults)
{
	char found[CONF_FOUND_MAX];

	if (n->type == CONF_NULL)
		return 0;
	if (n->type != CONF_OBJECT) {
		conf_fault(faults, false, n->file, n->at, n->width, "write journal { KEY = VALUE }", "journal wants a section, found %s",
		           conf_found(n, found));
		return -EINVAL;
	}
	if (c->journal.node)
		return section_merge(c->journal.node, n);
	c->journal.node = section_copy(n);
	return c->journal.node ? 0 : -ENOMEM;
}

static int unknown_keys(const struct conf_node *section, struct faults *faults)
{
	const char *names[N_JOURNAL];
	int error = 0;

	for (size_t i = 0; i < N_JOURNAL; i++)
		names[i] = conf_journal_keys[i].name;
	for (const struct conf_node *node = section->children; node; node = node->next) {
		size_t i = 0;

		while (i < N_JOURNAL && strcmp(names[i], node->key) != 0)
			i++;
		if (i < N_JOURNAL)
			continue;
		conf_unknown_key(node, " of journal", names, N_JOURNAL, faults);
		error = -EINVAL;
	}
	return error;
}

static char *take_string(struct conf_option *v)
{
	char *string = v->string;

	v->string = NULL;
	return string;
}

/* As kith-fold will take them: it would refuse each time it is started. */
static int check_archives(const struct conf_option *v, const struct conf_node *const *nodes, struct faults *faults)
{
	const struct conf_node *n = nodes[JOURNAL_STEP];
	int64_t step = llround(v[JOURNAL_STEP].number * (double)NS_PER_S);
	struct archives archives;
	struct buf why = BUF_INIT;
	char shown[CONF_SHOW_MAX];
	int r;

	if (step % NS_PER_S) {
		conf_fault(faults, false, n->file, n->at, n->width, "write whole seconds, such as 10s", "step is %s: RRD files know whole seconds alone",
		           conf_show(n->string, strlen(n->string), shown));
		return -EINVAL;
	}
	if (!v[JOURNAL_ARCHIVES].set)
		return 0;
	n = nodes[JOURNAL_ARCHIVES];
	r = archives_parse(v[JOURNAL_ARCHIVES].string, step, &archives, &why);
	if (r < 0)
		conf_fault(faults, false, n->file, n->at, n->width, "write the length of a row and how long rows are kept, the shortest first: " ARCHIVES_DEFAULT,
		           "archives: %s", buf_text(&why));
	buf_free(&why);
	return r;
}

static void take_all(struct conf_journal *j, struct conf_option *v)
{
	j->enabled = v[JOURNAL_ENABLED].number != 0;
	j->ring = (size_t)v[JOURNAL_RING].number;
	j->max_size = (uint64_t)v[JOURNAL_MAX_SIZE].number;
	j->sync = llround(v[JOURNAL_SYNC].number * (double)NS_PER_S);
	j->fold = llround(v[JOURNAL_FOLD].number * (double)NS_PER_S);
	j->step = llround(v[JOURNAL_STEP].number * (double)NS_PER_S);
	j->keep = llround(v[JOURNAL_KEEP].number * (double)NS_PER_S);
	/* What goes by default depends on the step: kith-fold knows. */
	j->archives = v[JOURNAL_ARCHIVES].set ? take_string(&v[JOURNAL_ARCHIVES]) : NULL;
	j->cached = take_string(&v[JOURNAL_CACHED]);
}

int conf_read_journal(struct conf *c, struct faults *faults)
{
	static const struct conf_node none = { .type = CONF_OBJECT };
	const struct conf_node *section = c->journal.node ? c->journal.node : &none, *nodes[N_JOURNAL] = { 0 };
	struct conf_option v[N_JOURNAL] = { { 0 } };
	int r, error = unknown_keys(section, faults);
	bool wrong = false, fit = true;

	for (size_t i = 0; i < N_JOURNAL; i++) {
		v[i].number = NAN;
		r = conf_read(section, &conf_journal_keys[i], false, &v[i], &nodes[i], faults);
		if (r >= 0 && !v[i].set)
			r = conf_read_fallback("journal", &conf_journal_keys[i], &v[i], faults);
		wrong = wrong || r < 0;
		fit = fit && (r >= 0 || (i != JOURNAL_STEP && i != JOURNAL_ARCHIVES));
		if (r < 0 && error != -ENOMEM)
			error = r;
	}
	if (fit && (r = check_archives(v, nodes, faults)) < 0) {
		wrong = true;
		error = error != -ENOMEM ? r : error;
	}
	if (!wrong)
		take_all(&c->journal, v);
	for (size_t i = 0; i < N_JOURNAL; i++)
		conf_value_clear(&v[i]);
	return error;
}

void conf_journal_clear(struct conf_journal *j)
{
	free(j->archives);
	free(j->cached);
	conf_node_free(j->node);
	*j = (struct conf_journal){ 0 };
}
