/* SPDX-License-Identifier: Apache-2.0
 *
 * Which socket is meant.
 */
#pragma once

struct args;

/* That of --socket, else of SLUICE_SOCKET, else the default; `unix:` in front is taken off, as the
 * configuration may have it. Borrowed. */
const char *socket_path(const struct args *args);
