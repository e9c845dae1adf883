/* SPDX-License-Identifier: Apache-2.0
 *
 * c-ares in our loop: its sockets are epoll's, its timeouts are timers.
 *
 * Happy path: dns_channel_new() reads /etc/resolv.conf (or takes the servers it is given),
 * dns_channel_ask() asks, and the callback gets the whole message; one that did not fit into UDP
 * comes over TCP. Failure modes: a status of c-ares in place of a message. Made anew for each
 * snapshot, so that a changed resolv.conf counts and no socket grows old.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ares_addr_port_node;
struct dns_channel;
struct loop;

/* `servers` NULL: the system's; copied. 0 or a status of c-ares. */
int dns_channel_new(struct loop *loop, struct ares_addr_port_node *servers,
		    struct dns_channel **ret_channel);

/* Not from inside a callback of its own. What is still asked is dropped silently. */
void dns_channel_free(struct dns_channel *channel); /* accepts NULL */

/* `name` is absolute. The answer may come from inside this call. `bytes` is NULL unless `status` is
 * ARES_SUCCESS. */
void dns_channel_ask(struct dns_channel *channel, const char *name, int type,
		     void (*on_answer)(void *context, int status, const uint8_t *bytes,
				       size_t size),
		     void *context);
