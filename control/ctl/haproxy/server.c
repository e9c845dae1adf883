/* SPDX-License-Identifier: Apache-2.0
 *
 * `server NAME ADDRESS PARAMETER...`, `default-server PARAMETER...` and `server-template PREFIX
 * COUNT ADDRESS PARAMETER...`. A server begins as a copy of what the default-server lines before it
 * have made.
 */
#include <string.h>

#include "control/ctl/haproxy/parse.h"

#define AT(field) offsetof(struct hap_server, field)

#define AGENT   "Sluice has no agent checks; sluicectl set-weight changes weights at run time"
#define HTTP    "only for mode http"
#define RESOLVE "Sluice resolves names by itself, every resolve_interval"
#define TLS     "Sluice speaks no TLS to targets: it passes on what clients send"

static void take_send_proxy(struct hap *hap, const struct hap_line *line, unsigned i, void *object)
{
	struct hap_server *server = object;
	const char *word = line->words[i];

	server->send_proxy = strcmp(word, "send-proxy") == 0 ? HAP_SEND_V1 : HAP_SEND_V2;
	if (strncmp(word, "send-proxy-v2-", strlen("send-proxy-v2-")) == 0)
		hap_note(hap, line, HAP_LOST, "\"%s\": sent as v2 without what is known of TLS",
			 word);
}

static void take_no_send_proxy(struct hap *hap, const struct hap_line *line, unsigned i,
			       void *object)
{
	struct hap_server *server = object;

	server->send_proxy = HAP_SEND_NONE;
}

/* A list with commas. */
static void take_proxy_options(struct hap *hap, const struct hap_line *line, unsigned i,
			       void *object)
{
	struct hap_server *server = object;

	for (const char *at = hap_word(line, i + 1); *at;) {
		size_t len = strcspn(at, ",");

		if (len == strlen("crc32c") && strncmp(at, "crc32c", len) == 0)
			server->crc32c = true;
		else if (len)
			hap_note(hap, line, HAP_LOST, "\"%.*s\": not in Sluice's PROXY header",
				 (int)len, at);
		at += len + (at[len] == ',');
	}
}

static void take_marked_down(struct hap *hap, const struct hap_line *line, unsigned i, void *object)
{
	struct hap_server *server = object;

	server->closes = strcmp(hap_word(line, i + 1), "shutdown-sessions") == 0;
}

static void take_observe(struct hap *hap, const struct hap_line *line, unsigned i, void *object)
{
	struct hap_server *server = object;

	server->observed = true;
	if (strcmp(hap_word(line, i + 1), "layer4") != 0)
		hap_note(hap, line, HAP_LOST, "\"observe\": Sluice sees failed connects alone");
}

static void take_on_error(struct hap *hap, const struct hap_line *line, unsigned i, void *object)
{
	if (strcmp(hap_word(line, i + 1), "mark-down") != 0)
		hap_note(hap, line, HAP_LOST,
			 "\"on-error\": Sluice ejects the target for a time, as with mark-down");
}

static void take_source(struct hap *hap, const struct hap_line *line, unsigned i, void *object)
{
	struct hap_server *server = object;

	server->source = (struct hap_text){hap_word(line, i + 1), line};
}

static void take_usesrc(struct hap *hap, const struct hap_line *line, unsigned i, void *object)
{
	hap_note(hap, line, HAP_LOST,
		 "\"%s\": Sluice connects from its own addresses; proxy_protocol tells targets the "
		 "client's",
		 line->words[i]);
}

static const struct hap_param params[] = {
	HAP_SETS("backup", HAP_PARAM_TRUE, AT(backup)),
	HAP_SETS("no-backup", HAP_PARAM_FALSE, AT(backup)),
	HAP_SETS("check", HAP_PARAM_TRUE, AT(check)),
	HAP_SETS("no-check", HAP_PARAM_FALSE, AT(check)),
	HAP_SETS("check-ssl", HAP_PARAM_TRUE, AT(check_tls)),
	HAP_SETS("no-check-ssl", HAP_PARAM_FALSE, AT(check_tls)),
	HAP_SETS("check-send-proxy", HAP_PARAM_TRUE, AT(check_send_proxy)),
	HAP_SETS("no-check-send-proxy", HAP_PARAM_FALSE, AT(check_send_proxy)),
	HAP_SETS("disabled", HAP_PARAM_TRUE, AT(disabled)),
	HAP_SETS("enabled", HAP_PARAM_FALSE, AT(disabled)),
	HAP_SETS("tfo", HAP_PARAM_TRUE, AT(fast_open)),
	HAP_SETS("no-tfo", HAP_PARAM_FALSE, AT(fast_open)),
	HAP_SETS("port", HAP_PARAM_NUMBER, AT(port)),
	HAP_SETS("error-limit", HAP_PARAM_NUMBER, AT(error_limit)),
	HAP_SETS("fall", HAP_PARAM_NUMBER, AT(fall)),
	HAP_SETS("rise", HAP_PARAM_NUMBER, AT(rise)),
	HAP_SETS("maxconn", HAP_PARAM_NUMBER, AT(maxconn)),
	HAP_SETS("weight", HAP_PARAM_NUMBER, AT(weight)),
	HAP_SETS("inter", HAP_PARAM_TIME, AT(inter)),
	HAP_SETS("fastinter", HAP_PARAM_TIME, AT(fastinter)),
	HAP_SETS("downinter", HAP_PARAM_TIME, AT(downinter)),
	HAP_SETS("slowstart", HAP_PARAM_TIME, AT(slowstart)),
	HAP_SETS("tcp-ut", HAP_PARAM_TIME, AT(user_timeout)),
	HAP_SETS("check-sni", HAP_PARAM_TEXT, AT(sni)),

	HAP_CALLS("send-proxy", 0, take_send_proxy),
	HAP_CALLS("send-proxy-v2", 0, take_send_proxy),
	HAP_CALLS("send-proxy-v2-ssl", 0, take_send_proxy),
	HAP_CALLS("send-proxy-v2-ssl-cn", 0, take_send_proxy),
	HAP_CALLS("no-send-proxy", 0, take_no_send_proxy),
	HAP_CALLS("no-send-proxy-v2", 0, take_no_send_proxy),
	HAP_CALLS("proxy-v2-options", 1, take_proxy_options),
	HAP_CALLS("on-marked-down", 1, take_marked_down),
	HAP_CALLS("observe", 1, take_observe),
	HAP_CALLS("on-error", 1, take_on_error),
	HAP_CALLS("source", 1, take_source),
	HAP_CALLS("usesrc", 1, take_usesrc),
	HAP_CALLS("interface", 1, take_usesrc),

	HAP_NOTES("cookie", 1, HTTP),
	HAP_NOTES("id", 1, "its name is the target's id"),
	HAP_NOTES("init-addr", 1, RESOLVE),
	HAP_NOTES("resolvers", 1, RESOLVE),
	HAP_LOSES("resolve-net", 1, RESOLVE),
	HAP_LOSES("resolve-opts", 1, RESOLVE),
	HAP_LOSES("resolve-prefer", 1, RESOLVE),
	HAP_NOTES("pool-low-conn", 1, HTTP),
	HAP_NOTES("pool-max-conn", 1, HTTP),
	HAP_NOTES("pool-purge-delay", 1, HTTP),
	HAP_NOTES("max-reuse", 1, HTTP),
	HAP_NOTES("proto", 1, HTTP),
	HAP_NOTES("redir", 1, HTTP),

	HAP_LOSES("addr", 1, "Sluice checks the target's own address"),
	HAP_SKIPS("agent-addr", 1),
	HAP_LOSES("agent-check", 0, AGENT),
	HAP_SKIPS("agent-inter", 1),
	HAP_SKIPS("agent-port", 1),
	HAP_SKIPS("agent-send", 1),
	HAP_LOSES("check-proto", 1, "Sluice checks with HTTP/1"),
	HAP_LOSES("check-via-socks4", 0, "Sluice connects directly"),
	HAP_LOSES("maxqueue", 1, "Sluice has one queue for a pool: queue.size"),
	HAP_LOSES("minconn", 1, "Sluice's limit does not move with the load"),
	HAP_LOSES("namespace", 1, "Sluice stays in the network namespace that it is started in"),
	HAP_LOSES("on-marked-up", 1, "sessions on backup targets stay there"),
	HAP_LOSES("socks4", 1, "Sluice connects directly"),
	HAP_LOSES("ssl", 0, TLS),
	HAP_LOSES("track", 1, "Sluice checks each target for itself"),

	HAP_SKIPS("non-stick", 0),
	HAP_SKIPS("no-ssl", 0),
	HAP_SKIPS("check-alpn", 1),
	HAP_SKIPS("alpn", 1),
	HAP_SKIPS("ca-file", 1),
	HAP_SKIPS("ciphers", 1),
	HAP_SKIPS("ciphersuites", 1),
	HAP_SKIPS("crl-file", 1),
	HAP_SKIPS("crt", 1),
	HAP_SKIPS("sni", 1),
	HAP_SKIPS("ssl-max-ver", 1),
	HAP_SKIPS("ssl-min-ver", 1),
	HAP_SKIPS("verify", 1),
	HAP_SKIPS("verifyhost", 1),
};

static void add_server(struct hap *hap, struct hap_section *section, const struct hap_line *line,
		       unsigned address_word)
{
	struct hap_server server = section->default_server;
	const char *text = hap_word(line, address_word), *why;

	server.line = line;
	server.name = hap_word(line, 1);
	hap_take_params(hap, line, address_word + 1, &server, params, HAP_COUNT(params));
	if (hap_address_parse(&hap->arena, text, &server.address, &why) < 0) {
		hap_note(hap, line, HAP_LOST, "the address \"%s\" %s", text, why);
		return;
	}
	section->servers = hap_grow(&hap->arena, section->servers, section->server_count,
				    sizeof(*section->servers));
	section->servers[section->server_count++] = server;
}

void hap_take_server(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	add_server(hap, section, line, 2);
}

void hap_take_default_server(struct hap *hap, struct hap_section *section,
			     const struct hap_line *line)
{
	hap_take_params(hap, line, 1, &section->default_server, params, HAP_COUNT(params));
}

void hap_take_server_template(struct hap *hap, struct hap_section *section,
			      const struct hap_line *line)
{
	hap_note(hap, line, HAP_NOTE,
		 "one target: Sluice uses every address that the name has, not a number of them");
	add_server(hap, section, line, 3);
}
