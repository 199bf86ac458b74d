#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "interface/interface.h"

/* Who stands in this line: nearly always the one of last time */
static struct link *line_link(struct interface *p, uint32_t line, const char *name, size_t length)
{
	struct link *l = line < p->n_lines ? p->lines[line] : NULL, **grown;
	uint32_t size;

	if (l && !strncmp(l->name, name, length) && l->name[length] == '\0')
		return l;
	l = link_named(p, name, length);
	if (line >= p->size_lines) {
		size = p->size_lines ? p->size_lines * 2 : 8;
		grown = realloc(p->lines, size * sizeof(*grown));
		if (!grown)
			return l;
		p->lines = grown;
		p->size_lines = size;
	}
	while (p->n_lines <= line)
		p->lines[p->n_lines++] = NULL;
	if (l) {
		/* In one slot at most: the one that is cleared when the link goes */
		if (l->line < p->n_lines && p->lines[l->line] == l)
			p->lines[l->line] = NULL;
		l->line = line;
	}
	p->lines[line] = l;
	return l;
}

/* 0, or -EBADMSG when the line is not as the kernel writes it */
static int line_sample(struct interface *p, uint32_t line, const char *s)
{
	double values[N_COUNTERS];
	const char *name, *colon;
	struct link *l;
	uint64_t v;

	while (*s == ' ')
		s++;
	name = s;
	colon = name + strcspn(name, ":\n");
	if (*colon != ':' || colon == name || colon - name >= IFNAMSIZ)
		return -EBADMSG;
	l = line_link(p, line, name, (size_t)(colon - name));
	if (!l || l->id == KITH_ID_NONE)
		return 0;
	s = colon + 1;
	for (int i = 0; i < N_COUNTERS; i++) {
		if (kith_scan_u64(&s, &v) < 0)
			return -EBADMSG;
		values[i] = (double)v;
	}
	return p->h->put_all(p->h, l->id + METRIC_COUNTERS, values, N_COUNTERS);
}

int counters_sample(void *state)
{
	struct interface *p = state;
	int result = 0, r;
	uint32_t line = 0;
	const char *s;
	char *text;

	r = p->h->read(p->h, p->fd, &text, NULL);
	if (r < 0)
		return r;
	/* Two lines of headings */
	for (s = kith_scan_line(kith_scan_line(text)); *s; s = kith_scan_line(s), line++) {
		r = line_sample(p, line, s);
		if (r < 0)
			result = r;
	}
	/* Links that are gone from the end leave no pointer to compare with */
	while (p->n_lines > line)
		p->n_lines--;
	return result;
}
