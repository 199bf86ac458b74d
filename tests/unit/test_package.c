/* The package plugin on files of the test's own */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_host.h"
#include "package/package.h"

extern const struct kith_plugin kith_plugin;

#define DPKG "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21.22\nDescription: a\n b\n\n"
#define NGINX(version, state) "Package: nginx\nStatus: install ok " state "\nArchitecture: amd64\nVersion: " version "\n\n"

static struct fake_host *f;
static char root[64];

static void setup(void)
{
	fake_tree_new(root);
	f = fake_host_new(&kith_plugin, root);
	fake_host_option(f, "rpmdb", NULL);
}

static void teardown(void)
{
	fake_host_free(f);
	fake_tree_free(root);
}

static void status(const char *text)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/var/lib/dpkg/status", root);
	unlink(path);
	ck_assert_int_eq(fake_write(root, "/var/lib/dpkg/status", text), 0);
	if (f->started)
		ck_assert_int_eq(fake_host_file(f, path, "", KITH_FILE_CHANGED), 0);
	else
		ck_assert_int_eq(fake_host_start(f), 0);
	fake_host_advance(f, NS_PER_S);
	fake_host_run_work(f);
}

START_TEST(versions)
{
	static const char *const ascending[] = { "1.0~rc1-1", "1.0-1", "1.0-1+b1", "1.0-2", "1.0-10", "1.0a-1", "1.0.1-1", "1.2", "1.10", "2:0.1", "10:0" };

	for (size_t a = 0; a < sizeof(ascending) / sizeof(ascending[0]); a++)
		for (size_t b = 0; b < sizeof(ascending) / sizeof(ascending[0]); b++) {
			int c = version_compare(ascending[a], ascending[b]);

			ck_assert_msg((c > 0) - (c < 0) == (a > b) - (a < b), "%s %s: %d", ascending[a], ascending[b], c);
		}
	ck_assert_int_eq(version_compare("1.00", "1.0"), 0);
}
END_TEST

START_TEST(life_of_a_package)
{
	fake_host_want(f, FAMILY_PACKAGE, "nginx", true);
	fake_host_want(f, FAMILY_PACKAGE, "dp*", true);
	fake_host_option(f, "expect", "nginx=1.22-1");
	status(DPKG);
	ck_assert_str_eq(fake_host_state(f, "package:nginx:state"), "absent");
	ck_assert_str_eq(fake_host_state(f, "package:nginx:installed"), "no");
	ck_assert_str_eq(fake_host_state(f, "package:dpkg:installed"), "yes");
	ck_assert_double_eq(fake_host_value(f, "packages:installed"), 1);
	ck_assert_int_eq((int)f->n_records, 0);
	status(DPKG NGINX("1.22-1", "installed"));
	ck_assert_str_eq(fake_host_state(f, "package:nginx:installed"), "yes");
	ck_assert_str_eq(fake_host_state(f, "package:nginx:version"), "expected");
	ck_assert_ptr_nonnull(fake_host_record(f, "nginx 1.22-1 was installed"));
	status(DPKG NGINX("1.23-1", "half-configured"));
	ck_assert_ptr_nonnull(fake_host_record(f, "nginx was upgraded from 1.22-1 to 1.23-1, but is half-configured"));
	ck_assert_double_eq(fake_host_value(f, "packages:broken"), 1);
	ck_assert_str_eq(fake_host_state(f, "package:nginx:installed"), "no");
	ck_assert_str_eq(fake_host_state(f, "package:nginx:version"), "other");
	status(DPKG NGINX("1.22-1", "installed"));
	ck_assert_ptr_nonnull(fake_host_record(f, "nginx was downgraded from 1.23-1 to 1.22-1"));
	status(DPKG "Package: nginx\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1.22-1\n\n");
	ck_assert_ptr_nonnull(fake_host_record(f, "nginx 1.22-1 was removed; its configuration is left"));
	status(DPKG);
	ck_assert_ptr_nonnull(fake_host_record(f, "the configuration of nginx is gone too"));
	ck_assert_double_eq(fake_host_value(f, "packages:changes"), 5);
	fake_host_want(f, FAMILY_PACKAGE, "dp*", false);
	ck_assert(!fake_host_has(f, "package", "dpkg"));
}
END_TEST

START_TEST(damage)
{
	static const struct { const char *text, *why; } t[] = {
		{ DPKG "Package: nginx\nStatus: install ok installed\nVersion: 1", "cut off" },
		{ DPKG "Package: nginx\nVersion: 1\n\n", "without a status" },
		{ DPKG "Status: install ok installed\nVersion: 1\n\n", "without a name" },
		{ DPKG "Package: nginx\nStatus: install ok installed\n\n", "without a version" },
		{ DPKG "Package: nginx\nStatus: install ok thing\nVersion: 1\n\n", "no status that dpkg has" },
		{ DPKG "noise\n\n", "no field" },
		{ "", "it is empty" },
	};

	for (size_t k = 0; k < sizeof(t) / sizeof(t[0]); k++) {
		status(DPKG NGINX("1", "installed"));
		ck_assert_str_eq(fake_host_state(f, "packages:database"), "ok");
		ck_assert_ptr_null(f->note);
		status(t[k].text);
		ck_assert_str_eq(fake_host_state(f, "packages:database"), "damaged");
		ck_assert_msg(f->note && strstr(f->note, t[k].why), "%s", f->note);
		ck_assert_double_eq(fake_host_value(f, "packages:installed"), 2);
		ck_assert_ptr_nonnull(fake_host_record(f, t[k].why));
	}
}
END_TEST

START_TEST(cut_off_anywhere)
{
	static const char text[] = DPKG NGINX("1.22-1", "installed");
	struct snapshot *s = NULL;

	for (size_t n = 0; n < strlen(text); n++) {
		ck_assert_int_eq(database_dpkg(text, n, &s), 0);
		ck_assert(s->n <= 2 && (s->n < 2 || n > strlen(text) - 10));
		snapshot_free(s);
	}
}
END_TEST

START_TEST(other_architectures_and_rpm)
{
	static const char text[] = DPKG "Package: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 2\n\n"
	                           "Package: libc6\nStatus: hold ok installed\nArchitecture: amd64\nVersion: 1\n\n";
	static const char rpm[] = "bash\t5.2-1\tx86_64\nkernel\t6-1\tx86_64\nkernel\t6-2\tx86_64\ngpg-pubkey\ta-b\t(none)\n";
	struct snapshot *s = NULL;

	ck_assert_int_eq(database_dpkg(text, strlen(text), &s), 0);
	ck_assert_str_eq(snapshot_find(s, "libc6").version, "1");
	ck_assert_str_eq(snapshot_find(s, "libc6:i386").version, "2");
	ck_assert(snapshot_find(s, "libc6").held && s->held == 1);
	snapshot_free(s);
	ck_assert_int_eq(database_rpm(rpm, strlen(rpm), &s), 0);
	ck_assert_uint_eq(s->n, 2);
	ck_assert_str_eq(snapshot_find(s, "kernel").version, "6-2");
	snapshot_free(s);
}
END_TEST

START_TEST(two_thousand_packages_are_small)
{
	char *text = calloc(2000, 160);
	struct snapshot *s = NULL;
	size_t n = 0;

	for (int k = 0; k < 2000; k++)
		n += (size_t)sprintf(text + n, "Package: lib-of-some-length-%d\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2.36-9+deb12u%d\n\n", k, k);
	ck_assert_int_eq(database_dpkg(text, n, &s), 0);
	ck_assert_uint_eq(s->n, 2000);
	ck_assert_uint_lt(s->size, 200 * 1024);
	snapshot_free(s);
	free(text);
}
END_TEST

START_TEST(reboot)
{
	char path[128];

	status(DPKG);
	ck_assert_str_eq(fake_host_state(f, "packages:reboot_required"), "no");
	ck_assert_int_eq(fake_write(root, "/run/reboot-required", ""), 0);
	snprintf(path, sizeof(path), "%s/run/reboot-required", root);
	ck_assert_int_eq(fake_host_file(f, path, "", KITH_FILE_ADDED), 0);
	ck_assert_str_eq(fake_host_state(f, "packages:reboot_required"), "yes");
	ck_assert_ptr_nonnull(fake_host_record(f, "restart of the host"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("package");
	TCase *c = tcase_create("package");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, versions);
	tcase_add_test(c, life_of_a_package);
	tcase_add_test(c, damage);
	tcase_add_test(c, cut_off_anywhere);
	tcase_add_test(c, other_architectures_and_rpm);
	tcase_add_test(c, two_thousand_packages_are_small);
	tcase_add_test(c, reboot);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
