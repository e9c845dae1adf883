/* SPDX-License-Identifier: Apache-2.0
 *
 * The listeners of a frontend or listen: one for each address that it binds.
 *
 * Failure modes, each a note: an address that Sluice cannot bind, or that overlaps with one that is
 * taken; a frontend whose pool is none.
 */
#include <string.h>

#include "control/ctl/haproxy/convert.h"
#include "control/ctl/haproxy/parse.h"
#include "proxy/base/conf/keys.h"
#include "proxy/base/conf/text.h"

struct hap_claim {
	struct endpoint endpoint;
	bool v6_only;
	const struct hap_bind *bind;
	const char *pool;
};

/* What HAProxy takes for all addresses is all of IPv4 alone. */
static const char *address_of(struct hap_arena *arena, const struct hap_address *address)
{
	const char *host = address->host;

	if (address->is_unix)
		return hap_format(arena, "unix:%s", host);
	if (!*host)
		host = address->is_v6 ? "[::]" : "0.0.0.0";
	return hap_format(arena, "%s:%s", host, address->ports);
}

static const struct hap_claim *find_overlap(const struct hap_listeners *listeners,
					    const struct hap_claim *claim)
{
	for (size_t i = 0; i < listeners->claim_count; i++)
		if (endpoint_overlaps(&listeners->claims[i].endpoint, listeners->claims[i].v6_only,
				      &claim->endpoint, claim->v6_only))
			return &listeners->claims[i];
	return NULL;
}

/* `*:80` and `:::80` are both bound by HAProxy in that order, on kernels that let it. */
static bool make_room(const struct hap_listeners *listeners, struct hap_claim *claim)
{
	const struct hap_claim *other = find_overlap(listeners, claim);

	if (other && claim->endpoint.addr.family == AF_INET6 && !claim->v6_only) {
		claim->v6_only = true;
		if (!find_overlap(listeners, claim)) {
			hap_note(listeners->hap, claim->bind->line, HAP_NOTE,
				 "v6_only, as IPv4 is bound by line %u", other->bind->line->number);
			return true;
		}
	}
	if (other)
		hap_note(listeners->hap, claim->bind->line,
			 other->pool == claim->pool ? HAP_NOTE : HAP_LOST,
			 "left out: it overlaps with line %u", other->bind->line->number);
	return !other;
}

static bool claim_address(struct hap_listeners *listeners, struct hap_claim *claim,
			  const char *text)
{
	const char *why = "is not plain text";

	if (!text_is_clean(text) || endpoint_parse_bind(text, &claim->endpoint, &why) < 0) {
		hap_note(listeners->hap, claim->bind->line, HAP_LOST, "the address \"%s\" %s", text,
			 why);
		return false;
	}
	claim->v6_only = claim->bind->v6_only && claim->endpoint.addr.family == AF_INET6;
	if (!make_room(listeners, claim))
		return false;
	listeners->claims = hap_grow(&listeners->hap->arena, listeners->claims,
				     listeners->claim_count, sizeof(*listeners->claims));
	listeners->claims[listeners->claim_count++] = *claim;
	return true;
}

static void write_trust(struct hap_yaml *yaml, const char *blocks)
{
	char block[64];

	hap_yaml_open(yaml, "trusted");
	if (!*blocks)
		blocks = "0.0.0.0/0 ::/0";
	for (; *blocks; blocks += strspn(blocks, " ")) {
		size_t len = strcspn(blocks, " ");

		snprintf(block, sizeof(block), "%.*s", (int)len, blocks);
		hap_yaml_entry(yaml, block);
		blocks += len;
	}
	hap_yaml_close(yaml);
}

static void write_proxy(struct hap_listeners *listeners, const struct hap_section *section,
			const struct hap_bind *bind)
{
	const char *blocks = "";

	if (!bind->accept_proxy && !section->expect_proxy.line)
		return;
	if (bind->address.is_unix) {
		hap_note(listeners->hap, bind->line, HAP_LOST,
			 "Sluice reads no PROXY header on a Unix socket");
		return;
	}
	if (!bind->accept_proxy)
		blocks = section->expect_proxy.text;
	if (!*blocks)
		hap_note(listeners->hap, bind->line, HAP_NOTE,
			 "whoever connects is believed, as in HAProxy; narrow `trusted` to your "
			 "balancers");
	hap_yaml_text(listeners->yaml, "proxy_protocol", "required");
	write_trust(listeners->yaml, blocks);
}

static void write_limit(struct hap_listeners *listeners, const struct hap_section *section,
			const struct hap_bind *bind)
{
	const struct hap_value *limit = bind->maxconn.line ? &bind->maxconn : &section->maxconn;

	if (!limit->number)
		return;
	if (limit == &section->maxconn && section->bind_count > 1)
		hap_note(listeners->hap, section->line, HAP_NOTE,
			 "each of its listeners has the limit of maxconn for itself");
	hap_yaml_number(listeners->yaml, "max_connections",
			hap_fit(listeners->hap, schema_listener.map, "max_connections",
				limit->number, limit->line));
}

static void write_unix(struct hap_listeners *listeners, const struct hap_bind *bind)
{
	if (bind->mode && hap_fits_text(schema_listener.map, "mode", bind->mode))
		hap_yaml_text(listeners->yaml, "mode", bind->mode);
	else if (bind->mode)
		hap_note(listeners->hap, bind->line, HAP_LOST, "\"mode\": that is none");
}

static const char *name_of(struct hap_listeners *listeners, const struct hap_section *section,
			   const struct hap_bind *bind)
{
	struct hap *hap = listeners->hap;
	const char *wanted = section->name;

	if (bind->name)
		wanted = hap_format(&hap->arena, "%s-%s", section->name, bind->name);
	const char *name = hap_name(&hap->arena, &listeners->names, wanted);

	if (strcmp(name, wanted) != 0)
		hap_note(hap, bind->line, HAP_NOTE, "the listener is called \"%s\"", name);
	return name;
}

static void write_socket_options(const struct hap_listeners *listeners,
				 const struct hap_section *section, const struct hap_bind *bind)
{
	struct hap_tcp tcp = {
		.probes = section->client_probes,
		.user_timeout = bind->user_timeout,
		.mss = bind->mss,
		.fast_open = bind->fast_open,
	};

	hap_write_tcp(listeners->hap, listeners->yaml, &tcp);
}

static bool write_listener(struct hap_listeners *listeners, const struct hap_section *section,
			   const struct hap_bind *bind)
{
	struct hap_yaml *yaml = listeners->yaml;
	struct hap_claim claim = {.bind = bind, .pool = section->backend->pool};
	const char *text = address_of(&listeners->hap->arena, &bind->address);

	if (!claim_address(listeners, &claim, text))
		return false;
	hap_yaml_item(yaml);
	hap_yaml_text(yaml, "name", name_of(listeners, section, bind));
	hap_yaml_text(yaml, "bind", text);
	hap_yaml_text(yaml, "pool", claim.pool);
	if (claim.v6_only)
		hap_yaml_text(yaml, "v6_only", "true");
	write_limit(listeners, section, bind);
	write_proxy(listeners, section, bind);
	if (bind->address.is_unix)
		write_unix(listeners, bind);
	else
		write_socket_options(listeners, section, bind);
	hap_yaml_item_end(yaml);
	return true;
}

size_t hap_write_listeners(struct hap_listeners *listeners, struct hap_section *section)
{
	size_t written = 0;

	if (!section->backend || !section->backend->pool) {
		hap_note(listeners->hap, section->line, HAP_LOST,
			 "left out: it has no default_backend that is carried");
		return 0;
	}
	for (size_t i = 0; i < section->bind_count; i++)
		written += write_listener(listeners, section, &section->binds[i]);
	if (!section->bind_count)
		hap_note(listeners->hap, section->line, HAP_LOST, "left out: it binds no address");
	return written;
}
