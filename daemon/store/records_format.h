/*
 * What the record store writes, as kith-records(5) describes it. Two kinds of file, each named by a sequence number in 16 hexadecimal digits:
 *
 *   NUMBER.open     frames of rows, appended as records come; one block's worth
 *   NUMBER.blocks   compressed blocks, NUMBER is the first one's, and behind the last block of a file that is done an index
 *
 * Pure functions: no I/O. Numbers are little-endian. All that is read may be damaged; nothing is believed before its sum was checked, and
 * after that still nothing that leads out of the data.
 */
#ifndef KITH_STORE_RECORDS_FORMAT_H
#define KITH_STORE_RECORDS_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin.h"

/* ---- rows: one record each, in open files and in memory (records_row.c) ------------------------------------------- */

#define ROW_HEAD 24u              /* size, priority, fields, flags, 0, time, number */
#define ROW_SUBJECT_MAX 511u      /* bytes; what is longer is cut */
#define ROW_MESSAGE_MAX 16383u
#define ROW_FIELDS_MAX 16384u     /* bytes of all keys and values with their ends; fields beyond are left out */
#define ROW_N_FIELDS_MAX 32u
#define ROW_MAX (ROW_HEAD + ROW_SUBJECT_MAX + ROW_MESSAGE_MAX + 2 + ROW_FIELDS_MAX)
#define ROW_MIN (ROW_HEAD + 2)
#define ROW_TRANSITION 1u         /* flag: of a promise, whose name is in the field `promise` */

/* A record that is read; texts are in the data that it was read from, each with its NUL */
struct record_row {
	int64_t time;       /* wall ns */
	uint64_t number;    /* of the kithd that ran then; 0: none */
	uint8_t priority, n_fields, flags;
	const char *subject, *message;
	const char *fields; /* key, NUL, value, NUL … */
	const char *end;    /* behind the last of them */
};

/* Writes at most ROW_MAX bytes; what is too long is cut between characters. Returns the row's size. No allocation. */
size_t row_put(uint8_t *at, const struct kith_record *record, uint64_t number, unsigned flags);
/* The size of the row at `at`, of which `left` bytes are there; 0: it is none */
size_t row_get(const uint8_t *at, size_t left, struct record_row *ret_row);
/* The next field from `*at` on: its key, *at behind its value; NULL: there is none */
const char *row_field(const struct record_row *row, const char **at, const char **ret_value);

/* ---- frames: what one write(2) appended to an open file ------------------------------------------------------------ */

#define OPEN_MAGIC "KITHOPN1"
#define OPEN_HEAD 16u        /* the magic and the file's number */
#define FRAME_MAGIC 0x3146524bu /* "KRF1" */
#define FRAME_HEAD 16u       /* magic, length of what follows, their sum */
#define FRAME_MAX (1u << 20) /* bytes of rows */
#define OPEN_MAX (4u << 20)  /* bytes of an open file: nobody writes a larger one */

void open_head_put(uint8_t *at, uint64_t sequence);
bool open_head_get(const uint8_t *at, size_t left, uint64_t *ret_sequence);
void frame_head_put(uint8_t *at, size_t length); /* the rows follow it already */
/* The frame at `at`: its whole size, or 0: there is none, or a damaged or cut one. *ret_length: of its rows */
size_t frame_get(const uint8_t *at, size_t left, size_t *ret_length);

/* What is in an open file, damaged or not: gives each whole frame's rows in turn and counts the stretches that are none */
struct open_cursor {
	const uint8_t *data;
	size_t length, at;
	const uint8_t *rows; /* of the frame that it is in */
	size_t rows_length;
	unsigned damaged;    /* stretches of bytes in between that are no frame */
	size_t whole;        /* where the last whole frame ended: what is behind is torn or damaged */
};
/* False: it is no open file at all */
bool open_begin(struct open_cursor *c, const uint8_t *data, size_t length, uint64_t *ret_sequence);
bool open_next(struct open_cursor *c, struct record_row *ret_row);

/* ---- blocks (records_block.c) --------------------------------------------------------------------------------------- */

#define BLOCK_MAGIC "KITHBLK1"
#define BLOCK_HEAD 96u             /* bytes, before names and filter */
#define BLOCK_HEADER_MAX (4u << 20)
#define BLOCK_DATA_MAX (8u << 20)
#define BLOCK_RAW_MAX (12u << 20)  /* bytes of its three columns together */
#define BLOCK_RECORDS_MAX (1u << 20)

struct block_head {
	uint32_t header_length, data_length; /* the block's size is both */
	uint64_t data_sum, sequence;
	int64_t from, to;                    /* of its records, the least and the largest time */
	uint64_t number;                     /* of its first record */
	uint32_t records;
	uint32_t meta, text, fields;         /* bytes of the columns */
	uint32_t n_names, names_length, filter_length;
	uint8_t priorities;                  /* bit n: there is one of priority n */
	uint8_t probes;                      /* of the filter */
	const uint8_t *names, *filter;       /* in the header; NULL from block_peek */
};

/* The lengths alone, from the first BLOCK_HEAD bytes; nothing is checked but whether it can be a block. */
bool block_peek(const uint8_t *at, size_t left, struct block_head *ret_head);
/* The header, whole; false: it is none, or damaged */
bool block_head_get(const uint8_t *at, size_t left, struct block_head *ret_head);
static inline size_t block_raw(const struct block_head *h)
{
	return (size_t)h->meta + h->text + h->fields;
}

/* The names of a block's subjects, and of its promises; in order, those that are subjects are what records refer to */
struct block_name {
	const char *at; /* not NUL-terminated */
	size_t length;
	uint32_t subjects, promises; /* how many records are of this subject, and transitions of this promise */
};
/* *at: 0 for the first; false: there is none, or the names are damaged */
bool block_name(const struct block_head *h, size_t *at, struct block_name *ret_name);

struct block_dctx;
int block_dctx_new(struct block_dctx **ret_dctx); /* -ENOMEM. One a thread */
void block_dctx_free(struct block_dctx *d);       /* NULL is fine */
/* `data`: the data_length bytes behind the header; `raw`: room for block_raw bytes. -EBADMSG: damaged; -ENOMEM */
int block_unpack(struct block_dctx *d, const struct block_head *h, const uint8_t *data, uint8_t *raw);

struct block_cursor {
	const struct block_head *head;
	const uint8_t *meta, *meta_end;
	const char *text, *text_end, *fields, *fields_end;
	int64_t time;
	uint64_t number;
	uint32_t left;
	/* of the record that block_next gave: its subject's name. record_row.subject is NULL, as names have no NUL. */
	uint32_t name;
};
void block_begin(struct block_cursor *c, const struct block_head *h, const uint8_t *raw);
/* False: that was the last; then `left` is not 0 if the block is damaged after all. */
bool block_next(struct block_cursor *c, struct record_row *ret_row);

/* ---- words and the filter -------------------------------------------------------------------------------------------- */

/*
 * A word is a run of ASCII letters, digits and '_', as long as it can be; capitals count as small letters. Other bytes end it, as they do for \< and
 * \> of regular expressions. The filter
 * of a block has the words of its messages, and of the keys and values of its fields.
 */
static inline uint8_t word_byte(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c + 32);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ? c : 0;
}
/* FNV-1a of 64 bits over the bytes of word_byte, then made even by word_mix */
#define WORD_SEED UINT64_C(0xcbf29ce484222325)
#define WORD_PRIME UINT64_C(0x100000001b3)
static inline uint64_t word_mix(uint64_t h)
{
	h = (h ^ h >> 32) * UINT64_C(0x9E3779B185EBCA87);
	h ^= h >> 29;
	return h ? h : 1;
}
uint64_t word_hash(const char *word, size_t length);
void filter_put(uint8_t *filter, size_t length, unsigned probes, uint64_t hash);
/* Always true where there is no filter */
bool filter_has(const struct block_head *h, uint64_t hash);

/* ---- making blocks (records_pack.c) ---------------------------------------------------------------------------------- */

#define PACK_LEVEL 3 /* zstd's: see tests/bench/bench_records.c */

struct packer; /* some 2 MiB while it lives */
int packer_new(struct packer **ret_packer);
void packer_free(struct packer *p); /* NULL is fine */
/*
 * A block of all rows of an open file: valid until the next call. *ret_length 0: there were none. -ENOMEM; -EBADMSG: it is no open file.
 * *ret_damaged: stretches that could not be read.
 */
int packer_pack(struct packer *p, const uint8_t *open, size_t length, int level, const uint8_t **ret_block, size_t *ret_length,
                unsigned *ret_damaged);

/* ---- the index at the end of a file (records_index.c) ---------------------------------------------------------------- */

#define INDEX_MAGIC "KITHIDX1"
#define INDEX_ENTRY 48u
#define INDEX_TAIL 32u  /* sum, n, 0, where it begins, magic */
#define INDEX_MAX 65536u /* blocks of a file */

struct index_entry {
	uint64_t offset, sequence;
	uint32_t header_length, data_length;
	int64_t from, to;
	uint32_t records;
	uint8_t priorities;
	uint8_t zero[3]; /* so that entries can be compared as they lie */
};
void index_entry_put(uint8_t at[INDEX_ENTRY], const struct index_entry *e);
void index_entry_get(const uint8_t at[INDEX_ENTRY], struct index_entry *ret_entry);
/* Entries, then this: `entries` are before it in memory */
void index_tail_put(uint8_t at[INDEX_TAIL], const uint8_t *entries, uint32_t n, uint64_t offset);
/* From a file's last INDEX_TAIL bytes. False: there is no index */
bool index_tail_get(const uint8_t at[INDEX_TAIL], uint64_t file_size, uint32_t *ret_n, uint64_t *ret_offset);
/* Is the sum of these n entries, which are followed by the tail, right? */
bool index_check(const uint8_t *entries, uint32_t n);

#endif
