/* The section records { }: what of records is kept */
#include "conf/parse.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"

#define YEAR (366 * 86400.)

enum { RECORDS_ENABLED, RECORDS_MAX_SIZE, RECORDS_MAX_AGE, N_RECORDS };

const struct kith_option conf_records_keys[] = {
	[RECORDS_ENABLED] = { "enabled", "true", "whether records are kept", 0, 0, KITH_OPTION_BOOL },
	[RECORDS_MAX_SIZE] = { "max_size", "64MiB", "of all files together; the oldest goes", 1 << 20, 1099511627776., KITH_OPTION_SIZE },
	[RECORDS_MAX_AGE] = { "max_age", "30d", "what is older goes", 3600, 10 * YEAR, KITH_OPTION_DURATION },
};
const size_t conf_n_records_keys = N_RECORDS;

int conf_add_records(struct conf *c, const struct conf_node *n, struct faults *faults)
{
	char found[CONF_FOUND_MAX];

	if (n->type == CONF_NULL)
		return 0;
	if (n->type != CONF_OBJECT) {
		conf_fault(faults, false, n->file, n->at, n->width, "write records { max_size = 64MiB }", "records wants a section, found %s",
		           conf_found(n, found));
		return -EINVAL;
	}
	if (c->records_node)
		return section_merge(c->records_node, n);
	c->records_node = section_copy(n);
	return c->records_node ? 0 : -ENOMEM;
}

static int unknown_keys(const struct conf_node *section, struct faults *faults)
{
	const char *names[N_RECORDS];
	int error = 0;

	for (size_t i = 0; i < N_RECORDS; i++)
		names[i] = conf_records_keys[i].name;
	for (const struct conf_node *node = section->children; node; node = node->next) {
		size_t i = 0;

		while (i < N_RECORDS && strcmp(names[i], node->key) != 0)
			i++;
		if (i < N_RECORDS)
			continue;
		conf_unknown_key(node, " of records", names, N_RECORDS, faults);
		error = -EINVAL;
	}
	return error;
}

int conf_read_records(struct conf *c, struct faults *faults)
{
	static const struct conf_node none = { .type = CONF_OBJECT };
	const struct conf_node *section = c->records_node ? c->records_node : &none, *node;
	struct conf_option v[N_RECORDS] = { { 0 } };
	int r, error = unknown_keys(section, faults);

	for (size_t i = 0; i < N_RECORDS; i++) {
		v[i].number = NAN;
		r = conf_read(section, &conf_records_keys[i], false, &v[i], &node, faults);
		if (r >= 0 && !v[i].set)
			r = conf_read_fallback("records", &conf_records_keys[i], &v[i], faults);
		if (r < 0 && error != -ENOMEM)
			error = r;
	}
	if (error)
		return error;
	c->records = v[RECORDS_ENABLED].number != 0;
	c->records_max_size = llround(v[RECORDS_MAX_SIZE].number);
	c->records_max_age = llround(v[RECORDS_MAX_AGE].number * (double)NS_PER_S);
	return 0;
}
