/*
 * Classic BPF for rtnetlink: offsets are those of the whole message, struct nlmsghdr (16 bytes) first. Absolute loads are big-endian while the kernel writes
 * in the host's order, so constants are swapped; addresses are compared as they stand.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>

#include "source/rtnetlink.h"

#define ACCEPT 0xffffffffu
#define AT_TYPE ((uint32_t)offsetof(struct nlmsghdr, nlmsg_type))
#define AT_ROUTE(member) ((uint32_t)(NLMSG_HDRLEN + offsetof(struct rtmsg, member)))
#define AT_NEIGHBOUR(member) ((uint32_t)(NLMSG_HDRLEN + offsetof(struct ndmsg, member)))
#define AT_FIRST ((uint32_t)(NLMSG_HDRLEN + sizeof(struct ndmsg))) /* its first attribute, which the kernel makes the address */

_Static_assert(AT_ROUTE(rtm_dst_len) == 17 && AT_NEIGHBOUR(ndm_state) == 24 && AT_FIRST == 28, "the messages are not as the kernel lays them out");

int rtnetlink_route_program(struct sock_filter *program, size_t size)
{
	const struct sock_filter main_defaults[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, AT_ROUTE(rtm_dst_len)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, AT_ROUTE(rtm_table)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RT_TABLE_MAIN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, ACCEPT),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	if (size < sizeof(main_defaults) / sizeof(main_defaults[0]))
		return -ENOSPC;
	memcpy(program, main_defaults, sizeof(main_defaults));
	return (int)(sizeof(main_defaults) / sizeof(main_defaults[0]));
}

/* Behind it the next one's begins. Of an IPv6 address the last word alone: what gets through for another one is not told. */
static size_t neighbour_block(const struct kith_neighbour_filter *f, struct sock_filter *at)
{
	uint32_t states = f->states ? f->states : 0xffffu, word;

	memcpy(&word, f->address + (f->family == AF_INET6 ? 12 : 0), sizeof(word));
	memcpy(at, (const struct sock_filter[]){
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_NEIGHBOUR(ndm_ifindex)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl((uint32_t)f->index), 0, 9),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, AT_NEIGHBOUR(ndm_family)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, f->family, 0, 7),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_FIRST + 4 + (f->family == AF_INET6 ? 12 : 0)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(word), 0, 5),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AT_TYPE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELNEIGH), 2, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AT_NEIGHBOUR(ndm_state)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, htons((uint16_t)states), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, ACCEPT),
	}, 11 * sizeof(*at));
	return 11;
}

int rtnetlink_neighbour_program(const struct kith_neighbour_filter *const *filters, size_t n, struct sock_filter *program, size_t size)
{
	size_t length = 0;

	/* An address that does not come first is for us to look at. */
	if (size < 4 + 11 * n + 1)
		return -ENOSPC;
	program[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AT_FIRST + 2);
	program[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(NDA_DST), 1, 0);
	program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ACCEPT);
	for (size_t i = 0; i < n; i++)
		length += neighbour_block(filters[i], program + length);
	program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	return (int)length;
}
