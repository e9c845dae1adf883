/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what may stand in a Host header. Happy path: a peer from elsewhere may say what it likes;
 * one on the loopback interface says `localhost` or a loopback address. Nothing fails: what cannot
 * be understood is not ours.
 */
#include "proxy/base/http/host.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX 64 /* no name of ours is longer */

static bool is_loopback4(uint32_t network_order)
{
	return ntohl(network_order) >> 24 == 127;
}

static bool is_loopback6(const struct in6_addr *addr)
{
	uint32_t last;

	memcpy(&last, &addr->s6_addr[12], sizeof(last));
	return IN6_IS_ADDR_LOOPBACK(addr) || (IN6_IS_ADDR_V4MAPPED(addr) && is_loopback4(last));
}

static bool is_local_peer(const struct sockaddr *peer)
{
	if (peer->sa_family == AF_INET)
		return is_loopback4(((const struct sockaddr_in *)peer)->sin_addr.s_addr);
	return peer->sa_family == AF_INET6 &&
	       is_loopback6(&((const struct sockaddr_in6 *)peer)->sin6_addr);
}

/* "[::1]:80", "127.0.0.1:80" or "localhost." without what does not name the host. */
static bool cut_host(const char *text, char host[HOST_MAX])
{
	bool bracket = *text == '[';
	size_t len = bracket ? strcspn(++text, "]") : strcspn(text, ":");

	if (!len || len >= HOST_MAX || (bracket && text[len] != ']'))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (!bracket && host[len - 1] == '.')
		host[len - 1] = '\0';
	return true;
}

bool host_is_ours(const char *host, const struct sockaddr *peer)
{
	char name[HOST_MAX];
	struct in_addr v4;
	struct in6_addr v6;

	if (!host || !is_local_peer(peer))
		return true;
	if (!cut_host(host, name))
		return false;
	if (!strcasecmp(name, "localhost"))
		return true;
	if (inet_pton(AF_INET, name, &v4) == 1)
		return is_loopback4(v4.s_addr);
	return inet_pton(AF_INET6, name, &v6) == 1 && is_loopback6(&v6);
}

bool host_fits(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	return host_is_ours(
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST),
		info->client_addr);
}
