#include "base/places.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int places_program(const char *name, char path[PATH_MAX])
{
	static const char *const beside[] = { "", "../sbin/" };
	char self[PATH_MAX - 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < sizeof(beside) / sizeof(beside[0]); i++) {
		slash[1] = '\0';
		snprintf(path, PATH_MAX, "%s%s%s", self, beside[i], name);
		if (access(path, X_OK) == 0)
			return 0;
	}
	snprintf(path, PATH_MAX, "%s/%s", KITH_SBINDIR, name);
	return access(path, X_OK) < 0 ? -errno : 0;
}

char *places_state(void)
{
	const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *state = NULL;
	int n;

	if (geteuid() == 0)
		return strdup(KITH_STATEDIR);
	if (base && *base == '/')
		n = asprintf(&state, "%s/kith", base);
	else if (home && *home == '/')
		n = asprintf(&state, "%s/.local/state/kith", home);
	else
		n = asprintf(&state, "/tmp/kith-%u/state", (unsigned)geteuid());
	return n < 0 ? NULL : state;
}
