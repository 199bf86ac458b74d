/* Signals as a descriptor to poll: no handler, no global flag. */
#ifndef KITH_CLI_SIGNALS_H
#define KITH_CLI_SIGNALS_H

/* Blocks the signals and gives a descriptor that is readable when one comes; -errno */
/* Readable as soon as `signals` is, or whoever reads standard output has gone: else that shows with the next write alone. -errno */
int signals_or_reader(int signals);
int signals_open(const int *signals, unsigned n);
int signals_next(int fd); /* a signal's number; 0: none */

#endif
