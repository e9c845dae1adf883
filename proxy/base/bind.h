/* SPDX-License-Identifier: Apache-2.0
 *
 * Binding listening sockets so that nobody else's address is shared or lost by accident: TCP
 * addresses are tried before SO_REUSEPORT lets us in beside another process, and a Unix socket is
 * bound beside its path and renamed over it, so that the path always names a socket that somebody
 * serves.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proxy/base/addr.h"

/* Bind `count` sockets to one address, not listening yet. Unless `shared`, an address that anybody
 * listens on is refused even if SO_REUSEPORT would let us in. `*ret_actual` is 0.0.0.0 for [::] on
 * a host without IPv6. 0 or -errno, then some of `ret_fds` (all -1 before) may be open. */
int bind_tcp(const struct addr *addr, bool v6_only, bool shared, int *ret_fds, unsigned count,
	     struct addr *ret_actual);

/* Bind a Unix socket beside `path`, with the file's `mode`. Only sockets are ever replaced, and
 * unless `shared` only those that nobody serves: -EEXIST, -EADDRINUSE, or another -errno. */
int bind_unix(const char *path, uint32_t mode, bool shared, int *ret_fd);

/* The path names our socket from here on. 0 or -errno. */
int bind_unix_publish(const char *path, dev_t *ret_dev, ino_t *ret_ino);

/* Nobody can find our socket any more; another one at the same path stays. */
void bind_unix_remove(const char *path, dev_t dev, ino_t ino);

/* Whether it is 0.0.0.0 or [::]. */
bool bind_is_wildcard(const struct addr *addr);
