/* SPDX-License-Identifier: Apache-2.0
 *
 * Which congestion control loopback connections get. Happy path: a socket that is thrown away says
 * what the default of this network namespace is. Failure modes: no socket, and all stay with the
 * default; no /proc, and Reno it is.
 */
#include "proxy/base/congestion.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME_SIZE 16 /* TCP_CA_NAME_MAX of include/net/tcp.h */

static const char *unpaced; /* NULL: the default does not pace, or nothing else may be had */

static bool paces(const char *name)
{
	return !strncmp(name, "bbr", 3);
}

/* Whether who has no privilege may have it, as workers will not. */
static bool is_allowed(const char *wanted)
{
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_allowed_congestion_control", "re");
	char name[NAME_SIZE];
	bool found = false;

	while (file && !found && fscanf(file, "%15s", name) == 1)
		found = !strcmp(name, wanted);
	if (file)
		fclose(file);
	return found;
}

static const char *find_unpaced(int fd)
{
	char name[NAME_SIZE + 1] = "";
	socklen_t len = NAME_SIZE;

	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len) || !paces(name))
		return NULL;
	if (is_allowed("cubic"))
		return "cubic";
	return "reno"; /* always there, and everybody's: net/ipv4/tcp_cong.c */
}

void congestion_learn(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unpaced = fd < 0 ? NULL : find_unpaced(fd);
	if (fd >= 0)
		close(fd);
}

const char *congestion_choose(const char *configured, const struct addr *peer)
{
	if (configured || !unpaced)
		return configured;
	return addr_is_loopback(peer) ? unpaced : NULL;
}
