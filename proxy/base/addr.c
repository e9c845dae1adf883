/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses: text to struct, struct to sockaddr, and back.
 *
 * The happy path is: configuration text -> addr_parse() -> addr_to_sockaddr() for the kernel; and
 * from the kernel addr_from_sockaddr() -> addr_format() for a log line. Nothing here allocates,
 * resolves a name or touches a socket (an IPv6 zone name alone asks if_nametoindex(3)).
 *
 * A dual-stack listener sees IPv4 clients as ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2). Printing,
 * hashing and block matching treat those as the IPv4 address they carry; addr_equal() and
 * addr_to_sockaddr() keep the difference, since to the kernel they are different families.
 *
 * Failure modes: text that is not exactly one address gives -EINVAL and leaves the result alone. A
 * socket path that does not fit sun_path is refused when parsed.
 */
#include "proxy/base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "proxy/base/panic.h"

#define UNIX_PREFIX "unix:"

/* INET6_ADDRSTRLEN, '%' and an interface name. */
#define HOST_TEXT (INET6_ADDRSTRLEN + 1 + IF_NAMESIZE)

/* Plain decimal: no sign, no blank, no leading zero (which some read as octal). */
static int parse_number(const char *text, uint32_t max, uint32_t *ret_number)
{
	uint32_t n = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		n = n * 10 + (uint32_t)(*text - '0');
		if (n > max)
			return -EINVAL;
	}
	*ret_number = n;
	return 0;
}

static int parse_unix(const char *path, struct addr *ret_addr)
{
	if (*path != '/' || strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return -EINVAL;
	*ret_addr = (struct addr){.family = AF_UNIX, .path = path};
	return 0;
}

/* The part behind '%': an interface by name or by number. */
static int parse_zone(const char *zone, uint32_t *ret_scope)
{
	uint32_t scope = if_nametoindex(zone);

	if (!scope && (parse_number(zone, INT32_MAX, &scope) < 0 || !scope))
		return -EINVAL;
	*ret_scope = scope;
	return 0;
}

/* An IPv4 or IPv6 host without brackets, NUL-ended; cuts `host` at its zone. */
static int parse_host(char *host, struct addr *ret_addr)
{
	struct addr addr = {.family = AF_INET};
	char *zone;

	if (inet_pton(AF_INET, host, &addr.v4) == 1) {
		*ret_addr = addr;
		return 0;
	}
	addr.family = AF_INET6;
	zone = strchr(host, '%');
	if (zone) {
		*zone++ = '\0';
		if (parse_zone(zone, &addr.scope) < 0)
			return -EINVAL;
	}
	if (inet_pton(AF_INET6, host, &addr.v6) != 1)
		return -EINVAL;
	*ret_addr = addr;
	return 0;
}

/* Copy `len` bytes of text as a string. -EINVAL when no host is that long. */
static int copy_host(const char *text, size_t len, char *ret_host)
{
	if (len == 0 || len >= HOST_TEXT)
		return -EINVAL;
	memcpy(ret_host, text, len);
	ret_host[len] = '\0';
	return 0;
}

int addr_parse(const char *text, struct addr *ret_addr)
{
	struct addr addr;
	char host[HOST_TEXT];
	const char *colon = strrchr(text, ':');
	bool bracketed = text[0] == '[';
	uint32_t port;

	if (!strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)))
		return parse_unix(text + strlen(UNIX_PREFIX), ret_addr);
	if (!colon || parse_number(colon + 1, UINT16_MAX, &port) < 0)
		return -EINVAL;
	if (bracketed && (colon < text + 2 || colon[-1] != ']'))
		return -EINVAL;
	if (copy_host(text + bracketed, (size_t)(colon - text) - 2 * bracketed, host) < 0 ||
	    parse_host(host, &addr) < 0)
		return -EINVAL;
	/* Without brackets "::1:80" would be an address as well as an address and a port. */
	if (bracketed != (addr.family == AF_INET6))
		return -EINVAL;
	addr.port = (uint16_t)port;
	*ret_addr = addr;
	return 0;
}

static bool is_mapped(const struct addr *addr)
{
	return addr->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&addr->v6);
}

struct addr addr_unmap(const struct addr *addr)
{
	struct addr plain = *addr;

	if (is_mapped(addr)) {
		plain = (struct addr){.family = AF_INET, .port = addr->port};
		memcpy(&plain.v4, &addr->v6.s6_addr[12], sizeof(plain.v4));
	}
	return plain;
}

const char *addr_format_host(const struct addr *addr, char *buf)
{
	struct addr plain = addr_unmap(addr);
	size_t len;

	switch (plain.family) {
	case AF_INET:
		inet_ntop(AF_INET, &plain.v4, buf, ADDR_TEXT);
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &plain.v6, buf, ADDR_TEXT);
		len = strlen(buf);
		if (plain.scope)
			snprintf(buf + len, ADDR_TEXT - len, "%%%u", plain.scope);
		break;
	case AF_UNIX:
		snprintf(buf, ADDR_TEXT, UNIX_PREFIX "%s", plain.path ? plain.path : "");
		break;
	default:
		strcpy(buf, "-");
	}
	return buf;
}

const char *addr_format(const struct addr *addr, char *buf)
{
	char host[ADDR_TEXT];

	addr_format_host(addr, host);
	if (addr->family == AF_INET || is_mapped(addr))
		snprintf(buf, ADDR_TEXT, "%.*s:%u", HOST_TEXT, host, addr->port);
	else if (addr->family == AF_INET6)
		snprintf(buf, ADDR_TEXT, "[%.*s]:%u", HOST_TEXT, host, addr->port);
	else
		memcpy(buf, host, sizeof(host));
	return buf;
}

static socklen_t to_sockaddr_un(const struct addr *addr, struct sockaddr_un *un)
{
	size_t len;

	if (!addr->path)
		return sizeof(un->sun_family);
	len = strlen(addr->path) + 1;
	must(len <= sizeof(un->sun_path));
	memcpy(un->sun_path, addr->path, len);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

socklen_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *ret_sa)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret_sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_sa;

	memset(ret_sa, 0, sizeof(*ret_sa));
	ret_sa->ss_family = addr->family;
	switch (addr->family) {
	case AF_INET:
		in->sin_port = htons(addr->port);
		in->sin_addr = addr->v4;
		return sizeof(*in);
	case AF_INET6:
		in6->sin6_port = htons(addr->port);
		in6->sin6_addr = addr->v6;
		in6->sin6_scope_id = addr->scope;
		return sizeof(*in6);
	case AF_UNIX:
		return to_sockaddr_un(addr, (struct sockaddr_un *)ret_sa);
	default:
		must(!"an address with a family");
	}
}

bool addr_from_bytes(int family, const void *bytes, size_t size, struct addr *ret_addr)
{
	struct addr addr = {.family = (sa_family_t)family};

	if (family == AF_INET && size == sizeof(addr.v4))
		memcpy(&addr.v4, bytes, size);
	else if (family == AF_INET6 && size == sizeof(addr.v6))
		memcpy(&addr.v6, bytes, size);
	else
		return false;
	*ret_addr = addr;
	return true;
}

void addr_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct addr *ret_addr)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	*ret_addr = (struct addr){0};
	if (len < sizeof(sa->sa_family))
		return;
	if (sa->sa_family == AF_INET && len >= sizeof(in)) {
		memcpy(&in, sa, sizeof(in));
		ret_addr->family = AF_INET;
		ret_addr->port = ntohs(in.sin_port);
		ret_addr->v4 = in.sin_addr;
	} else if (sa->sa_family == AF_INET6 && len >= sizeof(in6)) {
		memcpy(&in6, sa, sizeof(in6));
		ret_addr->family = AF_INET6;
		ret_addr->port = ntohs(in6.sin6_port);
		ret_addr->v6 = in6.sin6_addr;
		ret_addr->scope = in6.sin6_scope_id;
	} else if (sa->sa_family == AF_UNIX) {
		ret_addr->family = AF_UNIX;
	}
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family || a->port != b->port)
		return false;
	switch (a->family) {
	case AF_INET:
		return a->v4.s_addr == b->v4.s_addr;
	case AF_INET6:
		return a->scope == b->scope && !memcmp(&a->v6, &b->v6, sizeof(a->v6));
	case AF_UNIX:
		if (!a->path || !b->path)
			return a->path == b->path;
		return !strcmp(a->path, b->path);
	default:
		return true;
	}
}

bool addr_is_loopback(const struct addr *addr)
{
	struct addr host = addr_unmap(addr);

	if (host.family == AF_INET)
		return ntohl(host.v4.s_addr) >> 24 == IN_LOOPBACKNET;
	return host.family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&host.v6);
}

/* One multiply-and-shift round of a 64-bit mixer: every input bit reaches every output bit. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) + UINT64_C(0x9e3779b97f4a7c15);
	hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
	return hash ^ (hash >> 31);
}

uint64_t addr_hash_host(const struct addr *addr)
{
	struct addr plain = addr_unmap(addr);
	uint64_t hash = mix(0, plain.family);
	uint64_t words[2];

	switch (plain.family) {
	case AF_INET:
		return mix(hash, ntohl(plain.v4.s_addr));
	case AF_INET6:
		memcpy(words, &plain.v6, sizeof(words));
		return mix(mix(mix(hash, words[0]), words[1]), plain.scope);
	case AF_UNIX:
		for (const char *p = plain.path; p && *p; p++)
			hash = mix(hash, (unsigned char)*p);
		return hash;
	default:
		return hash;
	}
}

static size_t host_bits(const struct addr *addr)
{
	return addr->family == AF_INET ? 32 : 128;
}

static bool bit_at(const struct addr *addr, size_t i)
{
	const uint8_t *bytes =
		addr->family == AF_INET ? (const uint8_t *)&addr->v4 : addr->v6.s6_addr;

	return bytes[i / 8] & (0x80 >> i % 8);
}

int addr_block_parse(const char *text, struct addr_block *ret_block)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct addr_block block = {0};
	char host[HOST_TEXT];
	uint32_t bits;

	if (copy_host(text, len, host) < 0 || parse_host(host, &block.base) < 0)
		return -EINVAL;
	bits = (uint32_t)host_bits(&block.base);
	if (slash && parse_number(slash + 1, bits, &bits) < 0)
		return -EINVAL;
	for (size_t i = bits; i < host_bits(&block.base); i++)
		if (bit_at(&block.base, i))
			return -EINVAL;
	/* ::ffff:10.0.0.0/104 can only have meant 10.0.0.0/8. */
	if (is_mapped(&block.base) && bits >= 96) {
		block.base = addr_unmap(&block.base);
		bits -= 96;
	}
	block.bits = (uint8_t)bits;
	*ret_block = block;
	return 0;
}

bool addr_block_contains(const struct addr_block *block, const struct addr *addr)
{
	struct addr plain = addr_unmap(addr);

	if (plain.family != block->base.family)
		return false;
	if (block->base.scope && block->base.scope != plain.scope)
		return false;
	for (size_t i = 0; i < block->bits; i++)
		if (bit_at(&plain, i) != bit_at(&block->base, i))
			return false;
	return true;
}
