/* What promises may ask about this host: `only on os == "debian" and cpus >= 4`. Read once: it does not change while the host runs. */
#include "daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#define FACT_FILE_MAX (64u << 10)

/* KEY=value, or KEY="value", of os-release. The caller frees it; NULL: not there */
static char *release_value(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		const char *value = line + n + 1;
		bool quoted;

		if (strncmp(line, key, n) != 0 || line[n] != '=')
			continue;
		quoted = *value == '"' || *value == '\'';
		return strndup(value + quoted, strcspn(value + quoted, quoted ? (char[]){ *value, '\n', 0 } : " \t\r\n"));
	}
	return NULL;
}

/* The file below the host's root; NULL: it cannot be read */
static char *fact_file(const struct conf *conf, const char *path)
{
	char full[4096], *text = NULL;
	size_t length;

	if (snprintf(full, sizeof(full), "%s%s", conf->root ? conf->root : "", path) >= (int)sizeof(full))
		return NULL;
	return file_read_all(full, FACT_FILE_MAX, &text, &length) < 0 ? NULL : text;
}

static void facts_release(struct host_facts *f, const struct conf *conf)
{
	char *text = fact_file(conf, "/etc/os-release");

	if (!text)
		text = fact_file(conf, "/usr/lib/os-release");
	if (!text)
		return;
	f->os = release_value(text, "ID");
	f->os_version = release_value(text, "VERSION_ID");
	free(text);
}

/*
 * Where it runs: what a container's manager told process 1 or left in a file, else what the firmware calls itself, else whether the processor says
 * that there is a hypervisor.
 */
static const char *facts_virtual(const struct conf *conf)
{
	static const struct {
		const char *vendor, *name;
	} vendors[] = { { "QEMU", "kvm" }, { "KVM", "kvm" }, { "Amazon EC2", "amazon" }, { "Google", "google" }, { "VMware", "vmware" },
		        { "innotek", "oracle" }, { "Xen", "xen" }, { "Microsoft Corporation", "microsoft" }, { "Parallels", "parallels" },
		        { "Bochs", "bochs" } };
	static const char *const files[] = { "/sys/class/dmi/id/sys_vendor", "/sys/class/dmi/id/product_name" };
	const char *name = NULL;
	char *text = fact_file(conf, "/run/systemd/container");

	if (text) {
		name = !strncmp(text, "lxc", 3) ? "lxc" : !strncmp(text, "docker", 6) ? "docker" : !strncmp(text, "podman", 6) ? "podman" :
		       !strncmp(text, "systemd-nspawn", 14) ? "systemd-nspawn" : "container";
		free(text);
		return name;
	}
	if (access("/.dockerenv", F_OK) == 0)
		return "docker";
	for (size_t i = 0; i < KITH_COUNT(files) && !name; i++) {
		text = fact_file(conf, files[i]);
		for (size_t k = 0; text && k < KITH_COUNT(vendors) && !name; k++)
			if (strstr(text, vendors[k].vendor))
				name = vendors[k].name;
		free(text);
	}
	text = name ? NULL : fact_file(conf, "/proc/cpuinfo");
	if (text && strstr(text, " hypervisor"))
		name = "vm";
	free(text);
	return name ? name : "none";
}

void host_facts_read(struct host_facts *f, const struct conf *conf)
{
	struct utsname u;
	struct sysinfo info;
	char *text;

	facts_release(f, conf);
	if (uname(&u) == 0) {
		f->kernel = strdup(u.release);
		f->arch = strdup(u.machine);
	}
	f->virtual = facts_virtual(conf);
	text = fact_file(conf, "/proc/1/comm");
	f->init = text ? strndup(text, strcspn(text, "\n")) : NULL;
	free(text);
	f->cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);
	f->memory = sysinfo(&info) == 0 ? (double)info.totalram * info.mem_unit : 0;
	f->read = true;
}

void host_facts_free(struct host_facts *f)
{
	free(f->os);
	free(f->os_version);
	free(f->kernel);
	free(f->arch);
	free(f->init);
	*f = (struct host_facts){ 0 };
}
