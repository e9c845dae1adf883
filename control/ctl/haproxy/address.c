/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses in HAProxy's notation: `*:80`, `:::80`, `10.0.0.1:80-89`, `[::1]:80`, `ipv6@:80`,
 * `unix@/path`, `/path`, `name:80`, `name`. The last colon stands in front of the ports, also
 * behind an IPv6 address without brackets.
 *
 * Failure modes: families that only HAProxy knows (abstract sockets, inherited descriptors, QUIC).
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "control/ctl/haproxy/parse.h"

enum family { FAMILY_ANY, FAMILY_V4, FAMILY_V6, FAMILY_UNIX };

/* Take `ipv4@` and the like off the front of `*text`. */
static int take_family(const char **text, enum family *ret_family)
{
	static const struct {
		const char *prefix;
		enum family family;
	} prefixes[] = {{"ipv4@", FAMILY_V4}, {"ipv6@", FAMILY_V6}, {"tcp4@", FAMILY_V4},
			{"tcp6@", FAMILY_V6}, {"tcp@", FAMILY_ANY}, {"unix@", FAMILY_UNIX}};

	*ret_family = (*text)[0] == '/' ? FAMILY_UNIX : FAMILY_ANY;
	for (size_t i = 0; i < HAP_COUNT(prefixes); i++) {
		size_t len = strlen(prefixes[i].prefix);

		if (strncmp(*text, prefixes[i].prefix, len) != 0)
			continue;
		*ret_family = prefixes[i].family;
		*text += len;
		return 0;
	}
	return strchr(*text, '@') ? -EINVAL : 0;
}

/* The host's end, and where the ports begin ("" at the end of `text` if it has none). */
static const char *find_ports(const char *text, size_t *ret_host_len)
{
	const char *close = text[0] == '[' ? strchr(text, ']') : NULL;
	const char *colon = close ? strchr(close, ':') : strrchr(text, ':');

	*ret_host_len = colon ? (size_t)(colon - text) : strlen(text);
	return colon ? colon + 1 : text + strlen(text);
}

int hap_address_parse(struct hap_arena *arena, const char *text, struct hap_address *ret_address,
		      const char **ret_why)
{
	struct hap_address address = {0};
	enum family family;
	size_t len;

	if (take_family(&text, &family) < 0) {
		*ret_why = "is of a family that Sluice has not";
		return -EINVAL;
	}
	if (family == FAMILY_UNIX) {
		address = (struct hap_address){.is_unix = true, .host = text, .ports = ""};
		*ret_address = address;
		return 0;
	}
	address.ports = find_ports(text, &len);
	address.host = hap_copy(arena, text, len);
	if (strcmp(address.host, "*") == 0)
		address.host = "";
	address.is_v6 = family == FAMILY_V6 || strchr(address.host, ':') != NULL;
	if (strchr(address.host, ':') && address.host[0] != '[')
		address.host = hap_format(arena, "[%s]", address.host);
	*ret_address = address;
	return 0;
}
