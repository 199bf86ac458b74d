#include "host/host.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/impl.h"

/* A file that changes is looked at when its folder has been quiet for this long. */
#define RESCAN_DELAY (100 * NS_PER_MS)
#define RESCAN_LATEST (500 * NS_PER_MS)

const char *host_state_name(enum host_state s)
{
	switch (s) {
	case HOST_RUNNING:
		return "running";
	case HOST_SKIPPED:
		return "skipped";
	case HOST_REFUSED:
		return "refused";
	case HOST_BACKED_OFF:
		return "backed-off";
	case HOST_STOPPED:
		return "stopped";
	}
	return "unknown";
}

void host_chores_later(struct host *h)
{
	if (h->chores_due || h->closing)
		return;
	h->chores_due = true;
	loop_timer_set(h->parts.loop, h->chores, 0);
}

void host_resync_later(struct plugin *p)
{
	p->resync_due = true;
	host_chores_later(p->host);
}

static void chores_cb(void *user)
{
	int64_t now = clock_mono(), first = 0;
	struct host *h = user;

	h->chores_due = false;
	for (struct plugin *p = h->plugins; p; p = p->next) {
		if (p->started && p->state == HOST_STOPPED)
			plugin_stop(p, HOST_STOPPED);
		else if (p->resync_due && p->resync_at <= now)
			plugin_resync(p);
		else if (p->resync_due && (!first || p->resync_at < first))
			first = p->resync_at;
	}
	if (first && !h->chores_due && !h->closing)
		loop_timer_set(h->parts.loop, h->chores, first - now);
}

/* ---- folders ---------------------------------------------------------------------------------------------------- */

static struct plugin *plugin_find(struct host *h, const char *name, unsigned folder)
{
	for (struct plugin *p = h->plugins; p; p = p->next)
		if (!p->builtin && p->folder == folder && !strcmp(p->name, name))
			return p;
	return NULL;
}

/* The one of this name that holds the place: it runs, or at least was not refused as a duplicate. */
static struct plugin *plugin_holder(struct host *h, const char *name)
{
	for (struct plugin *p = h->plugins; p; p = p->next)
		if (!p->duplicate && !strcmp(p->name, name))
			return p;
	return NULL;
}

static bool is_plugin_file(const char *name, size_t *ret_length)
{
	size_t n = strlen(name);

	if (n <= 3 || *name == '.' || strcmp(name + n - 3, ".so") != 0)
		return false;
	*ret_length = n - 3;
	return true;
}

static bool identity_of(const char *path, struct file_identity *ret_identity)
{
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	*ret_identity = (struct file_identity){ st.st_dev, st.st_ino, st.st_size,
		                                (int64_t)st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec };
	return true;
}

static bool identity_same(const struct file_identity *a, const struct file_identity *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->changed == b->changed;
}

static void host_load_or_describe(struct host *h, struct plugin *p)
{
	struct plugin *holder = NULL;

	for (struct plugin *other = h->plugins; other; other = other->next)
		if (other != p && !other->duplicate && !strcmp(other->name, p->name))
			holder = other;
	p->duplicate = holder != NULL;
	if (holder) {
		p->state = HOST_REFUSED;
		plugin_set_reason(p, "duplicate: a plugin of this name is %s", holder->builtin ? "part of kithd" : holder->path);
		plugin_say(p, KITH_WARNING, "refused: %s (%s)", p->reason, p->path);
		return;
	}
	if (h->describe)
		plugin_describe(p, h->describe);
	else
		plugin_load(p);
}

/* Looks at one file; returns the plugin that stands for it. */
static struct plugin *host_look(struct host *h, unsigned folder, const char *file, size_t length)
{
	struct buf path = BUF_INIT;
	struct file_identity identity;
	struct plugin *p = NULL;
	char name[NAME_INSTANCE_MAX + 1];

	if (length > NAME_INSTANCE_MAX)
		return NULL;
	memcpy(name, file, length);
	name[length] = '\0';
	buf_printf(&path, "%s/%s", h->folders[folder], file);
	if (path.failed || !identity_of(buf_text(&path), &identity))
		goto out;
	p = plugin_find(h, name, folder);
	if (p && identity_same(&p->identity, &identity))
		goto out;
	if (!p)
		p = plugin_new(h, name, buf_text(&path), folder);
	if (!p) {
		log_err("no memory for plugin %s", name);
		goto out;
	}
	p->identity = identity;
	host_load_or_describe(h, p);
out:
	buf_free(&path);
	return p;
}

static void host_remove(struct host *h, struct plugin *p)
{
	struct plugin **at;

	for (at = &h->plugins; *at != p; at = &(*at)->next)
		;
	if (!h->closing && (p->started || p->state == HOST_STOPPED))
		log_info("plugin %s is gone", p->name);
	plugin_stop(p, HOST_STOPPED);
	*at = p->next;
	plugin_free(p);
}

static int name_order(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void host_scan_folder(struct host *h, unsigned folder)
{
	struct dirent **entries = NULL;
	int n = scandir(h->folders[folder], &entries, NULL, name_order);
	size_t length;

	for (struct plugin *p = h->plugins; p; p = p->next)
		if (!p->builtin && p->folder == folder)
			p->seen = false;
	for (int i = 0; i < n; i++) {
		struct plugin *p = NULL;

		if (is_plugin_file(entries[i]->d_name, &length))
			p = host_look(h, folder, entries[i]->d_name, length);
		if (p)
			p->seen = true;
		free(entries[i]);
	}
	free(entries);
	if (n < 0)
		log_warning("plugin folder %s: %s", h->folders[folder], strerror(errno));
	for (struct plugin *p = h->plugins, *next; p; p = next) {
		next = p->next;
		if (!p->builtin && p->folder == folder && !p->seen)
			host_remove(h, p);
	}
}

static void rescan_cb(void *user)
{
	struct host *h = user;

	h->rescan_by = 0;
	model_set_now(h->parts.model, clock_wall());
	for (unsigned i = 0; i < h->n_folders; i++)
		host_scan_folder(h, i);
	/* A name whose holder went away goes to the next one that has it. */
	for (struct plugin *p = h->plugins; p; p = p->next)
		if (p->duplicate && !plugin_holder(h, p->name))
			host_load_or_describe(h, p);
	tick_plan(h);
}

/* Soon, when it is quiet; and not much later, however busy the folder is */
static void rescan_later(struct host *h)
{
	int64_t now = clock_mono(), left;

	if (!h->rescan_by)
		h->rescan_by = now + RESCAN_LATEST;
	left = h->rescan_by > now ? h->rescan_by - now : 0;
	loop_timer_set(h->parts.loop, h->rescan, left < RESCAN_DELAY ? left : RESCAN_DELAY);
}

static void folder_event(const struct kith_file_event *event, void *user)
{
	struct host *h = user;
	size_t length;

	if (*event->name && !is_plugin_file(event->name, &length))
		return;
	/* What was refused as half of a file is looked at again even when its size and time are the same. */
	for (struct plugin *p = h->plugins; *event->name && p; p = p->next)
		if (p->state == HOST_REFUSED && !p->builtin && !strncmp(p->name, event->name, length) && !p->name[length] &&
		    (event->what & KITH_FILE_CHANGED))
			p->identity = (struct file_identity){ 0 };
	rescan_later(h);
}

static void folder_lost(void *user)
{
	struct host *h = user;

	rescan_later(h);
}

static int host_add_folder(struct host *h, const char *path)
{
	char *real = realpath(path, NULL);

	if (!real)
		real = strdup(path);
	if (!real)
		return -ENOMEM;
	for (size_t i = 0; i < h->n_folders; i++)
		if (!strcmp(h->folders[i], real)) {
			free(real);
			return 0;
		}
	if (h->n_folders >= FOLDERS_MAX) {
		log_warning("more than %d plugin folders: %s is left out", FOLDERS_MAX, path);
		free(real);
		return 0;
	}
	h->folders[h->n_folders++] = real;
	return 0;
}

int host_load_all(struct host *h, const char *const *folders, size_t n)
{
	struct file_listener listener = { h, folder_event, folder_lost };
	int r;

	for (size_t i = 0; i < n; i++) {
		r = host_add_folder(h, folders[i]);
		if (r < 0)
			return r;
	}
	/* Watched before they are read: what comes in between is seen. */
	for (unsigned i = 0; i < h->n_folders; i++) {
		r = file_subscribe(h->parts.file, h->folders[i], true, KITH_FILE_CHANGED | KITH_FILE_ADDED | KITH_FILE_REMOVED,
		                   &listener, &h->folder_subs[i]);
		if (r < 0)
			log_warning("plugin folder %s cannot be watched: %s; changes need a restart", h->folders[i], strerror(-r));
	}
	for (unsigned i = 0; i < h->n_folders; i++)
		host_scan_folder(h, i);
	tick_start(h);
	return 0;
}

int host_load_one(struct host *h, const char *folder, const char *name)
{
	struct buf path = BUF_INIT;
	struct plugin *p = NULL;

	buf_printf(&path, "%s/%s.so", folder, name);
	if (!path.failed)
		p = plugin_new(h, name, buf_text(&path), 0);
	buf_free(&path);
	if (!p)
		return -ENOMEM;
	plugin_load(p);
	tick_start(h);
	return 0;
}

int host_describe_all(struct host *h, const char *const *folders, size_t n, const struct kith_plugin *builtin,
                      struct faults *faults)
{
	h->describe = faults;
	if (host_add_builtin(h, builtin) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int r = host_add_folder(h, folders[i]);

		if (r < 0)
			return r;
	}
	for (unsigned i = 0; i < h->n_folders; i++)
		host_scan_folder(h, i);
	return host_check_conf(h, h->parts.conf, faults);
}

int host_add_builtin(struct host *h, const struct kith_plugin *descriptor)
{
	struct plugin *p = plugin_new(h, descriptor->name, "", 0);

	if (!p)
		return -ENOMEM;
	p->builtin = true;
	p->d = *descriptor;
	if (h->describe)
		plugin_describe(p, h->describe);
	else
		plugin_load(p);
	return 0;
}

/* ---- configuration ---------------------------------------------------------------------------------------------- */

static void check_section(struct host *h, struct conf_plugin *section, struct faults *faults)
{
	struct plugin *p = plugin_holder(h, section->name);
	struct conf_option *options = NULL;
	struct library *library = NULL;
	struct buf why = BUF_INIT;
	const struct kith_plugin *d;

	/* An isolated plugin's code does not come in here: its process says what is wrong. */
	if (!p || !section->enabled || (section->isolated && !h->describe))
		return;
	d = p->builtin || p->library ? &p->d : NULL;
	if (!d && plugin_open(p, &library, &why) == 0)
		d = library->descriptor;
	if (d && conf_options(section, d->options, d->n_options, d->option_size, &options, faults) == 0)
		conf_options_free(options, d->n_options);
	library_release(library);
	buf_free(&why);
}

/* A section for a plugin that is not there: it may come later, or it is a slip of the pen. */
static void check_unknown(struct host *h, struct conf_plugin *section, struct faults *faults)
{
	const char *names[128], *near;
	struct buf hint = BUF_INIT;
	size_t n = 0;

	if (plugin_holder(h, section->name) || !section->node)
		return;
	for (struct plugin *p = h->plugins; p && n < 128; p = p->next)
		names[n++] = p->name;
	near = suggest(section->name, strlen(section->name), names, n);
	if (near)
		buf_printf(&hint, "did you mean \"%s\"?", near);
	fault_add(faults, true, section->node->file->path, section->node->file->text, section->node->file->length,
	          section->node->key_at, section->node->key_width, near ? buf_text(&hint) : NULL,
	          "there is no %s \"%s\" in the plugin folders", section->exporter ? "exporter" : "plugin", section->name);
	buf_free(&hint);
}

int host_check_conf(struct host *h, const struct conf *conf, struct faults *faults)
{
	unsigned before = faults->n_errors;

	for (struct conf_plugin *s = conf ? conf->plugins : NULL; s; s = s->next) {
		check_unknown(h, s, faults);
		check_section(h, s, faults);
	}
	return faults->n_errors > before ? -EINVAL : 0;
}

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

void host_configure(struct host *h, const struct conf *conf)
{
	const struct conf *old = h->parts.conf;
	bool all = !old || !same_text(old->root, conf->root) || old->max_instances != conf->max_instances;

	h->parts.conf = conf;
	sources_root(h->sources, conf->root ? conf->root : "");
	for (struct plugin *p = h->plugins; p; p = p->next) {
		struct conf_plugin *before = old ? conf_plugin_find(old, p->name) : NULL;
		bool same = !all && conf_plugin_same(before, conf_plugin_find(conf, p->name));

		if (!p->duplicate)
			plugin_configure(p, same);
	}
	tick_plan(h);
}

/* ---- the host itself -------------------------------------------------------------------------------------------- */

int host_new(const struct host_parts *parts, struct host **ret_host)
{
	struct host *h = calloc(1, sizeof(*h));
	struct source_env env;
	int r;

	if (!h)
		return -ENOMEM;
	h->parts = *parts;
	env = (struct source_env){ parts->loop, parts->netlink, parts->file, parts->conf && parts->conf->root ? parts->conf->root : "" };
	r = sources_new(&env, &h->sources);
	if (r < 0)
		goto fail;
	r = work_init(h);
	if (r < 0)
		goto fail;
	r = loop_timer(parts->loop, -1, 0, 0, rescan_cb, h, &h->rescan);
	if (r < 0)
		goto fail;
	r = loop_timer(parts->loop, -1, 0, 0, chores_cb, h, &h->chores);
	if (r < 0)
		goto fail;
	*ret_host = h;
	return 0;
fail:
	host_free(h);
	return r;
}

void host_free(struct host *h)
{
	if (!h)
		return;
	h->closing = true;
	loop_tick_at(h->parts.loop, 0);
	for (unsigned i = 0; i < h->n_folders; i++) {
		if (h->folder_subs[i])
			file_unsubscribe(h->parts.file, h->folder_subs[i]);
		free(h->folders[i]);
	}
	isolate_end_all(h);
	while (h->plugins)
		host_remove(h, h->plugins);
	isolate_reap_all(h);
	sources_free(h->sources);
	work_fini(h);
	loop_remove(h->parts.loop, h->rescan);
	loop_remove(h->parts.loop, h->chores);
	free(h->buffer);
	free(h->datagram);
	free(h);
}

int host_info(struct host *h, size_t index, struct host_info *ret_info)
{
	struct plugin *p = h->plugins;

	while (p && index--)
		p = p->next;
	if (!p)
		return -ENOENT;
	*ret_info = (struct host_info){
		.name = p->name,
		.version = p->d.version ? p->d.version : "",
		.file = p->path,
		.reason = p->reason ? p->reason : p->capped ? p->capped : p->note ? p->note : "",
		.state = p->state,
		.series = p->owner.n_series,
		.calls = p->account.calls,
		.cpu_ns = p->account.cpu_ns,
		.samples = p->owner.samples,
		.failures = p->account.failures,
		.allocations = alloc_count() < 0 ? -1 : p->account.allocations,
	};
	return 0;
}
