/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a request means us. A page of a stranger that a browser on this machine shows can give
 * its own name the address 127.0.0.1 (DNS rebinding), and then read what we say as if it were its
 * own; but the browser still sends that name as Host.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

struct MHD_Connection;

/* `host` is the header, with or without a port, or NULL (no browser leaves it out). Only who comes
 * over the loopback interface is held to name it; elsewhere any name may be ours. */
bool host_is_ours(const char *host, const struct sockaddr *peer);

/* The same, of a connection whose headers are there. */
bool host_fits(struct MHD_Connection *connection);
