/*
 * The classic BPF program of the process source. Offsets are those of the whole frame:
 *
 *    0  struct nlmsghdr (16)
 *   16  struct cn_msg (20)
 *   36  struct proc_event: what, cpu, timestamp (8 bytes)
 *   52  its event_data
 *
 * BPF's absolute loads are big-endian while the kernel writes in the host's order, so constants are swapped (htonl);
 * the bytes of a name are
 * compared as they stand.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>

#include "source/process.h"

#define AT_EVENT (NLMSG_HDRLEN + sizeof(struct cn_msg))
#define AT(member) ((uint32_t)(AT_EVENT + offsetof(struct proc_event, member)))
#define ACCEPT 0xffffffffu
#define PIDS_MAX 200 /* of one event: a conditional jump reaches 255 instructions */

_Static_assert(AT(what) == 36 && AT(event_data) == 52, "the frame is not as the kernel lays it out");

struct writer {
	struct sock_filter *program;
	size_t size, n;
	bool widen;  /* what asks for some is given all: the exact program did not fit */
	bool failed; /* too long */
};

static void emit(struct writer *w, uint16_t code, uint8_t yes, uint8_t no, uint32_t k)
{
	if (w->n == w->size) {
		w->failed = true;
		return;
	}
	w->program[w->n++] = (struct sock_filter){ code, yes, no, k };
}

static void emit_load(struct writer *w, uint32_t at)
{
	emit(w, BPF_LD | BPF_W | BPF_ABS, 0, 0, at);
}

static void emit_return(struct writer *w, uint32_t k)
{
	emit(w, BPF_RET | BPF_K, 0, 0, k);
}

static bool asks_all(const struct kith_process_filter *filters, size_t n, uint32_t what, bool widen)
{
	for (size_t i = 0; i < n; i++)
		if ((filters[i].all | (widen ? filters[i].some : 0)) & what)
			return true;
	return false;
}

static bool asks_some(const struct kith_process_filter *filters, size_t n, uint32_t what)
{
	for (size_t i = 0; i < n; i++)
		if ((filters[i].some & what) && (filters[i].n_pids || (what == KITH_PROCESS_NAME && filters[i].n_names)))
			return true;
	return false;
}

/* The pids that somebody asked for: a chain of comparisons that all jump to one acceptance behind it */
static void emit_pids(struct writer *w, const struct kith_process_filter *filters, size_t n, uint32_t what, uint32_t at)
{
	size_t first, end;

	emit_load(w, at);
	first = w->n;
	for (size_t i = 0; i < n; i++)
		for (uint32_t p = 0; (filters[i].some & what) && p < filters[i].n_pids; p++)
			emit(w, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, htonl((uint32_t)filters[i].pids[p]));
	end = w->n;
	if (end - first > PIDS_MAX)
		w->failed = true;
	if (w->failed)
		return;
	emit(w, BPF_JMP | BPF_JA, 0, 0, 1);
	emit_return(w, ACCEPT);
	for (size_t i = first; i < end; i++)
		w->program[i].jt = (uint8_t)(end - i); /* over the rest of the chain and the JA */
}

static void emit_name(struct writer *w, const char *name)
{
	char padded[16] = { 0 };

	memcpy(padded, name, strnlen(name, sizeof(padded) - 1));
	for (uint32_t k = 0; k < 4; k++) {
		uint32_t word;

		memcpy(&word, padded + 4 * k, sizeof(word));
		emit_load(w, AT(event_data.comm.comm) + 4 * k);
		/* Each pair left behind and the acceptance are to be jumped over */
		emit(w, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)(2 * (3 - k) + 1), ntohl(word));
	}
	emit_return(w, ACCEPT);
}

static void emit_event(struct writer *w, const struct kith_process_filter *filters, size_t n, uint32_t what)
{
	bool all = asks_all(filters, n, what, w->widen);
	uint32_t kernel_what = 0, pid = 0, tgid = 0, member = 0;
	size_t skip;

	if (!all && !asks_some(filters, n, what))
		return;
	if (what == KITH_PROCESS_FORK) {
		kernel_what = PROC_EVENT_FORK;
		pid = AT(event_data.fork.child_pid);
		tgid = AT(event_data.fork.child_tgid);
		member = AT(event_data.fork.parent_tgid);
	} else {
		kernel_what = what == KITH_PROCESS_EXEC ? PROC_EVENT_EXEC : what == KITH_PROCESS_EXIT ? PROC_EVENT_EXIT : PROC_EVENT_COMM;
		/* These three begin alike */
		member = pid = AT(event_data.exec.process_pid);
		tgid = AT(event_data.exec.process_tgid);
	}
	emit_load(w, AT(what));
	emit(w, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, htonl(kernel_what));
	skip = w->n;
	emit(w, BPF_JMP | BPF_JA, 0, 0, 0);
	/* Threads other than the leader: never */
	emit_load(w, tgid);
	emit(w, BPF_MISC | BPF_TAX, 0, 0, 0);
	emit_load(w, pid);
	emit(w, BPF_JMP | BPF_JEQ | BPF_X, 1, 0, 0);
	emit_return(w, 0);
	if (all) {
		emit_return(w, ACCEPT);
	} else {
		emit_pids(w, filters, n, what, member);
		for (size_t i = 0; what == KITH_PROCESS_NAME && i < n; i++)
			for (uint32_t k = 0; (filters[i].some & what) && k < filters[i].n_names; k++)
				emit_name(w, filters[i].names[k]);
		emit_return(w, 0);
	}
	if (!w->failed)
		w->program[skip].k = (uint32_t)(w->n - skip - 1);
}

int process_filter_program(const struct kith_process_filter *filters, size_t n, struct sock_filter *program, size_t size)
{
	struct writer w;

	for (int widen = 0; widen <= 1; widen++) {
		w = (struct writer){ .program = program, .size = size, .widen = widen };
		/* The acknowledgement of our subscription */
		emit_load(&w, AT(what));
		emit(&w, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, htonl(PROC_EVENT_NONE));
		emit_return(&w, ACCEPT);
		emit_event(&w, filters, n, KITH_PROCESS_EXEC);
		emit_event(&w, filters, n, KITH_PROCESS_EXIT);
		emit_event(&w, filters, n, KITH_PROCESS_FORK);
		emit_event(&w, filters, n, KITH_PROCESS_NAME);
		emit_return(&w, 0);
		if (!w.failed)
			return (int)w.n;
	}
	return -ENOSPC;
}
