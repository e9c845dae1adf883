/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets between main and a worker.
 */
#pragma once

struct worker_message;

/* `fd` is -1 or goes along as a duplicate. Waits while the other side's buffer is full. 0 or
 * -errno. */
int channel_send(int socket_fd, const struct worker_message *message, int fd);

/* One packet, and the fd that came with it (-1: none). 1, 0 when there is none now, or -errno. */
int channel_receive(int socket_fd, struct worker_message *ret_message, int *ret_fd);
