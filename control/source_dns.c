/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets from DNS: the addresses of a name, or what its SRV records offer.
 *
 * Happy path: one question, for SRV one more for each host whose address did not come along, and
 * one snapshot. The next is wished for when the shortest TTL has passed, within min_ttl and max_ttl
 * (the interval, where that is not given).
 * Failure modes: a name that does not exist, has no such records, or whose servers refuse, fail or
 * keep silent is never an empty set but a failed one: resolvers answer so when they are at fault
 * themselves. One host of an SRV record that cannot be resolved fails all. Only an SRV record whose
 * target is "." says in so many words that there is none.
 */
#include <ares.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/source.h"
#include "control/source_dns/answer.h"
#include "control/source_dns/channel.h"
#include "control/source_dns/services.h"
#include "proxy/base/conf/discover_rules.h"
#include "proxy/base/conf/endpoint.h"
#include "proxy/base/conf/schema.h"
#include "proxy/base/loop.h"

#define DNS_PORT 53

struct source_of_dns {
	struct source source;
	char *name;
	enum dns_type type;
	uint16_t port; /* of A and AAAA */
	uint32_t weight;
	bool backup;
	uint32_t min_ttl_ms;
	uint32_t max_ttl_ms;
	struct ares_addr_port_node *servers; /* an array that is a list; NULL: the system's */

	/* Of the snapshot that is under way. */
	struct dns_channel *channel;
	struct loop_task finish; /* c-ares must not be freed from inside its callbacks */
	struct target_set *set;
	struct services services;
	size_t hosts_asked;
	uint32_t ttl_s;
	char error_kind[24]; /* "" while all is well */
	char problem[400];
};

static struct source_of_dns *of(struct source *source)
{
	return container_of(source, struct source_of_dns, source);
}

static const char *type_name(enum dns_type type)
{
	return type == DNS_SRV ? "SRV" : type == DNS_AAAA ? "AAAA" : "A";
}

/* --- the end of a snapshot --- */

static void finish(struct source_of_dns *dns)
{
	loop_ready(dns->source.world.loop, &dns->finish);
}

/* The first problem ends the snapshot; later ones are its consequences. */
static void fail(struct source_of_dns *dns, const char *kind, const char *name, enum dns_type type,
		 const char *what)
{
	if (dns->error_kind[0])
		return;
	snprintf(dns->error_kind, sizeof(dns->error_kind), "%s", kind);
	snprintf(dns->problem, sizeof(dns->problem), "%s records of %s: %s", type_name(type), name,
		 what);
	finish(dns);
}

static const struct {
	int status;
	const char *kind;
	const char *what;
} statuses[] = {
	{ARES_ENOTFOUND, "nxdomain", "there is no such name (NXDOMAIN); check its spelling"},
	{ARES_ENODATA, "nodata", "the name has none; check the type"},
	{ARES_ESERVFAIL, "servfail", "the name server failed (SERVFAIL); it is asked again"},
	{ARES_EREFUSED, "refused", "the name server refuses to answer; check `servers`"},
	{ARES_ENOTIMP, "refused", "the name server does not know this type; check `servers`"},
	{ARES_ETIMEOUT, "timeout", "no name server answered; check `servers` and the way there"},
	{ARES_ECONNREFUSED, "unreachable",
	 /* Also what older c-ares makes of SERVFAIL and REFUSED by every server. */
	 "no name server could be reached, or all of them fail or refuse; check `servers`"},
	{ARES_EBADNAME, "nxdomain", "that is no name; check its spelling"},
	{ARES_ENOMEM, "memory", "out of memory"},
};

static void fail_status(struct source_of_dns *dns, int status, const char *name, enum dns_type type)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (statuses[i].status == status) {
			fail(dns, statuses[i].kind, name, type, statuses[i].what);
			return;
		}
	}
	fail(dns, "garbage", name, type, ares_strerror(status));
}

static void fail_errno(struct source_of_dns *dns, int err, const char *name, enum dns_type type)
{
	if (err == -ENOMEM)
		fail(dns, "memory", name, type, "out of memory");
	else
		fail(dns, "garbage", name, type, "the answer makes no sense");
}

static uint32_t wanted_interval_ms(const struct source_of_dns *dns)
{
	uint64_t ms = (uint64_t)dns->ttl_s * 1000;

	if (ms > dns->max_ttl_ms)
		ms = dns->max_ttl_ms;
	return ms < dns->min_ttl_ms ? dns->min_ttl_ms : (uint32_t)ms;
}

/* Whatever the snapshot holds, but its set. */
static void let_go(struct source_of_dns *dns)
{
	list_remove(&dns->finish.link);
	dns_channel_free(dns->channel);
	dns->channel = NULL;
	services_fini(&dns->services);
}

static void on_finish(struct loop_task *task)
{
	struct source_of_dns *dns = container_of(task, struct source_of_dns, finish);
	struct target_set *set = dns->set;

	let_go(dns);
	dns->set = NULL;
	if (dns->error_kind[0]) {
		target_set_free(set);
		source_failed(&dns->source, dns->error_kind, "%s", dns->problem);
		return;
	}
	dns->source.wanted_interval_ms = wanted_interval_ms(dns);
	source_done(&dns->source, set);
}

/* --- addresses --- */

static void take_addresses(struct source_of_dns *dns, const struct dns_answer *answer)
{
	const char *owner = dns_answer_owner(answer, dns->name, &dns->ttl_s);
	const struct dns_record *record;
	size_t at = 0;
	bool any = false;

	while ((record = dns_answer_next(answer, owner, dns->type, &at, &dns->ttl_s))) {
		struct addr addr = record->addr;
		char text[ADDR_TEXT];

		addr.port = dns->port;
		const struct found_target target = {.address = addr_format(&addr, text),
						    .weight = dns->weight,
						    .backup = dns->backup};
		int err = target_set_add(dns->set, &target);

		if (err) {
			fail_errno(dns, err, dns->name, dns->type);
			return;
		}
		any = true;
	}
	if (any)
		finish(dns);
	else
		fail_status(dns, ARES_ENODATA, dns->name, dns->type);
}

/* --- services --- */

static void on_host(void *context, int status, const uint8_t *bytes, size_t size);

static void ask_host(struct source_of_dns *dns, struct service_host *host, enum dns_type type)
{
	host->asked = type;
	host->context = dns;
	dns_channel_ask(dns->channel, host->name, (int)type, on_host, host);
}

static void offer_services(struct source_of_dns *dns)
{
	int err = services_offer(&dns->services, dns->weight, dns->backup, dns->set);

	if (err)
		fail_errno(dns, err, dns->name, DNS_SRV);
	else
		finish(dns);
}

/* Of both families IPv4 is taken, like the addresses that come along. */
static void take_host(struct source_of_dns *dns, struct service_host *host, int status,
		      const uint8_t *bytes, size_t size)
{
	struct dns_answer answer = {0};
	int err = status ? 0 : dns_answer_parse(bytes, size, &answer);

	if (!err && !status)
		err = services_learn(host, &answer, host->asked, &dns->ttl_s);
	dns_answer_fini(&answer);
	if (!err && !status && !host->count)
		status = ARES_ENODATA;
	if (err)
		fail_errno(dns, err, host->name, host->asked);
	else if (status == ARES_ENODATA && host->asked == DNS_A)
		ask_host(dns, host, DNS_AAAA);
	else if (status)
		fail_status(dns, status, host->name, host->asked);
	else if (--dns->hosts_asked == 0)
		offer_services(dns);
}

static void on_host(void *context, int status, const uint8_t *bytes, size_t size)
{
	struct service_host *host = context;
	struct source_of_dns *dns = host->context;

	if (!dns->error_kind[0])
		take_host(dns, host, status, bytes, size);
}

/* Counted before the first is asked, since an answer may come at once. */
static void ask_hosts(struct source_of_dns *dns)
{
	struct services *services = &dns->services;

	for (size_t i = 0; i < services->host_count; i++)
		dns->hosts_asked += services->hosts[i].count == 0;
	if (!dns->hosts_asked)
		offer_services(dns);
	for (size_t i = 0; i < services->host_count; i++)
		if (!services->hosts[i].count && !dns->error_kind[0])
			ask_host(dns, &services->hosts[i], DNS_A);
}

static void take_services(struct source_of_dns *dns, const struct dns_answer *answer)
{
	const char *owner = dns_answer_owner(answer, dns->name, &dns->ttl_s);
	int err = services_read(answer, owner, &dns->ttl_s, &dns->services);

	if (err == -ENOENT)
		fail_status(dns, ARES_ENODATA, dns->name, DNS_SRV);
	else if (err)
		fail_errno(dns, err, dns->name, DNS_SRV);
	else
		ask_hosts(dns);
}

static void on_answer(void *context, int status, const uint8_t *bytes, size_t size)
{
	struct source_of_dns *dns = context;
	struct dns_answer answer = {0};
	int err = status ? 0 : dns_answer_parse(bytes, size, &answer);

	if (status)
		fail_status(dns, status, dns->name, dns->type);
	else if (err)
		fail_errno(dns, err, dns->name, dns->type);
	else if (dns->type == DNS_SRV)
		take_services(dns, &answer);
	else
		take_addresses(dns, &answer);
	dns_answer_fini(&answer);
}

static void dns_fetch(struct source *source)
{
	struct source_of_dns *dns = of(source);
	int status;

	dns->error_kind[0] = '\0';
	dns->hosts_asked = 0;
	dns->ttl_s = UINT32_MAX;
	dns->set = target_set_new();
	status = dns->set ? dns_channel_new(source->world.loop, dns->servers, &dns->channel)
			  : ARES_ENOMEM;
	if (status)
		fail_status(dns, status, dns->name, dns->type);
	else
		dns_channel_ask(dns->channel, dns->name, (int)dns->type, on_answer, dns);
}

/* --- open and close --- */

/* The schema has checked the texts. */
static void read_server(const char *text, struct ares_addr_port_node *ret_server)
{
	const char *why;
	struct addr addr;

	if (endpoint_parse_ip(text, &addr, &why) == 0)
		addr.port = DNS_PORT;
	else
		addr_parse(text, &addr);
	ret_server->family = addr.family;
	ret_server->udp_port = ret_server->tcp_port = addr.port;
	if (addr.family == AF_INET)
		ret_server->addr.addr4 = addr.v4;
	else
		memcpy(&ret_server->addr.addr6, &addr.v6, sizeof(addr.v6));
}

static int read_servers(const struct node *list, struct ares_addr_port_node **ret_servers)
{
	size_t count = node_items(list);
	struct ares_addr_port_node *servers;

	if (!count)
		return 0;
	servers = calloc(count, sizeof(*servers));
	if (!servers)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		read_server(list->children[i]->text, &servers[i]);
		servers[i].next = i + 1 < count ? &servers[i + 1] : NULL;
	}
	*ret_servers = servers;
	return 0;
}

static void read_conf(struct source_of_dns *dns, const struct node *conf)
{
	static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_SRV}; /* as in the schema */
	const struct schema_map *map = discover_source_map("dns");

	dns->type = types[schema_number(map, conf, "type")];
	dns->port = (uint16_t)schema_number(map, conf, "port");
	dns->weight = (uint32_t)schema_number(map, conf, "weight");
	dns->backup = schema_number(map, conf, "backup");
	dns->min_ttl_ms = (uint32_t)schema_number(map, conf, "min_ttl");
	dns->max_ttl_ms = (uint32_t)schema_number(map, conf, "max_ttl");
	if (!dns->max_ttl_ms)
		dns->max_ttl_ms = (uint32_t)schema_number(map, conf, "interval");
}

static void dns_close(struct source *source)
{
	struct source_of_dns *dns = of(source);

	let_go(dns);
	target_set_free(dns->set);
	free(dns->servers);
	free(dns->name);
	free(dns);
}

static int dns_open(const struct node *conf, const struct source_world *world,
		    struct conf_errors *errors, struct source **ret_source)
{
	struct source_of_dns *dns = calloc(1, sizeof(*dns));
	int err = -ENOMEM;

	if (!dns)
		return err;
	dns->source = (struct source){.kind = &source_dns, .conf = conf, .world = *world};
	dns->finish.run = on_finish;
	list_init(&dns->finish.link);
	read_conf(dns, conf);
	dns->name = strdup(schema_text(conf, "name"));
	if (dns->name)
		err = read_servers(node_get(conf, "servers"), &dns->servers);
	if (err) {
		dns_close(&dns->source);
		return err;
	}
	dns_name_normalise(dns->name);
	*ret_source = &dns->source;
	return 0;
}

static uint32_t dns_calls(const struct source *source, size_t expected)
{
	return 0;
}

const struct source_kind source_dns = {
	.name = "dns",
	.actions = (const struct source_action[]){{.action = NULL}},
	.open = dns_open,
	.close = dns_close,
	.fetch = dns_fetch,
	.calls_x100 = dns_calls,
};
