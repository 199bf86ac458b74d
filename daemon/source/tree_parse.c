#include "source/tree.h"

#include <string.h>
#include <sys/fanotify.h>

#ifndef FAN_EVENT_INFO_TYPE_OLD_DFID_NAME
#define FAN_EVENT_INFO_TYPE_OLD_DFID_NAME 10
#define FAN_EVENT_INFO_TYPE_NEW_DFID_NAME 12
#endif

/* Behind the header of a piece: the file system's number, the length and the type of the handle, the handle */
#define AT_FSID sizeof(struct fanotify_event_info_header)
#define AT_BYTES (AT_FSID + 8)
#define AT_TYPE (AT_BYTES + 4)
#define AT_HANDLE (AT_TYPE + 4)

/* The length with which it begins; 0: it is damaged */
static size_t parse_key(const unsigned char *piece, size_t length, struct tree_key *ret_key)
{
	struct tree_key key = { 0 };

	if (length < AT_HANDLE)
		return 0;
	memcpy(&key.fsid, piece + AT_FSID, sizeof(key.fsid));
	memcpy(&key.bytes, piece + AT_BYTES, sizeof(key.bytes));
	memcpy(&key.type, piece + AT_TYPE, sizeof(key.type));
	if (key.bytes > TREE_HANDLE_MAX || key.bytes > length - AT_HANDLE)
		return 0;
	memcpy(key.handle, piece + AT_HANDLE, key.bytes);
	*ret_key = key;
	return AT_HANDLE + key.bytes;
}

static bool parse_entry(const unsigned char *piece, size_t length, bool named, struct tree_entry *ret_entry)
{
	struct tree_entry entry = { .name = "." };
	size_t n = parse_key(piece, length, &entry.dir);

	if (!n || !entry.dir.bytes || (named && !memchr(piece + n, '\0', length - n)))
		return false;
	if (named && piece[n])
		entry.name = (const char *)piece + n;
	if (strchr(entry.name, '/'))
		return false;
	*ret_entry = entry;
	return true;
}

static bool parse_piece(uint8_t type, const unsigned char *piece, size_t length, struct tree_frame *frame)
{
	switch (type) {
	case FAN_EVENT_INFO_TYPE_FID:
		return parse_key(piece, length, &frame->target) > 0;
	case FAN_EVENT_INFO_TYPE_DFID:
		return parse_entry(piece, length, false, &frame->at);
	case FAN_EVENT_INFO_TYPE_DFID_NAME:
	case FAN_EVENT_INFO_TYPE_NEW_DFID_NAME:
		return parse_entry(piece, length, true, &frame->at);
	case FAN_EVENT_INFO_TYPE_OLD_DFID_NAME:
		return parse_entry(piece, length, true, &frame->from);
	default:
		return true; /* of a newer kernel */
	}
}

size_t tree_parse(const void *data, size_t length, struct tree_frame *ret_frame)
{
	struct fanotify_event_metadata m;
	const unsigned char *p = data;
	struct tree_frame frame = { 0 };

	if (length < sizeof(m))
		return 0;
	memcpy(&m, p, sizeof(m));
	if (m.vers != FANOTIFY_METADATA_VERSION || m.metadata_len < sizeof(m) || m.event_len < m.metadata_len || m.event_len > length)
		return 0;
	frame.mask = m.mask;
	frame.pid = m.pid;
	for (size_t at = m.metadata_len; at + sizeof(struct fanotify_event_info_header) <= m.event_len;) {
		struct fanotify_event_info_header h;

		memcpy(&h, p + at, sizeof(h));
		if (h.len < sizeof(h) || h.len > m.event_len - at || !parse_piece(h.info_type, p + at, h.len, &frame))
			break;
		at += h.len;
	}
	*ret_frame = frame;
	return m.event_len;
}

bool tree_key_same(const struct tree_key *a, const struct tree_key *b)
{
	return a->fsid == b->fsid && a->type == b->type && a->bytes == b->bytes && memcmp(a->handle, b->handle, a->bytes) == 0;
}

bool tree_within(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (n == 1 && *dir == '/')
		return *path == '/';
	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}
