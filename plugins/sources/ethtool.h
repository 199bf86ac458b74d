/*
 * kith/sources/ethtool.h: settings of links that somebody changed, for watch_source(KITH_SOURCE_ETHTOOL); no filter, no dump. What two ends agree on when a link
 * comes up is not told here: ask for it then. Format: the kernel's Documentation/networking/ethtool-netlink.rst.
 */
#ifndef KITH_SOURCES_ETHTOOL_H
#define KITH_SOURCES_ETHTOOL_H

#include <stdint.h>

#define KITH_ETHTOOL_HAS_SPEED 0x1u
#define KITH_ETHTOOL_HAS_DUPLEX 0x2u

struct kith_ethtool_event {
	uint32_t size;
	uint32_t known;  /* KITH_ETHTOOL_HAS_* */
	int32_t index;   /* of the link, > 0 */
	uint32_t speed;  /* Mbit/s; 0xffffffff: unknown */
	uint8_t duplex;  /* 0 half, 1 full, 255 unknown */
	uint8_t reserved[3];
};

#endif
