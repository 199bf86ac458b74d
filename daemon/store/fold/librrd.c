#include <config.h>

#include "store/fold/librrd.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

int librrd_load(struct librrd *l, struct buf *why)
{
	static const struct {
		const char *name;
		size_t at;
	} functions[] = {
		{ "rrd_create_r", offsetof(struct librrd, create_r) },
		{ "rrd_update_r", offsetof(struct librrd, update_r) },
		{ "rrd_tune", offsetof(struct librrd, tune) },
		{ "rrd_graph_v", offsetof(struct librrd, graph_v) },
		{ "rrd_info_free", offsetof(struct librrd, info_free) },
		{ "rrd_get_error", offsetof(struct librrd, get_error) },
		{ "rrd_clear_error", offsetof(struct librrd, clear_error) },
		{ "rrdc_connect", offsetof(struct librrd, cached_connect) },
		{ "rrdc_disconnect", offsetof(struct librrd, cached_disconnect) },
		{ "rrdc_update", offsetof(struct librrd, cached_update) },
		{ "rrdc_last", offsetof(struct librrd, cached_last) },
		{ "rrdc_flush", offsetof(struct librrd, cached_flush) },
		{ "rrdc_forget", offsetof(struct librrd, cached_forget) },
	};
	struct librrd made = { 0 };

	if (l->handle)
		return 0;
	made.handle = dlopen(KITH_LIBRRD, RTLD_NOW | RTLD_LOCAL);
	if (!made.handle) {
		buf_puts(why, dlerror());
		return -ENOENT;
	}
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *f = dlsym(made.handle, functions[i].name);

		if (!f) {
			buf_printf(why, "%s has no function %s", KITH_LIBRRD, functions[i].name);
			dlclose(made.handle);
			return -ENOENT;
		}
		memcpy((char *)&made + functions[i].at, &f, sizeof(f));
	}
	*l = made;
	return 0;
}
