/* SPDX-License-Identifier: Apache-2.0
 *
 * SRV records to targets. See control/source_dns/services.h.
 *
 * A target is told from another by its host's name as well as by its address, so a host that takes
 * over an address is a new target.
 */
#include "control/source_dns/services.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/target_set.h"
#include "proxy/base/conf/text.h"

static int find_or_add_host(struct services *services, const char *name, size_t *ret_index)
{
	struct service_host *hosts;

	for (size_t i = 0; i < services->host_count; i++) {
		if (strcmp(services->hosts[i].name, name) == 0) {
			*ret_index = i;
			return 0;
		}
	}
	hosts = reallocarray(services->hosts, services->host_count + 1, sizeof(*hosts));
	if (!hosts)
		return -ENOMEM;
	services->hosts = hosts;
	hosts[services->host_count] = (struct service_host){.name = strdup(name)};
	if (!hosts[services->host_count].name)
		return -ENOMEM;
	*ret_index = services->host_count++;
	return 0;
}

static int add_service(struct services *services, const struct dns_record *record)
{
	struct service service = {0, record->port, record->priority, record->weight};
	struct service *at;
	int err;

	if (record->target[0] == '\0')
		return 0;
	at = reallocarray(services->at, services->count + 1, sizeof(*at));
	if (!at)
		return -ENOMEM;
	services->at = at;
	err = find_or_add_host(services, record->target, &service.host);
	if (!err)
		at[services->count++] = service;
	return err;
}

/* IPv4 if the host has any: one host should not count twice for having both. */
static int learn_additional(struct services *services, const struct dns_answer *answer,
			    uint32_t *ttl_s)
{
	int err = 0;

	for (size_t i = 0; !err && i < services->host_count; i++) {
		struct service_host *host = &services->hosts[i];

		err = services_learn(host, answer, DNS_A, ttl_s);
		if (!err && !host->count)
			err = services_learn(host, answer, DNS_AAAA, ttl_s);
	}
	return err;
}

int services_read(const struct dns_answer *answer, const char *owner, uint32_t *ttl_s,
		  struct services *ret_services)
{
	struct services services = {0};
	const struct dns_record *record;
	size_t at = 0;
	bool any = false;
	int err = 0;

	while (!err && (record = dns_answer_next(answer, owner, DNS_SRV, &at, ttl_s))) {
		err = add_service(&services, record);
		any = true;
	}
	if (!err && !any)
		err = -ENOENT;
	if (!err)
		err = learn_additional(&services, answer, ttl_s);
	if (err) {
		services_fini(&services);
		return err;
	}
	*ret_services = services;
	return 0;
}

void services_fini(struct services *services)
{
	for (size_t i = 0; i < services->host_count; i++) {
		free(services->hosts[i].name);
		free(services->hosts[i].addrs);
	}
	free(services->hosts);
	free(services->at);
	*services = (struct services){0};
}

int services_learn(struct service_host *host, const struct dns_answer *answer, enum dns_type type,
		   uint32_t *ttl_s)
{
	const char *owner = dns_answer_owner(answer, host->name, ttl_s);
	const struct dns_record *record;
	size_t at = 0;

	while ((record = dns_answer_next(answer, owner, type, &at, ttl_s))) {
		struct addr *addrs = reallocarray(host->addrs, host->count + 1, sizeof(*addrs));

		if (!addrs)
			return -ENOMEM;
		host->addrs = addrs;
		addrs[host->count++] = record->addr;
	}
	return 0;
}

/* Of those with this priority. */
static uint32_t greatest_weight(const struct services *services, uint16_t priority)
{
	uint32_t greatest = 0;

	for (size_t i = 0; i < services->count; i++)
		if (services->at[i].priority == priority && services->at[i].weight > greatest)
			greatest = services->at[i].weight;
	return greatest;
}

/* All 0: no selection is wanted, so all are the same. Beside others 0 means a very small chance,
 * where our 0 means none. A host with several addresses gets its share once. */
static uint32_t weigh(const struct services *services, const struct service *service,
		      uint32_t otherwise)
{
	uint32_t greatest = greatest_weight(services, service->priority);
	uint32_t weight = service->weight;

	if (!greatest)
		return otherwise;
	if (greatest > FOUND_WEIGHT_MAX)
		weight = weight * FOUND_WEIGHT_MAX / greatest;
	weight /= (uint32_t)services->hosts[service->host].count;
	return weight ? weight : 1;
}

static uint16_t lowest_priority(const struct services *services)
{
	uint16_t lowest = UINT16_MAX;

	for (size_t i = 0; i < services->count; i++)
		if (services->at[i].priority < lowest)
			lowest = services->at[i].priority;
	return lowest;
}

static int offer(const struct services *services, const struct service *service,
		 struct found_target *target, struct target_set *set)
{
	const struct service_host *host = &services->hosts[service->host];
	int err = 0;

	target->id = text_is_clean(host->name) && !strchr(host->name, ' ') ? host->name : NULL;
	for (size_t i = 0; !err && i < host->count; i++) {
		struct addr addr = host->addrs[i];
		char text[ADDR_TEXT];

		addr.port = service->port;
		target->address = addr_format(&addr, text);
		err = target_set_add(set, target);
	}
	return err;
}

int services_offer(const struct services *services, uint32_t weight, bool backup,
		   struct target_set *set)
{
	uint16_t lowest = lowest_priority(services);
	int err = 0;

	for (size_t i = 0; !err && i < services->count; i++) {
		const struct service *service = &services->at[i];
		struct found_target target = {
			.weight = weigh(services, service, weight),
			.backup = backup || service->priority != lowest,
		};

		err = offer(services, service, &target, set);
	}
	return err;
}
