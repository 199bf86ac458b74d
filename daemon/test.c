/* kithd -t and kithd --check: every fault with its place, nothing is started. */
#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

static void arm_nothing(int64_t at, void *user)
{
	(void)at;
	(void)user;
}

static int act_nothing(const struct promise_action *action, void *user)
{
	(void)action;
	(void)user;
	return 0;
}

void test_print_faults(const struct faults *faults)
{
	struct buf b = BUF_INIT;

	for (const struct fault *f = faults->first; f; f = f->next)
		fault_format(f, &b);
	fputs(buf_text(&b), stderr);
	buf_free(&b);
}

/* The files named on the command line */
int test_read_named(const struct options *o, struct promises_file **ret_files, size_t *ret_n, struct faults *faults)
{
	struct promises_file *files = calloc(o->n_check_files, sizeof(*files));
	size_t n = 0;

	if (!files)
		return -ENOMEM;
	for (size_t i = 0; i < o->n_check_files; i++) {
		char *text;
		int r = file_read_all(o->check_files[i], 1u << 20, &text, &files[n].length);

		if (r < 0) {
			fault_add(faults, false, o->check_files[i], NULL, 0, 0, 0, NULL, "%s", strerror(-r));
			continue;
		}
		files[n].path = strdup(o->check_files[i]);
		files[n++].text = text;
	}
	*ret_files = files;
	*ret_n = n;
	return 0;
}

static int check_promises(struct daemon *d, struct faults *faults)
{
	struct promises_driver driver = { NULL, arm_nothing, act_nothing };
	struct promises_file *files = NULL;
	struct promises_facts facts;
	struct buf text = BUF_INIT;
	size_t n = 0;
	int r;

	r = d->options.n_check_files ? test_read_named(&d->options, &files, &n, faults) : promised_read(&d->options, &files, &n);
	if (r < 0)
		return r;
	promised_facts(d, d->conf, &facts);
	r = promises_new(d->model, &driver, &facts, &d->promises);
	if (r == 0)
		r = notified_names(d->promises, d->conf);
	if (r == 0 && d->options.explain)
		r = promises_describe(d->promises, files, n, faults, &text);
	else if (r == 0)
		r = promises_check(d->promises, files, n, faults);
	fputs(buf_text(&text), stdout);
	buf_free(&text);
	promises_free(d->promises);
	promised_free_files(files, n);
	d->promises = NULL;
	if (r == 0 && !faults->n_errors)
		printf("%zu file%s of promises: good\n", n, n == 1 ? "" : "s");
	return r;
}

static int check_all(struct daemon *d, struct faults *faults)
{
	struct host_parts parts;
	int r;

	/* With faults, too: those of the sections and the promises are wanted all the same. */
	r = conf_load_faulty(d->options.config, d->options.config_given, &d->conf, faults);
	if (r < 0)
		return r;
	parts = (struct host_parts){ .loop = d->loop, .model = d->model, .conf = d->conf };
	r = host_new(&parts, &d->host);
	if (r < 0)
		return r;
	if (host_describe_all(d->host, d->options.plugin_dirs, d->options.n_plugin_dirs, &self_plugin, faults) < 0)
		r = -1;
	if (check_promises(d, faults) < 0)
		r = -1;
	host_free(d->host);
	return r;
}

int test_run(struct daemon *d)
{
	struct faults faults = { 0 };
	int r;

	log_set_level(LOG_LEVEL_ERR);
	if (loop_new(&d->loop) < 0 || model_new(&d->model) < 0)
		return 1;
	r = check_all(d, &faults);
	test_print_faults(&faults);
	if (faults.n_errors)
		fprintf(stderr, "%u fault%s\n", faults.n_errors, faults.n_errors == 1 ? "" : "s");
	else if (r == 0 && !d->options.n_check_files)
		printf("%s: good\n", d->options.config);
	r = r < 0 || faults.n_errors ? 1 : 0;
	faults_free(&faults);
	conf_free(d->conf);
	host_facts_free(&d->facts);
	model_free(d->model);
	loop_free(d->loop);
	return r;
}
