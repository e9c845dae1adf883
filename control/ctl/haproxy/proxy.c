/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of defaults, frontend, backend and listen sections, but for bind, server, option and check
 * lines, which have files of their own. Which keyword belongs into which kind of section is
 * HAProxy's business: the file is one that it accepts.
 */
#include <string.h>

#include "control/ctl/haproxy/parse.h"
#include "proxy/base/addr.h"

#define HTTP   "only for mode http"
#define LOGS   "see `log` and log_level"
#define RULES  "Sluice has no rules: all connections of a listener go to its pool"
#define STICKY "Sluice keeps no table; balance: maglev keeps a client at its target"

static void take_mode(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	section->mode = (struct hap_text){hap_word(line, 1), line};
}

static void take_disabled(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	section->disabled = strcmp(hap_word(line, 0), "disabled") == 0;
}

static void take_timeout(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	static const char *const names[HAP_TIMEOUTS] = {
		[HAP_CONNECT] = "connect",       [HAP_CLIENT] = "client",
		[HAP_SERVER] = "server",         [HAP_TUNNEL] = "tunnel",
		[HAP_CLIENT_FIN] = "client-fin", [HAP_SERVER_FIN] = "server-fin",
		[HAP_QUEUE] = "queue",           [HAP_CHECK] = "check",
	};
	const char *name = hap_word(line, 1);

	for (size_t i = 0; i < HAP_TIMEOUTS; i++) {
		if (strcmp(name, names[i]) == 0) {
			hap_take_time(hap, line, 2, 1, &section->timeouts[i]);
			return;
		}
	}
	bool http = strncmp(name, "http-", 5) == 0 || strcmp(name, "tarpit") == 0;

	hap_note(hap, line, http ? HAP_NOTE : HAP_LOST, "%s", http ? HTTP : "no such timeout");
}

static void take_maxconn(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	hap_take_number(hap, line, 1, &section->maxconn);
}

static void take_retries(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	hap_take_number(hap, line, 1, &section->retries);
}

static void take_balance(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	section->balance = (struct hap_text){hap_word(line, 1), line};
}

static void take_balance_factor(struct hap *hap, struct hap_section *section,
				const struct hap_line *line)
{
	hap_take_number(hap, line, 1, &section->balance_factor);
}

static void take_source(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	section->source = (struct hap_text){hap_word(line, 1), line};
	if (line->count > 2)
		hap_note(hap, line, HAP_LOST, "\"%s\": Sluice connects from its own addresses",
			 line->words[2]);
}

static void take_default_backend(struct hap *hap, struct hap_section *section,
				 const struct hap_line *line)
{
	const struct hap_line *other = section->default_backend.line;

	if (other && other->section == section && strcmp(hap_word(other, 0), "use_backend") == 0)
		return;
	section->default_backend = (struct hap_text){hap_word(line, 1), line};
}

/* Without a condition it is the last word, whatever the default. */
static void take_use_backend(struct hap *hap, struct hap_section *section,
			     const struct hap_line *line)
{
	if (line->count == 2)
		take_default_backend(hap, section, line);
	else
		hap_note(hap, line, HAP_LOST, "%s", RULES);
}

/* clitcpka-idle, srvtcpka-cnt, ...: in seconds, but for the count. */
static void take_probe(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	const char *name = hap_word(line, 0), *which = strchr(name, '-') + 1;
	struct hap_value *probes = name[0] == 'c' ? section->client_probes : section->server_probes;

	if (strcmp(which, "idle") == 0)
		hap_take_time(hap, line, 1, 1000, &probes[HAP_PROBE_IDLE]);
	else if (strcmp(which, "intvl") == 0)
		hap_take_time(hap, line, 1, 1000, &probes[HAP_PROBE_INTERVAL]);
	else
		hap_take_number(hap, line, 1, &probes[HAP_PROBE_COUNT]);
}

/* `expect-proxy layer4 if { src BLOCK ... }`: the blocks, "" without a condition, NULL if it is
 * another one. */
static const char *read_sources(struct hap *hap, const struct hap_line *line)
{
	char *blocks = hap_format(&hap->arena, "%s", "");
	struct addr_block block;

	if (line->count == 4)
		return blocks;
	if (line->count < 9 || strcmp(line->words[4], "if") != 0 ||
	    strcmp(line->words[5], "{") != 0 || strcmp(line->words[6], "src") != 0 ||
	    strcmp(line->words[line->count - 1], "}") != 0)
		return NULL;
	for (unsigned i = 7; i < line->count - 1; i++) {
		if (addr_block_parse(line->words[i], &block) < 0)
			return NULL;
		blocks = hap_format(&hap->arena, "%s%s%s", blocks, *blocks ? " " : "",
				    line->words[i]);
	}
	return blocks;
}

static void take_tcp_request(struct hap *hap, struct hap_section *section,
			     const struct hap_line *line)
{
	bool expects = strcmp(hap_word(line, 1), "connection") == 0 &&
		       strcmp(hap_word(line, 2), "expect-proxy") == 0;
	const char *blocks = expects ? read_sources(hap, line) : NULL;

	if (blocks)
		section->expect_proxy = (struct hap_text){blocks, line};
	else
		hap_note(hap, line, HAP_LOST, "%s", RULES);
}

static void take_negation(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	if (strcmp(hap_word(line, 1), "option") == 0)
		hap_take_option(hap, section, line);
	else if (strcmp(hap_word(line, 1), "log") != 0)
		hap_note(hap, line, HAP_LOST, "\"%s\" is not known here", hap_word(line, 1));
}

static const struct hap_keyword keywords[] = {
	{"acl", NULL, HAP_NOTE, RULES},
	{"backlog", NULL, HAP_NOTE, "Sluice takes what net.core.somaxconn allows"},
	{.name = "balance", .take = take_balance},
	{.name = "bind", .take = hap_take_bind},
	{"bind-process", NULL, HAP_NOTE, "every worker of Sluice serves every listener"},
	{"capture", NULL, HAP_NOTE, HTTP},
	{.name = "clitcpka-cnt", .take = take_probe},
	{.name = "clitcpka-idle", .take = take_probe},
	{.name = "clitcpka-intvl", .take = take_probe},
	{"compression", NULL, HAP_NOTE, HTTP},
	{"cookie", NULL, HAP_NOTE, HTTP},
	{"declare", NULL, HAP_NOTE, HTTP},
	{.name = "default", .take = take_negation},
	{.name = "default-server", .take = hap_take_default_server},
	{.name = "default_backend", .take = take_default_backend},
	{"description", NULL, HAP_NOTE, "Sluice has names alone"},
	{.name = "disabled", .take = take_disabled},
	{"dispatch", NULL, HAP_LOST, "make it a target"},
	{"email-alert", NULL, HAP_LOST, "Sluice sends no mail; see sluicectl events, /metrics"},
	{.name = "enabled", .take = take_disabled},
	{"errorfile*", NULL, HAP_NOTE, HTTP},
	{"errorloc*", NULL, HAP_NOTE, HTTP},
	{"external-check", NULL, HAP_LOST, "Sluice runs no programs"},
	{"filter", NULL, HAP_LOST, "Sluice has no filters"},
	{"force-persist", NULL, HAP_NOTE, HTTP},
	{"fullconn", NULL, HAP_LOST, "Sluice's limits do not move with the load"},
	{.name = "hash-balance-factor", .take = take_balance_factor},
	{"hash-type", NULL, HAP_NOTE, "balance: maglev moves few clients when targets change"},
	{.name = "http-check", .take = hap_take_http_check},
	{"http-*", NULL, HAP_NOTE, HTTP},
	{"id", NULL, HAP_NOTE, "Sluice has names alone"},
	{"ignore-persist", NULL, HAP_NOTE, HTTP},
	{"load-server-state-from-file", NULL, HAP_NOTE, "Sluice has state_directory"},
	{"log*", NULL, HAP_NOTE, LOGS},
	{"max-keep-alive-queue", NULL, HAP_NOTE, HTTP},
	{.name = "maxconn", .take = take_maxconn},
	{.name = "mode", .take = take_mode},
	{.name = "no", .take = take_negation},
	{.name = "option", .take = hap_take_option},
	{"rate-limit", NULL, HAP_LOST, "Sluice limits no rate of clients"},
	{.name = "retries", .take = take_retries},
	{"retry-on", NULL, HAP_NOTE, "Sluice tries again after failed connects"},
	{.name = "server", .take = hap_take_server},
	{"server-state-file-name", NULL, HAP_NOTE, "Sluice has state_directory"},
	{.name = "server-template", .take = hap_take_server_template},
	{.name = "source", .take = take_source},
	{.name = "srvtcpka-cnt", .take = take_probe},
	{.name = "srvtcpka-idle", .take = take_probe},
	{.name = "srvtcpka-intvl", .take = take_probe},
	{"stats", NULL, HAP_NOTE, HTTP},
	{"stick*", NULL, HAP_LOST, STICKY},
	{.name = "tcp-check", .take = hap_take_tcp_check},
	{.name = "tcp-request", .take = take_tcp_request},
	{"tcp-response", NULL, HAP_LOST, RULES},
	{.name = "timeout", .take = take_timeout},
	{"unique-id-*", NULL, HAP_NOTE, HTTP},
	{"use-server", NULL, HAP_LOST, RULES},
	{.name = "use_backend", .take = take_use_backend},
};

void hap_take_proxy(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	if (!hap_take_keyword(hap, section, line, 0, keywords, HAP_COUNT(keywords)))
		hap_note(hap, line, HAP_LOST, "\"%s\" is not known here", hap_word(line, 0));
}
