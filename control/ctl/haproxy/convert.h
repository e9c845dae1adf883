/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the conversion share: from sections to the text of sluice.yaml. Happy path:
 * hap_link(), then hap_write_pool() for each section that has servers, hap_write_listeners() for
 * each that has clients, and hap_write_root(). Every value is held against the schema's bounds, so
 * that the result is one that Sluice accepts; what does not fit is noted.
 */
#pragma once

#include "control/ctl/haproxy/model.h"
#include "control/ctl/haproxy/names.h"
#include "control/ctl/haproxy/yaml.h"
#include "proxy/base/conf/endpoint.h"
#include "proxy/base/conf/schema.h"

struct hap_target {
	const struct hap_server *server;
	const char *address; /* as Sluice writes it */
	const char *id;      /* or NULL */
	struct endpoint endpoint;
};

struct hap_pool {
	struct hap *hap;
	const struct hap_section *section;
	struct hap_target *targets;
	size_t count;
	struct hap_yaml *yaml;
};

struct hap_listeners {
	struct hap *hap;
	struct hap_names names;
	struct hap_yaml *yaml;
	struct hap_claim *claims; /* the addresses that are taken */
	size_t claim_count;
};

/* Whether the section is one of mode tcp that is in force. */
bool hap_is_carried(const struct hap_section *section);

/* Find each frontend's backend, and give each backend its clients' timeouts and port. */
void hap_link(struct hap *hap);

/* The servers that Sluice can use as targets; the others are noted. */
void hap_pool_collect(struct hap_pool *pool);

/* What `offset` of the servers have in common: that of the first one, and a note for each that
 * differs. With `checked`, of those that are checked. */
struct hap_value hap_pool_common(const struct hap_pool *pool, size_t offset, const char *name,
				 bool checked);

/* False, and nothing written, if it has no target. */
bool hap_write_pool(struct hap *hap, struct hap_section *section, struct hap_names *names,
		    struct hap_yaml *yaml);
void hap_write_health(const struct hap_pool *pool);
bool hap_pool_is_checked(const struct hap_pool *pool);

/* Those of one frontend or listen; returns how many. */
size_t hap_write_listeners(struct hap_listeners *listeners, struct hap_section *section);

/* What stands in front of the lists. */
void hap_write_root(struct hap *hap, struct hap_yaml *yaml);

/* `number` as `key` of `map` allows it, with a note about `line` if it is another then. */
uint64_t hap_fit(struct hap *hap, const struct schema_map *map, const char *key, uint64_t number,
		 const struct hap_line *line);

/* Whether `key` of `map` allows it. */
bool hap_fits_text(const struct schema_map *map, const char *key, const char *text);

/* `tcp:` of a listener or pool, if there is anything to say. A value without a line is not given.
 */
struct hap_tcp {
	const struct hap_value *probes; /* HAP_PROBES of them */
	struct hap_value user_timeout;
	struct hap_value mss;
	bool fast_open;
};
void hap_write_tcp(struct hap *hap, struct hap_yaml *yaml, const struct hap_tcp *tcp);
