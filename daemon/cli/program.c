#include "cli/program.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

bool program_find(const char *name, char path[PATH_MAX])
{
	static const char *const beside[] = { "", "../sbin/" };
	char self[PATH_MAX - 32];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < CLI_N(beside); i++) {
		slash[1] = '\0';
		snprintf(path, PATH_MAX, "%s%s%s", self, beside[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	snprintf(path, PATH_MAX, "%s/%s", KITH_SBINDIR, name);
	return access(path, X_OK) == 0;
}
