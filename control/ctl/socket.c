/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the order in which the socket is looked for. Nothing can fail: whether it is there shows
 * when it is used.
 */
#include "control/ctl/socket.h"

#include <stdlib.h>
#include <string.h>

#include "control/ctl/args.h"

#define DEFAULT_SOCKET "/run/sluice/admin.sock"
#define UNIX_PREFIX    "unix:"

const char *socket_path(const struct args *args)
{
	const char *path = args->globals[GLOBAL_SOCKET];

	if (!path)
		path = getenv("SLUICE_SOCKET");
	if (!path || !*path)
		path = DEFAULT_SOCKET;
	return strncmp(path, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0 ? path + strlen(UNIX_PREFIX)
								    : path;
}
