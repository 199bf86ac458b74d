/* What segments say of families: with it .family files are mended */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "store/fold/verify_impl.h"
#include "store/segment.h"

static struct fold_family *find(const struct verify *v, const char *name)
{
	for (size_t k = 0; k < v->n_families; k++)
		if (!strcmp(v->families[k]->name, name))
			return v->families[k];
	return NULL;
}

static int find_or_make(struct verify *v, const char *name, struct fold_family **ret_family)
{
	struct fold_family **more, *f = find(v, name);
	int r;

	if (!f) {
		more = realloc(v->families, (v->n_families + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		v->families = more;
		r = known_new(name, &f);
		if (r < 0)
			return r;
		v->families[v->n_families++] = f;
	}
	*ret_family = f;
	return 0;
}

static int on_instance(struct unpack_instance *i, void *user)
{
	char file[RRD_NAME_SIZE];
	struct fold_family *f;
	int r;

	if (!name_part_valid(i->family->name) || strlen(i->name) > NAME_INSTANCE_MAX)
		return 0;
	r = find_or_make(user, i->family->name, &f);
	if (r == 0)
		r = known_learn(f, i->family);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	rrd_file_name(i->name, file);
	return known_add_file(f, file, i->name);
}

/* From the oldest on: the newest has the last word. What cannot be read says nothing. */
static void learn(struct verify *v)
{
	static const struct unpack_fns fns = { .instance = on_instance };
	struct segment_file *files;
	size_t n;

	if (v->journal < 0 || segment_list(v->journal, &files, &n) < 0)
		return;
	for (size_t k = 0; k < n; k++) {
		struct unpacker *u;
		struct segment s;

		if (segment_read(v->journal, files[k].number, &s) < 0)
			continue;
		if (unpacker_new(s.head.begin, &fns, v, &u) == 0) {
			unpacker_feed(u, s.data, s.length);
			unpacker_free(u);
		}
		segment_free(&s);
	}
	free(files);
}

const struct fold_family *verify_learned(struct verify *v, const char *name)
{
	if (!v->learned)
		learn(v);
	v->learned = true;
	return find(v, name);
}

void verify_forget(struct verify *v)
{
	for (size_t k = 0; k < v->n_families; k++)
		known_free(v->families[k]);
	free(v->families);
	v->families = NULL;
	v->n_families = 0;
}
