#include "lines/entry.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void entry_init(struct entry *e, int64_t skew)
{
	*e = (struct entry){ .skew = skew, .subject = "log:" };
	if (gethostname(e->local_host, sizeof(e->local_host) - 1) < 0)
		*e->local_host = '\0';
}

void entry_add(struct entry *e, const char *key, const char *value)
{
	if (e->record.n_fields < ENTRY_FIELDS_MAX)
		e->fields[e->record.n_fields++] = (struct kith_field){ key, value };
}

/* Its own name, short or in full, is no news. */
static bool is_local(const struct entry *e, const char *host)
{
	size_t n = strlen(e->local_host), m = strcspn(e->local_host, ".");

	return (strncmp(host, e->local_host, n) == 0 && (!host[n] || host[n] == '.')) || (strncmp(host, e->local_host, m) == 0 && !host[m]) ||
	       !strcmp(host, "localhost");
}

static void set_subject(struct entry *e, const char *name)
{
	size_t n = strlen(name);

	if (n > LINE_NAME_MAX)
		n = line_cut(name, n, LINE_NAME_MAX);
	memcpy(e->subject + 4, name, n);
	e->subject[4 + n] = '\0';
}

void entry_fill(struct entry *e, const struct line *l, int64_t now, uint32_t priority, const char *fallback)
{
	struct kith_record *r = &e->record;
	bool sane = l->time > 0 && l->time - now <= e->skew && now - l->time <= e->skew;

	set_subject(e, *l->identifier ? l->identifier : fallback ? fallback : "-");
	*r = (struct kith_record){ .size = sizeof(*r), .subject = e->subject, .message = l->message, .fields = e->fields,
		                   .priority = l->severity == LINE_NONE ? priority : l->severity, .time = sane ? l->time : now };
	if (*l->host && !is_local(e, l->host))
		entry_add(e, "host", l->host);
	if (*l->pid)
		entry_add(e, "pid", l->pid);
	if (l->facility != LINE_NONE)
		entry_add(e, "facility", line_facility(l->facility));
	if (*l->msgid)
		entry_add(e, "msgid", l->msgid);
	if (*l->sequence)
		entry_add(e, "sequence", l->sequence);
	for (uint32_t i = 0; i < l->n_params; i++)
		entry_add(e, l->params[i].key, l->params[i].value);
	if (l->left_out) {
		snprintf(e->left_out, sizeof(e->left_out), "%u", l->left_out);
		entry_add(e, "left_out", e->left_out);
	}
}
