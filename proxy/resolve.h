/* SPDX-License-Identifier: Apache-2.0
 *
 * Host names of targets, resolved by a thread of its own through the system's resolver
 * (getaddrinfo(3)): at start, when asked, and every interval. All addresses count, and the last
 * answer is kept when a lookup fails.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/addr.h"

struct resolver;

/* Addresses kept of one name. */
#define RESOLVE_MAX 64

/* `wake_fd` is an eventfd(2) that is written to whenever an answer changed. 0 or -errno. */
int resolver_start(uint32_t interval_ms, int wake_fd, struct resolver **ret_resolver);

/* The names to keep resolved from now on; known answers are kept, new names are looked up at once.
 * Copied. 0 or -ENOMEM. */
int resolver_set_names(struct resolver *resolver, const char *const *names, size_t count,
		       uint32_t interval_ms);

/* Wait until every name was looked up once, for at most `timeout_ms`. */
void resolver_wait(struct resolver *resolver, unsigned timeout_ms);

/* The last good answer, sorted, without ports; at most `max` of it. Returns how many. */
size_t resolver_lookup(struct resolver *resolver, const char *host, struct addr *ret_addrs,
		       size_t max);

/* Ends the thread; one stuck in a lookup is left behind for the process's exit. Accepts NULL. */
void resolver_stop(struct resolver *resolver);
