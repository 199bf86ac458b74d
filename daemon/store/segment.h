/*
 * Segments: the journal's files, kith-journal(5). A head, then frames, each with the bytes of a chunk (pack.h) that one write took to the disk, and a
 * checksum. A segment that ends without its seal was cut off by a crash: what stands before is good.
 */
#ifndef KITH_STORE_SEGMENT_H
#define KITH_STORE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEGMENT_HEAD 32u           /* bytes */
#define SEGMENT_FRAME 8u           /* of a frame's head */
#define SEGMENT_MAX (8u << 20)     /* bytes of a chunk: more is no segment of ours */
#define SEGMENT_NAME "%016llx.seg" /* its number */
#define SEGMENT_NAME_SIZE 32u

struct segment_head {
	uint64_t number;
	int64_t begin; /* wall ns: where the chunk's times begin */
};

/* What was found in a segment */
struct segment {
	struct segment_head head;
	uint8_t *data;       /* the chunk; malloc */
	size_t length;       /* its bytes */
	size_t file_length;  /* of the file, as far as it is good */
	size_t lost;         /* bytes of the file behind that, which are of no use */
	bool sealed;
};

/* A segment that is listed */
struct segment_file {
	uint64_t number, bytes;
};

void segment_put_head(const struct segment_head *head, uint8_t ret_bytes[SEGMENT_HEAD]);
void segment_put_frame(const void *payload, size_t length, uint8_t ret_bytes[SEGMENT_FRAME]);
/* The last frame's head: of no payload; `length` bytes of the chunk stand before */
void segment_put_seal(uint64_t number, uint64_t length, uint8_t ret_bytes[SEGMENT_FRAME]);

/* The first SEGMENT_HEAD bytes of a file. -EBADMSG: none of ours */
int segment_head_read(const void *bytes, size_t length, struct segment_head *ret_head);
/* Takes a file's bytes apart. -EBADMSG: its head is none of ours; -ENOMEM. The frames up to the first that is bad are taken. */
int segment_parse(const void *file, size_t length, struct segment *ret_segment);
/* Of a file in a folder. -ENODATA: it is empty, as one that is about to begin; -ENOENT and the like, too */
int segment_read(int folder, uint64_t number, struct segment *ret_segment);
void segment_free(struct segment *s);

/* The segments in a folder, by their numbers; malloc */
int segment_list(int folder, struct segment_file **ret_files, size_t *ret_n);
void segment_name(uint64_t number, char ret_name[SEGMENT_NAME_SIZE]);

/*
 * journal/folded: the number of the last segment of which all is in RRD files, a blank, and the CRC-32C of its digits in 8 hexadecimal ones, on a line.
 * Segments up to there are removed, so it is not believed when it is damaged.
 */
#define FOLDED_SIZE 40u
size_t folded_format(uint64_t number, char text[FOLDED_SIZE]); /* its length */
bool folded_parse(const char *text, uint64_t *ret_number);

#endif
