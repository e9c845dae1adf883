/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole packets with two sockets attached, or none, over a SOCK_SEQPACKET pair.
 */
#pragma once

#include <stddef.h>

/* `fds` (or NULL) are duplicated on the way. `flags` as in sendmsg(2). 0 or -errno. */
int packet_send(int socket_fd, const void *data, size_t size, const int fds[2], int flags);

/* One packet of just that size: 1; 0 when there is none now; -EPIPE at the end, or -errno. Without
 * sockets, or if this thread's table has no room for both, `ret_fds` are -1. */
int packet_receive(int socket_fd, void *ret_data, size_t size, int ret_fds[2], int flags);
