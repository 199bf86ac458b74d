/* Plugins that kithd must not run, each for its own reason: -DODD_… chooses it, -DODD_NAME says what it calls itself. */
#include <errno.h>

#include "plugin.h"

#ifndef ODD_NAME
#define ODD_NAME "odd"
#endif
#ifndef ODD_NEEDS
#define ODD_NEEDS 0
#endif
#ifndef ODD_MAJOR
#define ODD_MAJOR KITH_ABI_MAJOR
#endif
#ifndef ODD_MINOR
#define ODD_MINOR KITH_ABI_MINOR
#endif
#ifndef ODD_SIZE
#define ODD_SIZE sizeof(struct kith_plugin)
#endif
#ifndef ODD_PROVIDES
#define ODD_PROVIDES 0
#endif

#ifdef ODD_UNDEFINED
int odd_function_that_nobody_has(void);
#endif

static int odd_init(const struct kith_host *h, void **ret_state)
{
	(void)ret_state;
#ifdef ODD_UNDEFINED
	return odd_function_that_nobody_has();
#endif
#ifdef ODD_INIT_FAILS
	h->note(h, "the frobnicator is not there: plug it in");
	return -ENODEV;
#endif
	(void)h;
	return 0;
}

#ifdef ODD_NO_DESCRIPTOR
KITH_VISIBLE int (*const odd_symbol)(const struct kith_host *, void **) = odd_init;
#else
KITH_PLUGIN = {
	ODD_SIZE,
	ODD_MAJOR,
	ODD_MINOR,
	.name = ODD_NAME,
	.version = "1",
	.help = "A plugin that is refused",
	.provides = ODD_PROVIDES,
	.needs = ODD_NEEDS,
	.init = odd_init,
};
#endif
