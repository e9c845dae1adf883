/* SPDX-License-Identifier: Apache-2.0
 *
 * Links of the guard, as hook.c makes them and pins.c keeps them.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>

struct link_view {
	unsigned ifindex; /* 0: the interface is gone */
	__u32 program;    /* its id */
};

/* 0 or -errno; -EINVAL: no link of XDP. */
int hook_view_link(int fd, struct link_view *ret_view);

/* The id of the program that is attached there; 0: none. */
__u32 hook_program_at(unsigned ifindex);

/* An interface of another network namespace may have the same index, but not this program. */
bool hook_leads_to(int fd, unsigned ifindex, __u32 program);
