/* RRD files as they lie on the disk: their head, and their rows without librrd, whose start costs more than most answers. Of this machine alone. */
#ifndef KITH_STORE_FOLD_RRDFILE_H
#define KITH_STORE_FOLD_RRDFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rrd_file {
	int fd;
	uint8_t *head;        /* all before the rows: what an update changes in place. malloc */
	size_t head_length;
	size_t fixed;         /* bytes at its beginning that no update changes */
	uint64_t size;        /* of the file; at least what the head says */
	unsigned n_sources, n_archives;
	int64_t step;         /* ns */
	int64_t last;         /* wall ns of the last update */
};

enum rrd_function { RRD_AVERAGE, RRD_LEAST, RRD_MOST, RRD_LAST, RRD_OTHER };

struct rrd_archive {
	enum rrd_function function;
	int64_t row;          /* ns */
	uint64_t rows;
	int64_t newest;       /* wall ns: the end of the last row; its first is rows - 1 rows before */
};

/* `folder` and a path relative to it. -EBADMSG: no RRD file, or a damaged one; -ENOENT and the like */
int rrd_file_open(int folder, const char *path, struct rrd_file *ret_file);
void rrd_file_close(struct rrd_file *f);
/* Is this the head of an RRD file, whole? *ret_rows: bytes of rows behind it. -EBADMSG */
int rrd_head_check(const uint8_t *head, size_t length, uint64_t *ret_rows);
/* Bytes of the head, by its first bytes; *ret_fixed: those that no update changes. -EBADMSG */
int rrd_head_length(const uint8_t *first, size_t length, size_t *ret_length, size_t *ret_fixed);
#define RRD_HEAD_FIRST 128u

/* -1: there is none of that name. *ret_gauge: it takes values as they are */
int rrd_file_source(const struct rrd_file *f, const char *name, bool *ret_gauge);
const char *rrd_file_source_name(const struct rrd_file *f, unsigned source);
void rrd_file_archive(const struct rrd_file *f, unsigned archive, struct rrd_archive *ret_archive);
/* The rows that end at first, first + row, … last, which the archive has. NaN: not known. -EIO and the like */
int rrd_file_read(const struct rrd_file *f, unsigned archive, unsigned source, int64_t first, int64_t last, double *ret_values);

#endif
