/* SPDX-License-Identifier: Apache-2.0
 *
 * What changes among interfaces and neighbours, as rtnetlink(7) tells it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/addr.h"

struct watch;

struct watch_listener {
	/* An interface is there (new, or something of it has changed), or has gone. `mac` is NULL
	 * if it has none. */
	void (*on_link)(void *context, unsigned ifindex, const char *name, const uint8_t *mac,
			bool there);
	/* A neighbour's MAC is known: new, or confirmed, or another than before. */
	void (*on_neighbour)(void *context, unsigned ifindex, const struct addr *addr,
			     const uint8_t mac[6]);
	/* Some of what changed was not told: look at everything. */
	void (*on_lost)(void *context);
};

/* Of the calling thread's network namespace. 0 or -errno. */
int watch_open(struct watch **ret_watch);
void watch_close(struct watch *watch);   /* accepts NULL */
int watch_fd(const struct watch *watch); /* for epoll(7) */

/* Tell all there is, without blocking. */
void watch_read(struct watch *watch, const struct watch_listener *listener, void *context);
