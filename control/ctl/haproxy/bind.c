/* SPDX-License-Identifier: Apache-2.0
 *
 * `bind ADDRESS[,ADDRESS...] PARAMETER...`: one struct hap_bind for each address, all with the same
 * parameters.
 */
#include <string.h>

#include "control/ctl/haproxy/parse.h"

#define AT(field) offsetof(struct hap_bind, field)

#define TLS "Sluice ends no TLS: it passes on what clients send"

static const struct hap_param params[] = {
	HAP_SETS("accept-proxy", HAP_PARAM_TRUE, AT(accept_proxy)),
	HAP_SETS("v6only", HAP_PARAM_TRUE, AT(v6_only)),
	HAP_SETS("v4v6", HAP_PARAM_FALSE, AT(v6_only)),
	HAP_SETS("tfo", HAP_PARAM_TRUE, AT(fast_open)),
	HAP_SETS("name", HAP_PARAM_WORD, AT(name)),
	HAP_SETS("mode", HAP_PARAM_WORD, AT(mode)),
	HAP_SETS("maxconn", HAP_PARAM_NUMBER, AT(maxconn)),
	HAP_SETS("tcp-ut", HAP_PARAM_TIME, AT(user_timeout)),
	HAP_SETS("mss", HAP_PARAM_NUMBER, AT(mss)),

	HAP_NOTES("backlog", 1, "Sluice takes what net.core.somaxconn allows"),
	HAP_NOTES("defer-accept", 0, "Sluice has no need of it"),
	HAP_NOTES("id", 1, "Sluice has names alone"),
	HAP_NOTES("nice", 1, "Sluice is fair to all"),
	HAP_NOTES("process", 1, "every worker of Sluice serves every listener"),
	HAP_NOTES("thread", 1, "every worker of Sluice serves every listener"),
	HAP_NOTES("shards", 1, "Sluice has a socket for every worker"),

	HAP_LOSES("accept-netscaler-cip", 1, "Sluice reads the PROXY protocol alone"),
	HAP_LOSES("expose-fd", 1, "Sluice has no such socket"),
	HAP_LOSES("gid", 1, "Sluice sets a mode, no owner"),
	HAP_LOSES("group", 1, "Sluice sets a mode, no owner"),
	HAP_LOSES("uid", 1, "Sluice sets a mode, no owner"),
	HAP_LOSES("user", 1, "Sluice sets a mode, no owner"),
	HAP_LOSES("interface", 1, "Sluice binds addresses, no interfaces"),
	HAP_LOSES("level", 1, "of HAProxy's own socket"),
	HAP_LOSES("namespace", 1, "Sluice stays in the network namespace that it is started in"),
	HAP_LOSES("ssl", 0, TLS),
	HAP_LOSES("transparent", 0, "Sluice takes connections to addresses of this host alone"),

	HAP_SKIPS("alpn", 1),
	HAP_SKIPS("ca-file", 1),
	HAP_SKIPS("ca-ignore-err", 1),
	HAP_SKIPS("ca-sign-file", 1),
	HAP_SKIPS("ca-verify-file", 1),
	HAP_SKIPS("ciphers", 1),
	HAP_SKIPS("ciphersuites", 1),
	HAP_SKIPS("crl-file", 1),
	HAP_SKIPS("crt", 1),
	HAP_SKIPS("crt-list", 1),
	HAP_SKIPS("curves", 1),
	HAP_SKIPS("no-sslv3", 0),
	HAP_SKIPS("no-tls-tickets", 0),
	HAP_SKIPS("no-tlsv10", 0),
	HAP_SKIPS("no-tlsv11", 0),
	HAP_SKIPS("no-tlsv12", 0),
	HAP_SKIPS("npn", 1),
	HAP_SKIPS("ssl-max-ver", 1),
	HAP_SKIPS("ssl-min-ver", 1),
	HAP_SKIPS("strict-sni", 0),
	HAP_SKIPS("verify", 1),
};

static void add_bind(struct hap *hap, struct hap_section *section, const struct hap_bind *common,
		     const char *text)
{
	struct hap_bind bind = *common;
	const char *why;

	if (hap_address_parse(&hap->arena, text, &bind.address, &why) < 0) {
		hap_note(hap, bind.line, HAP_LOST, "the address \"%s\" %s", text, why);
		return;
	}
	section->binds =
		hap_grow(&hap->arena, section->binds, section->bind_count, sizeof(*section->binds));
	section->binds[section->bind_count++] = bind;
}

void hap_take_bind(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	const char *at = hap_word(line, 1);
	struct hap_bind common = {.line = line};

	hap_take_params(hap, line, 2, &common, params, HAP_COUNT(params));
	while (*at) {
		size_t len = strcspn(at, ",");

		if (len)
			add_bind(hap, section, &common, hap_copy(&hap->arena, at, len));
		at += len + (at[len] == ',');
	}
}
