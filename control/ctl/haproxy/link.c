/* SPDX-License-Identifier: Apache-2.0
 *
 * Who sends clients to whom. HAProxy has a client's timeouts at its frontend, Sluice has all of a
 * session's at the pool; so a backend takes over the shortest of its frontends.
 */
#include <string.h>

#include "control/ctl/haproxy/convert.h"
#include "control/ctl/haproxy/quantity.h"

#define SEVERAL UINT32_MAX

bool hap_is_carried(const struct hap_section *section)
{
	return section->kind >= HAP_FRONTEND && section->kind <= HAP_LISTEN && !section->disabled &&
	       hap_is_tcp(section);
}

static struct hap_section *find_backend(const struct hap *hap, const char *name)
{
	for (size_t i = 0; i < hap->section_count; i++) {
		struct hap_section *section = hap->sections[i];

		if (hap_is_carried(section) && section->kind != HAP_FRONTEND &&
		    strcmp(section->name, name) == 0)
			return section;
	}
	return NULL;
}

static void find_port(struct hap_section *backend, const struct hap_bind *bind)
{
	uint64_t port;

	if (bind->address.is_unix)
		return;
	if (hap_number(bind->address.ports, &port) < 0 || port == 0 || port > UINT16_MAX)
		port = SEVERAL;
	if (!backend->client_port)
		backend->client_port = (uint32_t)port;
	else if (backend->client_port != port)
		backend->client_port = SEVERAL;
}

/* 0 stands for "none". */
static void take_shorter(uint64_t *ms, const struct hap_value *timeout)
{
	if (timeout->line && timeout->number && (!*ms || timeout->number < *ms))
		*ms = timeout->number;
}

static void link_section(struct hap *hap, struct hap_section *section)
{
	struct hap_section *backend = section;

	if (section->default_backend.line && !section->server_count)
		backend = find_backend(hap, section->default_backend.text);
	else if (section->kind == HAP_FRONTEND)
		backend = NULL;
	section->backend = backend;
	if (!backend)
		return;
	backend->has_client = true;
	take_shorter(&backend->client_ms, &section->timeouts[HAP_CLIENT]);
	take_shorter(&backend->client_fin_ms, &section->timeouts[HAP_CLIENT_FIN]);
	for (size_t i = 0; i < section->bind_count; i++)
		find_port(backend, &section->binds[i]);
}

void hap_link(struct hap *hap)
{
	for (size_t i = 0; i < hap->section_count; i++) {
		struct hap_section *section = hap->sections[i];

		if (hap_is_carried(section) && section->kind != HAP_BACKEND)
			link_section(hap, section);
	}
	for (size_t i = 0; i < hap->section_count; i++) {
		struct hap_section *section = hap->sections[i];

		if (!section->has_client) {
			take_shorter(&section->client_ms, &section->timeouts[HAP_CLIENT]);
			take_shorter(&section->client_fin_ms, &section->timeouts[HAP_CLIENT_FIN]);
		}
		if (section->client_port == SEVERAL)
			section->client_port = 0;
	}
}
