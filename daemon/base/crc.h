/* CRC-32C (Castagnoli, reflected polynomial 0x82f63b78, RFC 3720 appendix B.4): what frames on disk are checked with. */
#ifndef KITH_BASE_CRC_H
#define KITH_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Of `data` after what gave `crc`; 0 to begin with. "123456789" gives 0xe3069283. */
uint32_t crc32c(uint32_t crc, const void *data, size_t length);

#endif
