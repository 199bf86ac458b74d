/* The kinds of typed sources, each in a file of its name */
#ifndef KITH_SOURCE_KINDS_H
#define KITH_SOURCE_KINDS_H

#include "source/source.h"

extern const struct source_kind source_audit;
extern const struct source_kind source_device;
extern const struct source_kind source_kmsg;
extern const struct source_kind source_mount;
extern const struct source_kind source_thermal;
extern const struct source_kind source_pressure;
extern const struct source_kind source_quota;
extern const struct source_kind source_cgroup;
extern const struct source_kind source_task;
extern const struct source_kind source_tree;
/* rtnetlink.c */
extern const struct source_kind source_link;
extern const struct source_kind source_address;
extern const struct source_kind source_route;
extern const struct source_kind source_rule;
extern const struct source_kind source_neighbour;
extern const struct source_kind source_ethtool;
extern const struct source_kind source_socket;
extern const struct source_kind source_conntrack;
extern const struct source_kind source_conntrack_stats;

#endif
