/* SPDX-License-Identifier: Apache-2.0
 *
 * `health:` of a pool, from what its servers and section say about checks.
 */
#include <string.h>

#include "control/ctl/haproxy/convert.h"
#include "control/ctl/haproxy/quantity.h"
#include "proxy/base/conf/keys.h"

#define INTER_DEFAULT_MS 2000
#define RISE_DEFAULT     2
#define FALL_DEFAULT     3
#define AT(field)        offsetof(struct hap_server, field)

bool hap_pool_is_checked(const struct hap_pool *pool)
{
	for (size_t i = 0; i < pool->count; i++)
		if (pool->targets[i].server->check)
			return true;
	return false;
}

static const struct hap_server *first_checked(const struct hap_pool *pool)
{
	size_t i = 0;

	while (!pool->targets[i].server->check)
		i++;
	return pool->targets[i].server;
}

static void lose(const struct hap_pool *pool, const struct hap_line *line, const char *why)
{
	hap_note(pool->hap, line, HAP_LOST, "%s", why);
}

/* --- what is checked --- */

static bool is_tls(const struct hap_pool *pool)
{
	return first_checked(pool)->check_tls || pool->section->check.tls;
}

static const char *type_of_script(const struct hap_pool *pool)
{
	const struct hap_check *check = &pool->section->check;
	const struct schema_key *key = schema_find(&schema_health, "expect");

	if (!check->expect.count && !check->send.count)
		return is_tls(pool) ? "tls" : "tcp";
	if (is_tls(pool)) {
		lose(pool, check->line,
		     "Sluice looks for a ServerHello, and at nothing within TLS");
		return "tls";
	}
	if (!check->expect.count)
		lose(pool, check->line, "Sluice sends nothing where it expects nothing");
	else if (check->expect.count > key->max || check->send.count > key->max)
		lose(pool, check->line, "Sluice's checks send and expect at most 1024 bytes");
	else
		return "send_expect";
	return "tcp";
}

static const char *find_type(const struct hap_pool *pool)
{
	const struct hap_check *check = &pool->section->check;

	if (check->kind == HAP_CHECK_SCRIPT)
		return type_of_script(pool);
	if (check->kind == HAP_CHECK_HTTP && !is_tls(pool))
		return "http";
	if (check->kind == HAP_CHECK_HTTP)
		lose(pool, check->line,
		     "Sluice looks for a ServerHello, and at nothing within TLS");
	return check->kind == HAP_CHECK_TLS || is_tls(pool) ? "tls" : "tcp";
}

static void write_script(const struct hap_pool *pool)
{
	const struct hap_check *check = &pool->section->check;

	if (check->send.count)
		hap_yaml_bytes(pool->yaml, "send", check->send.at, check->send.count);
	hap_yaml_bytes(pool->yaml, "expect", check->expect.at, check->expect.count);
}

/* `200`, `200-299` or a list of both, from the least to the largest. */
static bool read_status(const struct hap_pool *pool, const char *text, uint64_t *ret_first,
			uint64_t *ret_last)
{
	uint64_t first = UINT64_MAX, last = 0;

	while (*text) {
		size_t len = strcspn(text, ",-");
		uint64_t code;

		if (hap_number(hap_copy(&pool->hap->arena, text, len), &code) < 0 || code < 100 ||
		    code > 599)
			return false;
		first = code < first ? code : first;
		last = code > last ? code : last;
		text += len + (text[len] != '\0');
	}
	*ret_first = first;
	*ret_last = last;
	return last != 0;
}

static void write_status(const struct hap_pool *pool)
{
	const struct hap_check *check = &pool->section->check;
	uint64_t first, last;

	if (!check->status)
		return;
	if (!read_status(pool, check->status, &first, &last)) {
		lose(pool, check->expect_line, "that is no range of status codes");
		return;
	}
	if (strchr(check->status, ','))
		lose(pool, check->expect_line,
		     "Sluice has one range, so all that lie between pass too");
	if (first == last)
		hap_yaml_number(pool->yaml, "status", first);
	else
		hap_yaml_text(
			pool->yaml, "status",
			hap_format(&pool->hap->arena, "%u-%u", (unsigned)first, (unsigned)last));
}

static void write_word(const struct hap_pool *pool, const char *key, const char *text, bool good)
{
	if (!text)
		return;
	if (good && hap_fits_text(&schema_health, key, text))
		hap_yaml_text(pool->yaml, key, text);
	else
		hap_note(pool->hap, pool->section->check.line, HAP_LOST,
			 "Sluice's request has no such %s", key);
}

static void write_http(const struct hap_pool *pool)
{
	static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const struct hap_check *check = &pool->section->check;

	write_word(pool, "method", check->method,
		   check->method && !check->method[strspn(check->method, capitals)]);
	write_word(pool, "path", check->path, check->path && check->path[0] == '/');
	write_word(pool, "host", check->host, true);
	write_status(pool);
}

static void write_sni(const struct hap_pool *pool)
{
	const struct hap_text *sni = &first_checked(pool)->sni;

	if (sni->line && hap_fits_text(&schema_health, "host", sni->text))
		hap_yaml_text(pool->yaml, "host", sni->text);
	else if (sni->line)
		lose(pool, sni->line, "\"check-sni\": that is no host name");
}

static void write_what(const struct hap_pool *pool)
{
	const char *type = find_type(pool);

	hap_yaml_text(pool->yaml, "type", type);
	if (strcmp(type, "send_expect") == 0)
		write_script(pool);
	else if (strcmp(type, "http") == 0)
		write_http(pool);
	else if (strcmp(type, "tls") == 0)
		write_sni(pool);
}

/* --- where and when --- */

static struct hap_value find_port(const struct hap_pool *pool)
{
	const struct hap_value *rule = &pool->section->check.port;
	struct hap_value port = hap_pool_common(pool, AT(port), "port", true);

	return rule->line ? *rule : port;
}

static void write_fitting(const struct hap_pool *pool, const char *key, uint64_t number,
			  const struct hap_line *line)
{
	hap_yaml_number(pool->yaml, key, hap_fit(pool->hap, &schema_health, key, number, line));
}

static void write_fitting_time(const struct hap_pool *pool, const char *key, uint64_t ms,
			       const struct hap_line *line)
{
	hap_yaml_time(pool->yaml, key, hap_fit(pool->hap, &schema_health, key, ms, line));
}

static void write_when(const struct hap_pool *pool)
{
	struct hap_value inter = hap_pool_common(pool, AT(inter), "inter", true);
	struct hap_value fast = hap_pool_common(pool, AT(fastinter), "fastinter", true);
	struct hap_value down = hap_pool_common(pool, AT(downinter), "downinter", true);
	const struct hap_value *limit = &pool->section->timeouts[HAP_CHECK];

	if (!inter.number)
		inter.number = INTER_DEFAULT_MS;
	if (!fast.number)
		fast = down.number ? down : inter;
	if (down.number && down.number != fast.number)
		hap_note(pool->hap, down.line, HAP_NOTE,
			 "\"downinter\": Sluice has one fast_interval for targets that change and "
			 "that are down");
	write_fitting_time(pool, "interval", inter.number, inter.line);
	write_fitting_time(pool, "fast_interval", fast.number, fast.line);
	write_fitting_time(pool, "timeout", limit->number ? limit->number : inter.number,
			   limit->number ? limit->line : inter.line);
}

static void write_counts(const struct hap_pool *pool)
{
	struct hap_value rise = hap_pool_common(pool, AT(rise), "rise", true);
	struct hap_value fall = hap_pool_common(pool, AT(fall), "fall", true);
	const struct hap_value *spread = &pool->hap->global.spread_checks;

	write_fitting(pool, "rise", rise.number ? rise.number : RISE_DEFAULT, rise.line);
	write_fitting(pool, "fall", fall.number ? fall.number : FALL_DEFAULT, fall.line);
	hap_yaml_percent(
		pool->yaml, "jitter",
		hap_fit(pool->hap, &schema_health, "jitter", spread->number, spread->line));
}

/* HAProxy's checks speak PROXY as sessions do, unless they go to a port of their own. */
static void note_differences(const struct hap_pool *pool)
{
	for (size_t i = 0; i < pool->count; i++) {
		const struct hap_server *server = pool->targets[i].server;

		if (!server->check)
			lose(pool, server->line, "checked too: a pool checks all its targets");
		else if (server->send_proxy && server->port.line && !server->check_send_proxy)
			lose(pool, server->line, "\"port\": checks send a PROXY header there too");
		else if (!server->send_proxy && server->check_send_proxy)
			lose(pool, server->line,
			     "\"check-send-proxy\": checks send a PROXY header where sessions do");
	}
}

void hap_write_health(const struct hap_pool *pool)
{
	if (!hap_pool_is_checked(pool))
		return;
	struct hap_value port = find_port(pool);

	note_differences(pool);
	hap_yaml_open(pool->yaml, "health");
	write_what(pool);
	if (port.number)
		write_fitting(pool, "port", port.number, port.line);
	write_when(pool);
	write_counts(pool);
	hap_yaml_close(pool->yaml);
}
