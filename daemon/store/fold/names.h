/* Names within rrd/: of instances' files, and of data sources */
#ifndef KITH_STORE_FOLD_NAMES_H
#define KITH_STORE_FOLD_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define RRD_SUFFIX ".rrd"
#define RRD_NAME_SIZE 240u   /* of a file's name, with its suffix and NUL */
#define RRD_SOURCE_SIZE 20u  /* of a data source's name, with NUL */
#define RRD_FAMILY ".family"

/*
 * The file of an instance: what is no letter, digit or one of "_.,+=@-" or valid UTF-8 is written as %XX, and so is a dot at the beginning; the nameless
 * one's is "%". What would be longer than 200 bytes is cut, and ends with "%-" and 16 hexadecimal digits.
 */
void rrd_file_name(const char *instance, char ret_name[RRD_NAME_SIZE]);
/* Back. False: the file is no instance's, or its name was cut. `size` at least RRD_NAME_SIZE */
bool rrd_file_instance(const char *file, char *ret_instance, size_t size);
/* A metric's data source: its name; of one that is longer than 19 bytes its first 10, '_' and 8 hexadecimal digits */
void rrd_source_name(const char *metric, char ret_name[RRD_SOURCE_SIZE]);

#endif
