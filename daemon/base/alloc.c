#include "base/alloc.h"

#include <config.h>
#include <features.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__GLIBC__) && !defined(KITH_SANITIZED)

/* glibc's own names; calls through them keep free() and the rest as they are. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static __thread int64_t alloc_calls;

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	alloc_calls++;
	return __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
	alloc_calls++;
	return __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *old, size_t size)
{
	alloc_calls++;
	return __libc_realloc(old, size);
}

int64_t alloc_count(void)
{
	return alloc_calls;
}

#else

int64_t alloc_count(void)
{
	return -1;
}

#endif
