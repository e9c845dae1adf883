/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard at the door, from user space: its program in front of interfaces, its rules, its
 * figures. What it does with a packet is in xdp/guard.bpf.c.
 *
 * Happy path: guard_open() loads it, fills its tables and attaches it; guard_apply() puts other
 * rules in force between two packets, as often as one likes and without any capability, so that can
 * be done by a process that has given up its privileges; guard_close() detaches.
 * Failure modes: what cannot be loaded, attached or filled is said in a sentence with the remedy,
 * and leaves interfaces (or the rules in force) as they were. A process that dies takes its program
 * with it, or leaves it at the door for the next one (`keep`).
 *
 * Threads: one owner.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "xdp/abi.h"

struct guard;

#define GUARD_PROBLEM 320 /* room for a sentence */

enum guard_mode {
	GUARD_AUTO,   /* native if the driver can and its answers arrive, else generic */
	GUARD_NATIVE, /* in the driver */
	GUARD_GENERIC /* behind it: any device, slower */
};

enum guard_cookies { GUARD_OFF, GUARD_UNDER_FLOOD, GUARD_ALWAYS };

struct guard_hook {
	char name[16];        /* of the interface */
	enum guard_mode mode; /* guard_hooks(): never GUARD_AUTO */
};

struct guard_entry {
	struct addr_block block;
	bool deny;
};

/* A listener, and who may come to it how fast. */
struct guard_door {
	struct addr bind; /* the first of its ports */
	uint16_t port_end;
	bool v6_only;
	uint32_t slot;                     /* of its counters: 1 to GUARD_LISTENERS - 1 */
	const struct guard_entry *entries; /* of the same block the last counts */
	size_t entry_count;
	uint32_t syn_rate; /* a second and source; 0: unlimited */
	uint32_t syn_burst;
	uint32_t flood_rate; /* a second, of all sources: more is a flood */
	enum guard_cookies cookies;
	uint32_t receive_buffer; /* SO_RCVBUF of its sockets; 0: the kernel's */
	uint16_t mss;            /* TCP_MAXSEG of its sockets; 0: none */
	bool dry_run;
};

struct guard_conf {
	const struct guard_hook *hooks;
	size_t hook_count;
	bool keep;            /* at the door when we die */
	const char *pin_path; /* of a directory on bpffs, for `keep`; made if need be */
	unsigned owner;       /* user who will close it */
};

/* Whether these doors can be had here. 0 or -errno, with a sentence. */
int guard_check(const struct guard_door *doors, size_t count, char *ret_problem, size_t size);

/* Load, fill, attach; or take the place of a guard that is there since before us, without a moment
 * between. Needs CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before 5.8, and to take over
 * one that is not pinned). 0 or -errno, with a sentence. */
int guard_open(const struct guard_conf *conf, const struct guard_door *doors, size_t count,
	       struct guard **ret_guard, char *ret_problem, size_t size);

/* Detach, unless another process has taken our place. Accepts NULL. */
void guard_close(struct guard *guard);

/* Other doors. Needs no privilege from Linux 5.19 on. 0 or -errno, with a sentence, and then the
 * old ones are in force. */
int guard_apply(struct guard *guard, const struct guard_door *doors, size_t count,
		char *ret_problem, size_t size);

/* Where it is. */
const struct guard_hook *guard_hooks(const struct guard *guard, size_t *ret_count);

/* Answers to SYNs carry window scale, SACK and timestamps, not the MSS alone. */
bool guard_answers_fully(const struct guard *guard);

/* Of one slot, over all CPUs. */
void guard_read(const struct guard *guard, uint32_t slot, struct guard_counts *ret_counts);

/* A slot gets another listener: from zero. */
void guard_forget(struct guard *guard, uint32_t slot);

/* Of guards that died with `keep` and are wanted no more, detach those whose interface is none of
 * `hooks`. Needs what guard_open() needs; whoever lacks that leaves them. Returns how many. */
size_t guard_sweep(const char *pin_path, const struct guard_hook *hooks, size_t hook_count);

/* For tests and measurements: the program, to be run by bpf_prog_test_run_opts(). */
int guard_program_fd(const struct guard *guard);
