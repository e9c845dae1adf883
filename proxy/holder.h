/* SPDX-License-Identifier: Apache-2.0
 *
 * Who holds an address that could not be bound (EADDRINUSE): for the message that names it, and for
 * `--replace`, which looks for its predecessor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct addr;

#define HOLDER_NAME 16 /* TASK_COMM_LEN of the kernel */

struct holder {
	pid_t pid;
	uid_t uid;
	bool is_sluice; /* runs our executable, or a program of our name (after an upgrade) */
	char name[HOLDER_NAME];
};

/* The processes with a listening socket on `addr` or on a wildcard that collides with it, each
 * once, ascending by pid; the caller itself may be among them. Returns how many were stored, at
 * most `max`; 0 when nobody holds it or nobody that may be looked at (another user's); or -errno.
 * Reads all of /proc: milliseconds, not for workers. */
int holder_find(const struct addr *addr, struct holder *ret_holders, size_t max);
