/* kith-sources(7) from the descriptors of plugins: a program of the build's, not installed. The plugins are its arguments. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

static const char *const kinds[] = { [KITH_GAUGE] = "gauge", [KITH_COUNTER] = "counter", [KITH_STATE] = "state" };

static const struct {
	uint64_t bit;
	const char *text;
} needs[] = {
	{ KITH_NEEDS_PROCFS, "/proc" },
	{ KITH_NEEDS_SYSFS, "/sys" },
	{ KITH_NEEDS_ROUTE_NETLINK, "rtnetlink" },
	{ KITH_NEEDS_PROCESS_EVENTS, "process events" },
	{ KITH_NEEDS_CGROUP2, "control groups v2" },
	{ KITH_NEEDS_PSI, "CONFIG_PSI" },
	{ KITH_NEEDS_CONNTRACK, "conntrack" },
	{ KITH_NEEDS_FANOTIFY, "fanotify" },
	{ KITH_NEEDS_AUDIT, "CAP_AUDIT_READ" },
	{ KITH_NEEDS_KMSG, "/dev/kmsg" },
	{ KITH_NEEDS_SYSTEMD, "systemd" },
	{ KITH_NEEDS_CAP_NET_ADMIN, "CAP_NET_ADMIN" },
	{ KITH_NEEDS_CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
	{ KITH_NEEDS_CAP_SYS_PTRACE, "CAP_SYS_PTRACE" },
	{ KITH_NEEDS_CAP_SYSLOG, "CAP_SYSLOG" },
	{ KITH_NEEDS_CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE" },
	{ KITH_NEEDS_CAP_AUDIT_READ, "CAP_AUDIT_READ" },
	{ KITH_NEEDS_CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH" },
	{ KITH_NEEDS_CAP_NET_RAW, "CAP_NET_RAW" },
};

/* Text as mdoc takes it: no backslash, no line that a dot or a quote begins, no quote that ends an argument */
static void text(const char *s)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", stdout);
	for (; *s; s++) {
		if (*s == '\\')
			fputs("\\e", stdout);
		else if (*s == '"')
			fputs("\\(dq", stdout);
		else
			putchar(*s);
	}
}

/* A text that begins in lower case, as a sentence */
static void sentence(const char *s)
{
	if (*s >= 'a' && *s <= 'z') {
		putchar(*s - 'a' + 'A');
		s++;
	}
	text(s);
	puts(".");
}

static void print_needs(const struct kith_plugin *p)
{
	const char *between = "";

	for (size_t i = 0; i < KITH_COUNT(needs); i++)
		if (p->needs & needs[i].bit) {
			printf("%s%s", between, needs[i].text);
			between = ", ";
		}
	if (!*between)
		fputs("nothing", stdout);
}

static void print_metric(const struct kith_metric *m)
{
	printf(".It Va %s\n", m->name);
	printf("%s", kinds[m->kind]);
	if (m->unit && strcmp(m->unit, "1") != 0) {
		fputs(", ", stdout);
		text(m->unit);
	}
	if (m->flags & KITH_METRIC_EVENT)
		fputs(", when it changes", stdout);
	fputs(": ", stdout);
	text(m->help);
	for (size_t i = 0; m->states && m->states[i]; i++) {
		fputs(i ? ", " : " (", stdout);
		text(m->states[i]);
	}
	puts(m->states ? ")" : "");
}

static void print_family(const struct kith_family *f)
{
	printf(".Pp\nFamily\n.Cm %s : ", f->name);
	fputs("\n", stdout);
	text(f->help);
	if (f->instance) {
		fputs("; an instance is a ", stdout);
		text(f->instance);
	}
	puts(".\n.Bl -tag -width Ds -compact -offset indent");
	for (uint32_t i = 0; i < f->n_metrics; i++)
		print_metric((const void *)((const char *)f->metrics + (size_t)i * f->metric_size));
	puts(".El");
}

static void print_options(const struct kith_plugin *p)
{
	if (!p->n_options)
		return;
	puts(".Pp\nOptions:\n.Bl -tag -width Ds -compact -offset indent");
	for (uint32_t i = 0; i < p->n_options; i++) {
		const struct kith_option *o = (const void *)((const char *)p->options + (size_t)i * p->option_size);

		printf(".It Va %s", o->name);
		if (o->fallback && *o->fallback) {
			fputs(" Pq \"", stdout);
			text(o->fallback);
			putchar('"');
		}
		putchar('\n');
		sentence(o->help);
	}
	puts(".El");
}

static void print_plugin(const struct kith_plugin *p)
{
	printf(".Ss %s\n", p->name);
	sentence(p->help);
	if (p->hears) {
		puts(".Pp");
		fputs("By ", stdout);
		text(p->hears);
		puts(".");
	}
	fputs("Needs ", stdout);
	print_needs(p);
	puts(".");
	if (p->costs) {
		fputs("Costs ", stdout);
		text(p->costs);
		puts(".");
	}
	if (p->provides & KITH_PROVIDES_RESYNC)
		puts("When events were lost it reads again what is there, and says so.");
	for (uint32_t i = 0; i < p->n_families; i++)
		print_family((const void *)((const char *)p->families + (size_t)i * p->families[0].size));
	print_options(p);
}

static void print_row(const struct kith_plugin *p)
{
	printf(".It Sy %s Ta ", p->name);
	print_needs(p);
	fputs(" Ta ", stdout);
	text(p->costs ? p->costs : "\\-");
	putchar('\n');
}

static void print_page(const struct kith_plugin *const *plugins, int n)
{
	puts(".\\\" Made from the plugins' descriptors; change those.\n.Dd November 22, 2026\n.Dt KITH-SOURCES 7\n.Os\n.Sh NAME\n.Nm kith-sources\n"
	     ".Nd what kithd hears and reads, what that needs, costs and gives\n.Sh DESCRIPTION\n"
	     "What the kernel and the supervisors announce is heard, and wakes\n.Xr kithd 8\nonly then; what nobody announces is read on the shared tick.\n"
	     "Each source is a plugin; one whose needs this host does not grant is skipped, and\n.Ic kith plugins\nsays why.\n"
	     "What each costs here and now is shown by\n.Ic kith cost ;\nthe figures below are CPU time on one machine with two processors, at an interval of 1 s.\n"
	     ".Sh SUMMARY\n.Bl -column \"processes\" \"/proc, rtnetlink\" \"what it costs, at some length here, more than that\"\n"
	     ".It Em Plugin Ta Em Needs Ta Em Costs");
	for (int i = 0; i < n; i++)
		print_row(plugins[i]);
	puts(".El\n.Sh PLUGINS");
	for (int i = 0; i < n; i++)
		print_plugin(plugins[i]);
	puts(".Sh SEE ALSO\n.Xr kith 1 ,\n.Xr kith-promise 5 ,\n.Xr kith.conf 5 ,\n.Xr kith-plugin 7 ,\n.Xr kithd 8");
}

static int by_name(const void *a, const void *b)
{
	const struct kith_plugin *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

int main(int argc, char **argv)
{
	const struct kith_plugin **plugins = calloc((size_t)argc, sizeof(*plugins));

	if (!plugins)
		return 1;
	for (int i = 1; i < argc; i++) {
		void *handle = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);

		plugins[i - 1] = handle ? dlsym(handle, "kith_plugin") : NULL;
		if (!plugins[i - 1] || plugins[i - 1]->size < sizeof(struct kith_plugin)) {
			fprintf(stderr, "%s: %s\n", argv[i], handle ? "no descriptor of this kith's" : dlerror());
			return 1;
		}
	}
	qsort(plugins, (size_t)argc - 1, sizeof(*plugins), by_name);
	print_page(plugins, argc - 1);
	free(plugins);
	return fflush(stdout) == 0 ? 0 : 1;
}
