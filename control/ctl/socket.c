/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the order in which a socket is looked for. Nothing can fail: whether it is there shows
 * when it is used.
 */
#include "control/ctl/socket.h"

#include <stdlib.h>
#include <string.h>

#include "control/ctl/args.h"
#include "control/ctl/client.h"

#define DEFAULT_SOCKET  "/run/sluice/admin.sock"
#define DEFAULT_CONTROL "/run/sluice/control.sock"
#define UNIX_PREFIX     "unix:"

static const char *find(const char *given, const char *variable, const char *fallback)
{
	const char *path = given;

	if (!path)
		path = getenv(variable);
	if (!path || !*path)
		path = fallback;
	return strncmp(path, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0 ? path + strlen(UNIX_PREFIX)
								    : path;
}

const char *socket_path(const struct args *args)
{
	return find(args->globals[GLOBAL_SOCKET], "SLUICE_SOCKET", DEFAULT_SOCKET);
}

const char *socket_control_path(const struct args *args)
{
	return find(args->globals[GLOBAL_CONTROL], "SLUICE_CONTROL_SOCKET", DEFAULT_CONTROL);
}

struct client *socket_client(const struct args *args)
{
	if (args->verb && args->verb->control)
		return client_new(socket_control_path(args), CLIENT_CONTROL);
	return client_new(socket_path(args), CLIENT_PROXY);
}
