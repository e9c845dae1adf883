/* SPDX-License-Identifier: Apache-2.0
 *
 * One pool of sluice.yaml, from a backend or listen. What HAProxy does without being told, and
 * Sluice does otherwise, is written out: no limit on time where none was given, retries, no
 * ejection by passive checks, and nothing open when every server is down.
 */
#include <string.h>

#include "control/ctl/haproxy/convert.h"
#include "control/ctl/haproxy/parse.h"
#include "control/ctl/haproxy/quantity.h"
#include "proxy/base/conf/keys.h"

#define HOUR_MS         3600000
#define RETRIES_DEFAULT 3
#define QUEUE_DEFAULT   100000
#define ERRORS_DEFAULT  10
#define AT(field)       offsetof(struct hap_server, field)

/* --- how a target is chosen --- */

static const struct {
	const char *theirs, *ours;
} balances[] = {
	{"roundrobin", "round_robin"},
	{"static-rr", "round_robin"},
	{"leastconn", "least_connections"},
	{"first", "first"},
	{"source", "maglev"},
	{"random", "random_two"},
};

static const char *find_balance(const struct hap_pool *pool)
{
	const struct hap_text *balance = &pool->section->balance;
	size_t len = balance->line ? strcspn(balance->text, "(") : 0;

	if (!balance->line)
		return "round_robin";
	if (balance->text[len] && strcmp(balance->text, "random(2)") != 0)
		hap_note(pool->hap, balance->line, HAP_NOTE, "Sluice draws two");
	for (size_t i = 0; i < HAP_COUNT(balances); i++)
		if (strlen(balances[i].theirs) == len &&
		    strncmp(balances[i].theirs, balance->text, len) == 0)
			return balances[i].ours;
	hap_note(pool->hap, balance->line, HAP_LOST, "Sluice reads no requests; round_robin");
	return "round_robin";
}

static void write_balance(const struct hap_pool *pool)
{
	const struct hap_value *factor = &pool->section->balance_factor;
	const char *balance = find_balance(pool);

	hap_yaml_text(pool->yaml, "balance", balance);
	if (factor->number && strcmp(balance, "maglev") == 0)
		hap_yaml_percent(pool->yaml, "load_factor",
				 hap_fit(pool->hap, schema_pool.map, "load_factor", factor->number,
					 factor->line));
}

/* --- timeouts --- */

static uint64_t shorter(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

static void write_timeout(const struct hap_pool *pool, const char *key, uint64_t ms,
			  const struct hap_line *line)
{
	hap_yaml_time(pool->yaml, key, hap_fit(pool->hap, &schema_timeouts, key, ms, line));
}

static uint64_t find_idle(const struct hap_pool *pool, const struct hap_line **ret_line)
{
	const struct hap_section *section = pool->section;
	const struct hap_value *tunnel = &section->timeouts[HAP_TUNNEL];
	const struct hap_value *server = &section->timeouts[HAP_SERVER];

	*ret_line = server->line;
	if (tunnel->number) {
		*ret_line = tunnel->line;
		return tunnel->number;
	}
	if (server->line && server->number != section->client_ms)
		hap_note(pool->hap, server->line, HAP_NOTE,
			 "Sluice has one idle timeout for both sides, the shorter of the two");
	return shorter(section->client_ms, server->number);
}

static void write_timeouts(const struct hap_pool *pool)
{
	const struct hap_section *section = pool->section;
	const struct hap_value *connect = &section->timeouts[HAP_CONNECT];
	const struct hap_value *fin = &section->timeouts[HAP_SERVER_FIN];
	const struct hap_line *line;
	uint64_t idle = find_idle(pool, &line);
	uint64_t half_close = shorter(section->client_fin_ms, fin->number);

	if (!connect->number)
		hap_note(pool->hap, section->line, HAP_NOTE,
			 "without timeout connect HAProxy waits on; here it is an hour");
	hap_yaml_open(pool->yaml, "timeouts");
	write_timeout(pool, "connect", connect->number ? connect->number : HOUR_MS, connect->line);
	write_timeout(pool, "idle", idle, line);
	write_timeout(pool, "half_close", half_close ? half_close : idle, fin->line);
	hap_yaml_close(pool->yaml);
}

/* --- limits --- */

static bool is_limited(const struct hap_pool *pool)
{
	for (size_t i = 0; i < pool->count; i++)
		if (pool->targets[i].server->maxconn.number)
			return true;
	return false;
}

/* A full server's clients wait, as many as there are. */
static void write_queue(const struct hap_pool *pool)
{
	const struct schema_map *map = schema_find(schema_pool.map, "queue")->map;
	const struct hap_value *timeouts = pool->section->timeouts;
	const struct hap_value *wait =
		&timeouts[timeouts[HAP_QUEUE].number ? HAP_QUEUE : HAP_CONNECT];
	const struct hap_value *most = &pool->hap->global.maxconn;

	if (!is_limited(pool))
		return;
	hap_yaml_open(pool->yaml, "queue");
	hap_yaml_number(
		pool->yaml, "size",
		hap_fit(pool->hap, map, "size", most->number ? most->number : QUEUE_DEFAULT, NULL));
	hap_yaml_time(pool->yaml, "timeout",
		      hap_fit(pool->hap, map, "timeout", wait->number ? wait->number : HOUR_MS,
			      wait->line));
	hap_yaml_close(pool->yaml);
}

static void write_retries(const struct hap_pool *pool)
{
	const struct hap_section *section = pool->section;
	const struct hap_value *retries = &section->retries;
	uint64_t number = retries->line ? retries->number : RETRIES_DEFAULT;

	if (retries->number && !section->options[HAP_REDISPATCH].line)
		hap_note(pool->hap, retries->line, HAP_NOTE,
			 "each goes to another target, as with option redispatch");
	hap_yaml_number(pool->yaml, "retries",
			hap_fit(pool->hap, schema_pool.map, "retries", number, retries->line));
	hap_yaml_percent(pool->yaml, "retry_budget", 100);
}

/* --- where from, and what targets are told --- */

static bool reaches(const struct hap_pool *pool, const struct addr *source)
{
	for (size_t i = 0; i < pool->count; i++) {
		const struct endpoint *endpoint = &pool->targets[i].endpoint;

		if (!endpoint->host[0] && endpoint->addr.family != AF_UNIX &&
		    endpoint->addr.family != source->family)
			return false;
	}
	return true;
}

static const struct hap_text *find_source(const struct hap_pool *pool)
{
	const struct hap_text *source = &pool->section->source;

	for (size_t i = 0; i < pool->count; i++) {
		const struct hap_text *own = &pool->targets[i].server->source;

		if (!source->line)
			source = own;
		else if (own->line && strcmp(own->text, source->text) != 0)
			hap_note(pool->hap, own->line, HAP_LOST,
				 "\"source\": a pool has one for all targets");
	}
	return source;
}

static void write_source(const struct hap_pool *pool)
{
	const struct hap_text *source = find_source(pool);
	struct hap_arena *arena = &pool->hap->arena;
	struct hap_address address;
	struct addr addr;
	const char *why = "is a path";

	if (!source->line)
		return;
	if (hap_address_parse(arena, source->text, &address, &why) == 0 && !address.is_unix) {
		const char *host = address.host + (address.host[0] == '[');

		host = hap_copy(arena, host, strcspn(host, "]"));
		why = "is of another family than a target";
		if (endpoint_parse_ip(host, &addr, &why) == 0 && reaches(pool, &addr)) {
			if (address.ports[0])
				hap_note(pool->hap, source->line, HAP_LOST,
					 "\"source\": ports are chosen by Sluice");
			hap_yaml_text(pool->yaml, "source", host);
			return;
		}
	}
	hap_note(pool->hap, source->line, HAP_LOST, "\"source\": the address %s", why);
}

static bool any(const struct hap_pool *pool, size_t offset)
{
	for (size_t i = 0; i < pool->count; i++)
		if (*(const bool *)((const char *)pool->targets[i].server + offset))
			return true;
	return false;
}

static void write_proxy(const struct hap_pool *pool)
{
	enum hap_send send = pool->targets[0].server->send_proxy;

	if (send == HAP_SEND_NONE)
		return;
	hap_yaml_text(pool->yaml, "proxy_protocol", send == HAP_SEND_V1 ? "v1" : "v2");
	if (send == HAP_SEND_V2 && any(pool, AT(crc32c)))
		hap_yaml_text(pool->yaml, "proxy_crc32c", "true");
}

/* --- who is used when --- */

static void write_outlier(const struct hap_pool *pool)
{
	struct hap_value limit = hap_pool_common(pool, AT(error_limit), "error-limit", false);

	if (!any(pool, AT(observed))) {
		hap_yaml_text(pool->yaml, "outlier", "off");
		return;
	}
	hap_yaml_open(pool->yaml, "outlier");
	hap_yaml_number(pool->yaml, "failures",
			hap_fit(pool->hap, &schema_outlier, "failures",
				limit.number ? limit.number : ERRORS_DEFAULT, limit.line));
	hap_yaml_close(pool->yaml);
	hap_yaml_percent(pool->yaml, "max_ejected", 100);
}

static void write_standing(const struct hap_pool *pool)
{
	struct hap_value slow = hap_pool_common(pool, AT(slowstart), "slowstart", false);

	hap_write_health(pool);
	write_outlier(pool);
	if (hap_pool_is_checked(pool))
		hap_yaml_text(pool->yaml, "panic", "refuse");
	if (any(pool, AT(closes)))
		hap_yaml_text(pool->yaml, "on_down", "close");
	if (slow.number)
		hap_yaml_time(
			pool->yaml, "slow_start",
			hap_fit(pool->hap, schema_pool.map, "slow_start", slow.number, slow.line));
}

/* --- targets --- */

/* Only of use if one was given: all others have 1 then. */
static bool has_weights(const struct hap_pool *pool)
{
	for (size_t i = 0; i < pool->count; i++)
		if (pool->targets[i].server->weight.line || pool->targets[i].server->disabled)
			return true;
	return false;
}

static void write_weight(const struct hap_pool *pool, const struct hap_server *server,
			 const struct schema_map *map)
{
	uint64_t weight = server->weight.line ? server->weight.number : 1;

	if (server->disabled)
		hap_note(pool->hap, server->line, HAP_NOTE,
			 "\"disabled\": a weight of 0; sluicectl set-weight brings it in");
	hap_yaml_number(pool->yaml, "weight",
			server->disabled
				? 0
				: hap_fit(pool->hap, map, "weight", weight, server->weight.line));
}

static void write_target(const struct hap_pool *pool, const struct hap_target *target,
			 bool weighted)
{
	const struct schema_map *map = schema_find(schema_pool.map, "targets")->item->map;
	const struct hap_server *server = target->server;

	hap_yaml_item(pool->yaml);
	hap_yaml_text(pool->yaml, "address", target->address);
	if (target->id)
		hap_yaml_text(pool->yaml, "id", target->id);
	if (weighted)
		write_weight(pool, server, map);
	if (server->maxconn.number)
		hap_yaml_number(pool->yaml, "max_connections",
				hap_fit(pool->hap, map, "max_connections", server->maxconn.number,
					server->maxconn.line));
	if (server->backup)
		hap_yaml_text(pool->yaml, "backup", "true");
	hap_yaml_item_end(pool->yaml);
}

/* HAProxy uses the backups one after the other, unless told to use all. So does balance: first. */
static void note_backups(const struct hap_pool *pool)
{
	unsigned backups = 0;

	if (strcmp(find_balance(pool), "first") == 0)
		return;

	for (size_t i = 0; i < pool->count; i++)
		if (pool->targets[i].server->backup && ++backups > 1 &&
		    !pool->section->options[HAP_ALLBACKUPS].line)
			hap_note(pool->hap, pool->targets[i].server->line, HAP_LOST,
				 "Sluice uses all backups at once, as with option allbackups");
}

static void write_targets(const struct hap_pool *pool)
{
	bool weighted = has_weights(pool);

	note_backups(pool);
	hap_yaml_open(pool->yaml, "targets");
	for (size_t i = 0; i < pool->count; i++)
		write_target(pool, &pool->targets[i], weighted);
	hap_yaml_close(pool->yaml);
}

static void write_socket_options(const struct hap_pool *pool)
{
	struct hap_tcp tcp = {
		.probes = pool->section->server_probes,
		.user_timeout = hap_pool_common(pool, AT(user_timeout), "tcp-ut", false),
		.fast_open = any(pool, AT(fast_open)),
	};

	hap_write_tcp(pool->hap, pool->yaml, &tcp);
}

bool hap_write_pool(struct hap *hap, struct hap_section *section, struct hap_names *names,
		    struct hap_yaml *yaml)
{
	struct hap_pool pool = {.hap = hap, .section = section, .yaml = yaml};

	hap_pool_collect(&pool);
	if (!pool.count)
		return false;
	section->pool = hap_name(&hap->arena, names, section->name);
	if (strcmp(section->pool, section->name) != 0)
		hap_note(hap, section->line, HAP_NOTE, "the pool is called \"%s\"", section->pool);
	hap_yaml_item(yaml);
	hap_yaml_text(yaml, "name", section->pool);
	write_balance(&pool);
	write_timeouts(&pool);
	write_socket_options(&pool);
	write_retries(&pool);
	write_source(&pool);
	write_queue(&pool);
	write_proxy(&pool);
	write_standing(&pool);
	write_targets(&pool);
	hap_yaml_item_end(yaml);
	return true;
}
