#include "host/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

#define MESSAGE_MAX 8192u /* bytes of a record's line that are carried over */
#define FIELD_MAX 1024u   /* and of each of its fields: 32 of them fit a datagram */
#define KEY_MAX 128u
#define TEXT_MAX 4096u    /* of a help text, say */

struct wire_header {
	uint32_t size; /* with the header */
	uint32_t type;
};

/* ---- writing ---------------------------------------------------------------------------------------------------- */

size_t wire_begin(struct buf *b, enum wire_type type)
{
	struct wire_header header = { 0, (uint32_t)type };
	size_t at = b->length;

	buf_append(b, &header, sizeof(header));
	return at;
}

void wire_end(struct buf *b, size_t at)
{
	uint32_t size = (uint32_t)(b->length - at);

	if (!b->failed)
		memcpy(b->data + at, &size, sizeof(size));
}

void wire_put_u32(struct buf *b, uint32_t v)
{
	buf_append(b, &v, sizeof(v));
}

void wire_put_u64(struct buf *b, uint64_t v)
{
	buf_append(b, &v, sizeof(v));
}

void wire_put_f64(struct buf *b, double v)
{
	buf_append(b, &v, sizeof(v));
}

void wire_put_text(struct buf *b, const char *text, size_t max)
{
	size_t n = text ? strnlen(text, max + 1) : 0;

	if (n > max)
		for (n = max; n && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
			;
	wire_put_u32(b, (uint32_t)n);
	buf_append(b, text ? text : "", n);
	buf_append(b, "", 1);
}

void wire_put_record(struct buf *b, const struct kith_record *record)
{
	size_t at = wire_begin(b, WIRE_RECORD);
	uint32_t n = record->n_fields < WIRE_FIELDS_MAX ? record->n_fields : WIRE_FIELDS_MAX;

	wire_put_u32(b, record->priority);
	wire_put_u32(b, n);
	wire_put_u32(b, record->flags);
	wire_put_u64(b, (uint64_t)record->time);
	wire_put_text(b, record->subject, FIELD_MAX);
	wire_put_text(b, record->message, MESSAGE_MAX);
	for (uint32_t i = 0; i < n; i++) {
		wire_put_text(b, record->fields[i].key, KEY_MAX);
		wire_put_text(b, record->fields[i].value, FIELD_MAX);
	}
	wire_end(b, at);
}

void wire_put_family(struct buf *b, const struct family *f)
{
	wire_put_u32(b, f->n_metrics);
	wire_put_u32(b, f->instance_label != NULL);
	wire_put_text(b, f->name, TEXT_MAX);
	wire_put_text(b, f->help, TEXT_MAX);
	wire_put_text(b, f->instance_label, TEXT_MAX);
	for (uint32_t i = 0; i < f->n_metrics; i++) {
		const struct metric *m = &f->metrics[i];

		wire_put_u32(b, m->kind);
		wire_put_u32(b, m->flags);
		wire_put_u32(b, m->n_states);
		wire_put_text(b, m->name, TEXT_MAX);
		wire_put_text(b, m->unit, TEXT_MAX);
		wire_put_text(b, m->help, TEXT_MAX);
		for (uint32_t k = 0; k < m->n_states; k++)
			wire_put_text(b, m->states[k], TEXT_MAX);
	}
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static bool wire_take(struct wire_in *in, void *to, size_t n)
{
	if (in->bad || in->left < n) {
		in->bad = true;
		memset(to, 0, n);
		return false;
	}
	memcpy(to, in->at, n);
	in->at += n;
	in->left -= n;
	return true;
}

bool wire_next(struct wire_in *in, uint32_t *ret_type, struct wire_in *ret_message)
{
	struct wire_header header;

	if (in->bad || !in->left || !wire_take(in, &header, sizeof(header)))
		return false;
	if (header.size < sizeof(header) || header.size - sizeof(header) > in->left) {
		in->bad = true;
		return false;
	}
	*ret_type = header.type;
	*ret_message = (struct wire_in){ in->at, header.size - sizeof(header), false };
	in->at += ret_message->left;
	in->left -= ret_message->left;
	return true;
}

uint32_t wire_u32(struct wire_in *in)
{
	uint32_t v;

	wire_take(in, &v, sizeof(v));
	return v;
}

uint64_t wire_u64(struct wire_in *in)
{
	uint64_t v;

	wire_take(in, &v, sizeof(v));
	return v;
}

double wire_f64(struct wire_in *in)
{
	double v;

	wire_take(in, &v, sizeof(v));
	return v;
}

const char *wire_text(struct wire_in *in)
{
	uint32_t n = wire_u32(in);
	const char *text = (const char *)in->at;

	if (in->bad || n >= in->left || memchr(text, '\0', in->left) != text + n) {
		in->bad = true;
		return "";
	}
	in->at += n + 1;
	in->left -= n + 1;
	return text;
}

void wire_record(struct wire_in *in, struct wire_record *ret_record)
{
	struct wire_record *r = ret_record;

	r->record = (struct kith_record){ .size = sizeof(r->record), .fields = r->fields };
	r->record.priority = wire_u32(in);
	r->record.n_fields = wire_u32(in);
	r->record.flags = wire_u32(in);
	r->record.time = (int64_t)wire_u64(in);
	r->record.subject = wire_text(in);
	r->record.message = wire_text(in);
	if (r->record.n_fields > WIRE_FIELDS_MAX || r->record.priority > KITH_DEBUG)
		in->bad = true;
	for (uint32_t i = 0; !in->bad && i < r->record.n_fields; i++) {
		r->fields[i].key = wire_text(in);
		r->fields[i].value = wire_text(in);
	}
}

/* States: each takes 5 bytes at least, so no more of them are believed than there is room for. */
static int wire_metric(struct wire_in *in, struct kith_metric *m, const char **states, size_t *n, size_t max)
{
	uint32_t n_states;

	m->kind = wire_u32(in);
	m->flags = wire_u32(in);
	n_states = wire_u32(in);
	m->name = wire_text(in);
	m->unit = wire_text(in);
	m->help = wire_text(in);
	if (in->bad || (m->kind == KITH_STATE) != (n_states > 0) || n_states >= max - *n)
		return -EBADMSG;
	m->states = n_states ? states + *n : NULL;
	for (uint32_t k = 0; k < n_states; k++)
		states[(*n)++] = wire_text(in);
	if (n_states)
		states[(*n)++] = NULL;
	return in->bad ? -EBADMSG : 0;
}

int wire_family(struct wire_in *in, struct wire_family *ret_family)
{
	struct wire_family *f = ret_family;
	size_t n = 0, max = in->left / 5 + KITH_METRICS_MAX + 1;
	bool labelled;
	int r = 0;

	*f = (struct wire_family){ .family = { KITH_FAMILY_INIT, .metrics = f->metrics } };
	f->family.n_metrics = wire_u32(in);
	labelled = wire_u32(in) != 0;
	f->family.name = wire_text(in);
	f->family.help = wire_text(in);
	f->family.instance = wire_text(in);
	if (!labelled)
		f->family.instance = NULL;
	if (in->bad || !f->family.n_metrics || f->family.n_metrics > KITH_METRICS_MAX)
		return -EBADMSG;
	f->states = calloc(max, sizeof(*f->states));
	if (!f->states)
		return -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < f->family.n_metrics; i++)
		r = wire_metric(in, &f->metrics[i], f->states, &n, max);
	if (r < 0)
		wire_family_free(f);
	return r;
}

void wire_family_free(struct wire_family *f)
{
	free(f->states);
	f->states = NULL;
}
