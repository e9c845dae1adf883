/* SPDX-License-Identifier: Apache-2.0
 *
 * One non-blocking connect attempt. The deadline, the retry and the choice of the target are the
 * session's; here is only what it takes to get a socket on its way.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/addr.h"

struct port_lease;
struct ports;
struct tcp_conf;

struct dial_request {
	const struct addr *to;
	const struct addr *from; /* source address, or NULL for the kernel's choice */
	const struct tcp_conf *tcp;
	uint32_t inflight; /* sessions on this target now, over all workers */
	uint16_t mss;      /* what it may send at most in one segment, 0: what fits our way */
	bool fast_open;    /* TCP_FASTOPEN_CONNECT: client bytes are there to go with the SYN */
};

/* Start connecting. On success `*ret_fd` is a non-blocking socket that becomes writable (or ERR)
 * when the outcome is known, and `*ret_lease` says which source port was ours to choose. With
 * `ports` NULL the kernel chooses.
 * -errno otherwise; -EADDRNOTAVAIL means the source ports towards this target are used up. */
int dial_start(const struct dial_request *request, struct ports *ports, int *ret_fd,
	       struct port_lease *ret_lease);

/* The outcome, once the socket reported anything: 0 or a positive errno (SO_ERROR, socket(7)).
 * Reading it clears it. */
int dial_error(int fd);

/* Socket options that only matter once a session lives for seconds: keepalive and
 * TCP_USER_TIMEOUT, tcp(7). */
void dial_keepalive(int fd, const struct tcp_conf *tcp);

/* The same for an established socket that was made anew, with all that others have from the start.
 */
void dial_restore(int fd, const struct tcp_conf *tcp);
