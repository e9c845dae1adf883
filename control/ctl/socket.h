/* SPDX-License-Identifier: Apache-2.0
 *
 * Which socket is meant.
 */
#pragma once

struct args;
struct client;

/* The proxy's: that of --socket, else of SLUICE_SOCKET, else the default; `unix:` in front is taken
 * off, as the configuration may have it. Borrowed. */
const char *socket_path(const struct args *args);

/* That of sluice-control: --control-socket, SLUICE_CONTROL_SOCKET, default. */
const char *socket_control_path(const struct args *args);

/* Of whom the verb asks; the proxy where none was given. */
struct client *socket_client(const struct args *args);
