#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "source/audit.h"

#define EXECVE 1309 /* its a0, a1, … are texts */
#define LONGEST (AUDIT_TEXT_MAX / 2)

/* ---- the head ---------------------------------------------------------------------------------------------------- */

static bool number(const char *text, size_t length, size_t *at, char end, uint64_t *ret_value)
{
	uint64_t v = 0;
	size_t i = *at;

	for (; i < length && text[i] >= '0' && text[i] <= '9' && i - *at < 19; i++)
		v = v * 10 + (uint64_t)(text[i] - '0');
	if (i == *at || i >= length || text[i] != end)
		return false;
	*at = i + 1;
	*ret_value = v;
	return true;
}

bool audit_head(const char *text, size_t length, int64_t *ret_time, uint64_t *ret_serial, size_t *ret_body)
{
	uint64_t seconds, ms, serial;
	size_t at = 6;

	if (length < at || memcmp(text, "audit(", at) != 0 || !number(text, length, &at, '.', &seconds) || !number(text, length, &at, ':', &ms) ||
	    !number(text, length, &at, ')', &serial) || at >= length || text[at] != ':' || seconds > (uint64_t)INT64_MAX / NS_PER_S - 1 || ms > 999)
		return false;
	at++;
	while (at < length && text[at] == ' ')
		at++;
	*ret_time = (int64_t)seconds * NS_PER_S + (int64_t)ms * NS_PER_MS;
	*ret_serial = serial;
	*ret_body = at;
	return true;
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

/* Texts that programs choose: the kernel writes them in quotes, or in hexadecimal where they hold a quote, a blank or what is no ASCII. */
static bool may_be_hex(uint32_t type, const char *key, size_t length)
{
	static const char *const keys[] = { "name",  "comm", "ocomm", "exe",  "cwd",     "proctitle", "acct", "path", "cmd",    "data",
		                            "key",   "file", "dir",   "grp",  "new_group", "id",     "vm",   "sw",   "root_dir", "profile",
		                            "device", "watch", "field", "invalid_context" };

	if (type == EXECVE && length >= 2 && key[0] == 'a' && key[1] >= '0' && key[1] <= '9')
		return true;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strlen(keys[i]) == length && !memcmp(keys[i], key, length))
			return true;
	return false;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_hex(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (hex(text[i]) < 0)
			return false;
	return length && length % 2 == 0;
}

/* Clean UTF-8: NUL and newline as a blank (those of a command line), other control characters and what is no UTF-8 as \ooo. Never fails: the pool has room. */
static const char *put_text(struct audit_pool *pool, const unsigned char *text, size_t length)
{
	char *begin = pool->text + pool->used, *to = begin;

	for (size_t i = 0; i < length;) {
		size_t n = text[i] ? utf8_length(text + i, length - i) : 0;

		if (n && text[i] >= 0x20 && text[i] != 0x7f) {
			memcpy(to, text + i, n);
			to += n;
		} else if (!text[i] || text[i] == '\n' || text[i] == 0x1d) {
			*to++ = ' ';
			n = 1;
		} else {
			to += sprintf(to, "\\%03o", text[i]);
			n = 1;
		}
		i += n;
	}
	while (to > begin && to[-1] == ' ')
		to--;
	*to++ = '\0';
	pool->used += (size_t)(to - begin);
	return begin;
}

static bool has_room(const struct audit_pool *pool, size_t length)
{
	return pool->used + 4 * length + 1 <= sizeof(pool->text);
}

static const char *put_value(struct audit_pool *pool, uint32_t type, const char *key, size_t key_length, const char *value, size_t length)
{
	unsigned char raw[LONGEST];
	bool quoted = length >= 2 && value[0] == '"' && value[length - 1] == '"';

	if (quoted)
		return put_text(pool, (const unsigned char *)value + 1, length - 2);
	if (!is_hex(value, length) || length / 2 > sizeof(raw) || !may_be_hex(type, key, key_length))
		return put_text(pool, (const unsigned char *)value, length);
	for (size_t i = 0; i < length / 2; i++)
		raw[i] = (unsigned char)(hex(value[2 * i]) * 16 + hex(value[2 * i + 1]));
	return put_text(pool, raw, length / 2);
}

static bool put_field(struct audit_pool *pool, uint32_t type, const char *key, size_t key_length, const char *value, size_t length)
{
	struct kith_audit_field *f;

	if (pool->n_fields == AUDIT_FIELDS_MAX || !has_room(pool, key_length + length + 2)) {
		pool->cut = true;
		return false;
	}
	f = &pool->fields[pool->n_fields++];
	f->key = put_text(pool, (const unsigned char *)key, key_length);
	f->value = put_value(pool, type, key, key_length, value, length);
	return true;
}

/* The end of a value that begins at `at`: of a quoted one behind the quote */
static size_t value_end(const char *text, size_t length, size_t at)
{
	const char *quote = at < length && text[at] == '"' ? memchr(text + at + 1, '"', length - at - 1) : NULL;

	if (quote)
		return (size_t)(quote - text) + 1;
	/* The fields that userland adds are set off by 0x1d. */
	while (at < length && text[at] != ' ' && text[at] != 0x1d && text[at] != '\n')
		at++;
	return at;
}

/* KEY=VALUE, with blanks between them; words without '=' are passed over; what is within msg='…' is taken apart like the rest. */
static void put_fields(struct audit_pool *pool, uint32_t type, const char *text, size_t length)
{
	size_t at = 0;

	while (at < length) {
		size_t key = at, end;

		while (at < length && text[at] != '=' && text[at] != ' ' && text[at] != 0x1d && text[at] != '\n')
			at++;
		if (at >= length || text[at] != '=' || at == key) {
			at += at < length;
			continue;
		}
		end = at++;
		if (at < length && text[at] == '\'') { /* a message of userland: what is in it comes next; its last quote goes with the last value */
			at++;
			continue;
		}
		key += text[key] == '\'';
		{
			size_t value = at, cut;

			at = cut = value_end(text, length, at);
			if (cut > value && text[cut - 1] == '\'')
				cut--;
			if (end > key && !put_field(pool, type, text + key, end - key, text + value, cut - value))
				return;
		}
	}
}

/* ---- an event ---------------------------------------------------------------------------------------------------- */

void audit_add(struct audit_parts *p, uint32_t type, const char *text, size_t length)
{
	while (length && (!text[length - 1] || text[length - 1] == '\n'))
		length--;
	if (p->n_lines == AUDIT_LINES_MAX || length > LONGEST || length > sizeof(p->text) - p->used) {
		p->cut = true;
		length = p->n_lines == AUDIT_LINES_MAX ? 0 : LONGEST < sizeof(p->text) - p->used ? LONGEST : sizeof(p->text) - p->used;
		if (!length)
			return;
	}
	memcpy(p->text + p->used, text, length);
	p->lines[p->n_lines++] = (struct audit_raw){ type, p->used, length };
	p->used += length;
}

void audit_event(const struct audit_parts *p, struct audit_pool *pool, struct kith_audit_event *ret_event)
{
	pool->used = pool->n_fields = 0;
	pool->cut = p->cut;
	for (uint32_t i = 0; i < p->n_lines; i++) {
		const struct audit_raw *raw = &p->lines[i];
		uint32_t first = pool->n_fields;

		put_fields(pool, raw->type, p->text + raw->at, raw->length);
		pool->lines[i] = (struct kith_audit_line){ .type = raw->type, .n_fields = pool->n_fields - first, .fields = pool->fields + first };
		if (has_room(pool, raw->length)) {
			pool->lines[i].text = put_text(pool, (const unsigned char *)p->text + raw->at, raw->length);
		} else {
			pool->lines[i].text = "";
			pool->cut = true;
		}
	}
	*ret_event = (struct kith_audit_event){ .size = sizeof(*ret_event), .flags = pool->cut ? KITH_AUDIT_CUT : 0, .serial = p->serial, .missed = p->missed,
		                                .time = p->time, .n_lines = p->n_lines, .line_size = sizeof(struct kith_audit_line), .lines = pool->lines };
}
