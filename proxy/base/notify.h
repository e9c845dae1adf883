/* SPDX-License-Identifier: Apache-2.0
 *
 * Telling the service manager what this process is at, as sd_notify(3) describes it: one datagram
 * of NAME=VALUE lines to the Unix socket that NOTIFY_SOCKET names. Of one thread, the one that
 * opened it. Where nobody asked for it every function does nothing.
 */
#pragma once

#include <stdbool.h>

/* Connect to the socket, while files can be reached. 0, also if there is none to connect to;
 * -EINVAL: NOTIFY_SOCKET is no address; or -errno. */
int notify_open(void);

/* Whether somebody listens. */
bool notify_is_open(void);

/* Send `format`'s lines. A manager that does not read holds us up for a second at most. 0, also if
 * nobody listens, or -errno. */
__attribute__((format(printf, 1, 2))) int notify_send(const char *format, ...);

/* From now on somebody else speaks for the service. */
void notify_close(void);
