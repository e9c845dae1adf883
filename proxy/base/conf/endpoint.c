/* SPDX-License-Identifier: Apache-2.0
 *
 * Splits the ports off, then asks base/addr.h about the host; what it refuses is a name, or wrong.
 * Failure modes: everything that is not exactly one of the forms in the header.
 */
#include "proxy/base/conf/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "proxy/base/conf/units.h"

#define UNIX_PREFIX "unix:"

static bool has_unix_prefix(const char *text)
{
	return strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
}

static int refuse(const char *why, const char **ret_why)
{
	*ret_why = why;
	return -EINVAL;
}

int endpoint_parse_socket(const char *text, struct addr *ret_addr, const char **ret_why)
{
	const char *path = has_unix_prefix(text) ? text + strlen(UNIX_PREFIX) : text;

	if (path[0] != '/')
		return refuse("is not an absolute path", ret_why);
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return refuse("is longer than the 107 bytes of a socket's path", ret_why);
	*ret_addr = (struct addr){.family = AF_UNIX, .path = path};
	return 0;
}

static int parse_unix(const char *text, struct endpoint *ret_endpoint, const char **ret_why)
{
	struct endpoint endpoint = {0};
	int err = endpoint_parse_socket(text, &endpoint.addr, ret_why);

	if (err == 0)
		*ret_endpoint = endpoint;
	return err;
}

/* `text` of `len` bytes is one port. */
static int parse_port(const char *text, size_t len, uint16_t *ret_port, const char **ret_why)
{
	char buf[8];
	uint64_t port;

	if (len == 0 || len >= sizeof(buf))
		return refuse(len ? "has a port above 65535" : "has no port", ret_why);
	snprintf(buf, sizeof(buf), "%.*s", (int)len, text);
	if (units_integer(buf, &port, ret_why) < 0)
		return refuse("has a port that is not a number", ret_why);
	if (port == 0)
		return refuse("has port 0", ret_why);
	if (port > UINT16_MAX)
		return refuse("has a port above 65535", ret_why);
	*ret_port = (uint16_t)port;
	return 0;
}

static int parse_ports(const char *text, uint16_t *ret_first, uint16_t *ret_last,
		       const char **ret_why)
{
	size_t len = strcspn(text, "-");
	uint16_t first, last;
	int err = parse_port(text, len, &first, ret_why);

	if (err < 0)
		return err;
	last = first;
	if (text[len] == '-')
		err = parse_port(text + len + 1, strlen(text + len + 1), &last, ret_why);
	if (err < 0)
		return err;
	if (last < first)
		return refuse("is a range that ends before it begins", ret_why);
	if (last - first >= ENDPOINT_PORTS_MAX)
		return refuse("is a range of more than 4096 ports", ret_why);
	*ret_first = first;
	*ret_last = last;
	return 0;
}

/* Split at the colon in front of the ports: that of `[v6]:port`, or the only one. */
static int split(const char *text, size_t *ret_host_len, const char **ret_ports,
		 const char **ret_why)
{
	const char *colon = strrchr(text, ':');

	if (text[0] == '[') {
		const char *close = strchr(text, ']');

		if (!close)
			return refuse("has no closing bracket", ret_why);
		if (close[1] != ':')
			return refuse("has no port", ret_why);
		colon = close + 1;
	} else if (!colon) {
		return refuse(*text ? "has no port" : "is empty", ret_why);
	} else if (colon != strchr(text, ':')) {
		return refuse("is IPv6 without brackets", ret_why);
	}
	*ret_host_len = (size_t)(colon - text);
	*ret_ports = colon + 1;
	return 0;
}

/* A numeric host, brackets included; -EINVAL leaves `ret_addr` alone. */
static int parse_numeric(const char *host, size_t len, uint16_t port, struct addr *ret_addr)
{
	char buf[ADDR_TEXT];
	int written = snprintf(buf, sizeof(buf), "%.*s:%u", (int)len, host, port);

	return written < (int)sizeof(buf) ? addr_parse(buf, ret_addr) : -EINVAL;
}

int endpoint_parse_bind(const char *text, struct endpoint *ret_endpoint, const char **ret_why)
{
	struct endpoint endpoint = {0};
	const char *ports;
	size_t host_len;
	uint16_t first = 0;

	if (has_unix_prefix(text))
		return parse_unix(text, ret_endpoint, ret_why);
	int err = split(text, &host_len, &ports, ret_why);

	if (err == 0)
		err = parse_ports(ports, &first, &endpoint.port_end, ret_why);
	if (err < 0)
		return err;
	const char *host = host_len ? text : "[::]";

	if (parse_numeric(host, host_len ? host_len : 4, first, &endpoint.addr) < 0)
		return refuse("is not a numeric address of this host", ret_why);
	*ret_endpoint = endpoint;
	return 0;
}

static bool is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

/* RFC 1123 section 2.1, and underscores, which occur. A name that ends in a label of digits is a
 * mistyped IPv4 address. */
static bool is_host_name(const char *host, size_t len)
{
	size_t label = 0;
	bool digits = true;

	if (len > 0 && host[len - 1] == '.')
		len--;
	if (len == 0 || len > ENDPOINT_HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (host[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
			digits = true;
			continue;
		}
		if (!is_host_char(host[i]) || (label == 0 && host[i] == '-') || ++label > 63)
			return false;
		digits = digits && host[i] >= '0' && host[i] <= '9';
	}
	return label > 0 && !digits && host[len - 1] != '-';
}

int endpoint_parse_target(const char *text, struct endpoint *ret_endpoint, const char **ret_why)
{
	struct endpoint endpoint = {0};
	const char *ports;
	size_t host_len;

	if (has_unix_prefix(text))
		return parse_unix(text, ret_endpoint, ret_why);
	int err = split(text, &host_len, &ports, ret_why);

	if (err == 0)
		err = parse_port(ports, strlen(ports), &endpoint.port_end, ret_why);
	if (err < 0)
		return err;
	if (host_len == 0)
		return refuse("has no host", ret_why);
	if (parse_numeric(text, host_len, endpoint.port_end, &endpoint.addr) < 0) {
		if (!is_host_name(text, host_len))
			return refuse("is neither a numeric address nor a host name", ret_why);
		snprintf(endpoint.host, sizeof(endpoint.host), "%.*s", (int)host_len, text);
		endpoint.addr.port = endpoint.port_end;
	}
	*ret_endpoint = endpoint;
	return 0;
}

int endpoint_parse_ip(const char *text, struct addr *ret_addr, const char **ret_why)
{
	struct addr_block block;

	if (strchr(text, '/'))
		return refuse("is a block, not one address", ret_why);
	if (addr_block_parse(text, &block) < 0)
		return refuse(*text ? "is not a numeric address without a port" : "is empty",
			      ret_why);
	*ret_addr = block.base;
	ret_addr->port = 0;
	return 0;
}

int endpoint_parse_tcp(const char *text, struct addr *ret_addr, const char **ret_why)
{
	struct endpoint endpoint;
	int err = endpoint_parse_bind(text, &endpoint, ret_why);

	if (err < 0)
		return err;
	if (endpoint.addr.family == AF_UNIX)
		return refuse("is a path", ret_why);
	if (endpoint.port_end != endpoint.addr.port)
		return refuse("is a range of ports", ret_why);
	*ret_addr = endpoint.addr;
	return 0;
}

static bool is_wildcard(const struct addr *addr)
{
	return addr->family == AF_INET ? addr->v4.s_addr == INADDR_ANY
				       : IN6_IS_ADDR_UNSPECIFIED(&addr->v6);
}

/* Whether `addr`, v6_only or not, takes connections that arrive over `family`. */
static bool takes_family(const struct addr *addr, bool v6_only, uint16_t family)
{
	return addr->family == family ||
	       (addr->family == AF_INET6 && is_wildcard(addr) && !v6_only);
}

bool endpoint_overlaps(const struct endpoint *a, bool a_v6_only, const struct endpoint *b,
		       bool b_v6_only)
{
	struct addr b_host = b->addr;

	if (a->addr.family == AF_UNIX || b->addr.family == AF_UNIX)
		return addr_equal(&a->addr, &b->addr);
	if (a->addr.port > b->port_end || b->addr.port > a->port_end)
		return false;
	if (is_wildcard(&a->addr) || is_wildcard(&b->addr))
		return takes_family(&a->addr, a_v6_only, b->addr.family) ||
		       takes_family(&b->addr, b_v6_only, a->addr.family);
	b_host.port = a->addr.port;
	return addr_equal(&a->addr, &b_host);
}
