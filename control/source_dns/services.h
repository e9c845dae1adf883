/* SPDX-License-Identifier: Apache-2.0
 *
 * What SRV records offer (RFC 2782): hosts with ports, priorities and weights, and the addresses
 * that the hosts turn out to have. Pure: it asks nobody.
 *
 * Happy path: services_read() takes the answer, with what addresses came along in its additional
 * section; services_learn() the answer about each host that has none yet; services_offer() makes
 * targets. The lowest priority is offered, every other is backup.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/source_dns/answer.h"

struct target_set;

struct service_host {
	char *name;
	struct addr *addrs;
	size_t count;
	enum dns_type asked; /* what it is asked for just now, or was last */
	void *context;       /* of whoever asks */
};

struct service {
	size_t host;
	uint16_t port;
	uint16_t priority;
	uint16_t weight;
};

struct services {
	struct service *at;
	size_t count;
	struct service_host *hosts;
	size_t host_count;
};

/* SRV records of `owner`. A record whose target is "." says that there is no such service (RFC
 * 2782), and is no entry. 0, -ENOENT when there are no such records, or -ENOMEM. */
int services_read(const struct dns_answer *answer, const char *owner, uint32_t *ttl_s,
		  struct services *ret_services);
void services_fini(struct services *services);

/* Addresses of `type` that the answer has for this host. 0 or -ENOMEM. */
int services_learn(struct service_host *host, const struct dns_answer *answer, enum dns_type type,
		   uint32_t *ttl_s);

/* `weight` of targets where no record says one, `backup` of all. 0, -ENOMEM or -EINVAL. */
int services_offer(const struct services *services, uint32_t weight, bool backup,
		   struct target_set *set);
