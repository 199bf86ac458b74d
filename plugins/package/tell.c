/* Series and records of what the databases hold. */
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "package/package.h"

enum { EXPECTED, OTHER };

void tell_record(struct packages *p, enum kith_priority priority, const char *subject, const char *message, const struct kith_field *fields,
                 uint32_t n_fields)
{
	struct kith_record r = { .size = sizeof(r), .priority = priority, .subject = subject, .message = message, .fields = fields,
		                 .n_fields = n_fields };

	p->h->record(p->h, &r);
}

/* ---- changes ---------------------------------------------------------------------------------------------------- */

static bool is_in(enum package_state s)
{
	return s > PACKAGE_CONFIG_FILES;
}

static bool is_broken(enum package_state s)
{
	return s > PACKAGE_CONFIG_FILES && s < PACKAGE_INSTALLED;
}

static void tell_change(struct packages *p, const struct package *a, const struct package *b)
{
	static const char *const names[] = { "absent", "config-files", "half-installed", "unpacked", "half-configured", "triggers-awaited",
		                             "triggers-pending", "installed" };
	const char *name = *b->name ? b->name : a->name, *change;
	char subject[300], message[700];
	struct kith_field fields[] = { { "package", name }, { "change", "" }, { "version", b->version }, { "before", a->version },
		                       { "state", names[b->state] } };

	if (a->state == b->state && !strcmp(a->version, b->version))
		return;
	if (!is_in(a->state) && is_in(b->state))
		change = "installed";
	else if (is_in(a->state) && b->state == PACKAGE_CONFIG_FILES)
		change = "removed";
	else if (is_in(a->state) && b->state == PACKAGE_ABSENT)
		change = "removed";
	else if (a->state == PACKAGE_CONFIG_FILES && b->state == PACKAGE_ABSENT)
		change = "purged";
	else if (strcmp(a->version, b->version) != 0 && is_in(b->state))
		change = version_compare(a->version, b->version) < 0 ? "upgraded" : "downgraded";
	else
		change = "state";
	fields[1].value = change;
	p->changes++;
	snprintf(subject, sizeof(subject), "package:%s", name);
	if (!strcmp(change, "installed"))
		snprintf(message, sizeof(message), "%s %s was installed", name, b->version);
	else if (!strcmp(change, "removed"))
		snprintf(message, sizeof(message), "%s %s was removed%s", name, a->version,
		         b->state == PACKAGE_CONFIG_FILES ? "; its configuration is left" : "");
	else if (!strcmp(change, "purged"))
		snprintf(message, sizeof(message), "the configuration of %s is gone too", name);
	else if (!strcmp(change, "state"))
		snprintf(message, sizeof(message), "%s %s is %s, was %s", name, b->version, names[b->state], names[a->state]);
	else
		snprintf(message, sizeof(message), "%s was %s from %s to %s", name, change, a->version, b->version);
	if (is_broken(b->state) && strcmp(change, "state") != 0)
		snprintf(message + strlen(message), sizeof(message) - strlen(message), ", but is %s", names[b->state]);
	tell_record(p, is_broken(b->state) ? KITH_WARNING : KITH_NOTICE, subject, message, fields, KITH_COUNT(fields));
}

/* Both are in order of names. */
void tell_changes(struct packages *p, const struct snapshot *before, const struct snapshot *now)
{
	size_t i = 0, k = 0;

	while (i < before->n || k < now->n) {
		struct package none = { "", "", PACKAGE_ABSENT, false };
		struct package a = i < before->n ? snapshot_get(before, i) : none, b = k < now->n ? snapshot_get(now, k) : none;
		int c = i == before->n ? 1 : k == now->n ? -1 : strcmp(a.name, b.name);

		if (c < 0)
			tell_change(p, &a, &none);
		else if (c > 0)
			tell_change(p, &none, &b);
		else
			tell_change(p, &a, &b);
		i += c <= 0;
		k += c >= 0;
	}
}

/* ---- series ----------------------------------------------------------------------------------------------------- */

static void instance_put(struct packages *p, const char *name, const struct package *k)
{
	double v[N_METRICS] = { [STATE] = k->state, [INSTALLED] = k->state == PACKAGE_INSTALLED || (is_in(k->state) && k->state >= PACKAGE_TRIGGERS_AWAITED),
		                [VERSION] = NAN };
	size_t n = strlen(name);
	struct instance *i;

	HASH_FIND(hh, p->instances, name, n, i);
	if (!i) {
		i = calloc(1, sizeof(*i) + n + 1);
		if (!i)
			return;
		memcpy(i->name, name, n);
		if (p->h->series(p->h, FAMILY_PACKAGE, name, &i->id) < 0) {
			free(i);
			return;
		}
		HASH_ADD(hh, p->instances, name[0], n, i);
	}
	i->seen = true;
	for (const struct expected *e = p->expected; e; e = e->next)
		if (!strcmp(e->name, name))
			v[VERSION] = is_in(k->state) && !strcmp(e->version, k->version) ? EXPECTED : OTHER;
	p->h->put_all(p->h, i->id, v, N_METRICS);
}

static struct package find(const struct packages *p, const char *name)
{
	struct package k = snapshot_find(p->dbs[DB_DPKG].s, name);

	return k.state != PACKAGE_ABSENT || !p->dbs[DB_RPM].s ? k : snapshot_find(p->dbs[DB_RPM].s, name);
}

void tell_instances(struct packages *p)
{
	struct instance *i, *next;

	if (!p->dbs[DB_DPKG].s && !p->dbs[DB_RPM].s)
		return;
	for (i = p->instances; i; i = i->hh.next)
		i->seen = false;
	for (const struct want *w = p->wants; w; w = w->next) {
		if (!strpbrk(w->name, "*?[")) {
			struct package k = find(p, w->name);

			instance_put(p, w->name, &k);
			continue;
		}
		for (int d = 0; d < N_DBS; d++)
			for (size_t n = 0; p->dbs[d].s && n < p->dbs[d].s->n; n++) {
				struct package k = snapshot_get(p->dbs[d].s, n);

				if (fnmatch(w->name, k.name, 0) == 0)
					instance_put(p, k.name, &k);
			}
	}
	HASH_ITER(hh, p->instances, i, next) {
		if (i->seen)
			continue;
		p->h->end(p->h, i->id);
		HASH_DEL(p->instances, i);
		free(i);
	}
}

void tell_totals(struct packages *p)
{
	double v[N_TOTALS] = { [TOTAL_CHANGES] = p->changes, [TOTAL_REBOOT] = p->reboot };
	bool any = false;

	for (int d = 0; d < N_DBS; d++) {
		const struct snapshot *s = p->dbs[d].s;

		if (p->dbs[d].damaged)
			v[TOTAL_DATABASE] = 1;
		any |= s || p->dbs[d].damaged;
		if (!s)
			continue;
		for (int k = PACKAGE_HALF_INSTALLED; k < N_PACKAGE_STATES; k++)
			v[k < PACKAGE_INSTALLED ? TOTAL_BROKEN : TOTAL_INSTALLED] += (double)s->counts[k];
		v[TOTAL_CONFIG_FILES] += (double)s->counts[PACKAGE_CONFIG_FILES];
		v[TOTAL_HELD] += (double)s->held;
	}
	if (any && p->totals == KITH_ID_NONE && p->h->series(p->h, FAMILY_PACKAGES, NULL, &p->totals) < 0)
		return;
	if (any)
		p->h->put_all(p->h, p->totals, v, N_TOTALS);
}
