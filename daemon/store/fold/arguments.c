#include "store/fold/arguments.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void arguments_free(struct arguments *a)
{
	for (size_t k = 0; k < a->n; k++)
		free(a->list[k]);
	free(a->list);
	*a = (struct arguments){ 0 };
}

void argument(struct arguments *a, const char *format, ...)
{
	va_list args;
	int n;

	if (a->n + 1 >= a->room) {
		size_t room = a->room ? a->room * 2 : 32;
		char **more = realloc(a->list, room * sizeof(*more));

		if (!more) {
			a->failed = true;
			return;
		}
		a->list = more;
		a->room = room;
	}
	va_start(args, format);
	n = vasprintf(&a->list[a->n], format, args);
	va_end(args);
	if (n < 0)
		a->failed = true;
	else
		a->list[++a->n] = NULL;
}
