/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a DNS message: records come out whole or not at all, and services made of them are
 * targets that the admin API would take.
 */
#include <errno.h>
#include <stdint.h>

#include "control/source_dns/services.h"
#include "control/target_set.h"
#include "proxy/base/panic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void offer(const struct dns_answer *answer, const char *name)
{
	struct services services = {0};
	struct target_set *set = target_set_new();
	uint32_t ttl_s = UINT32_MAX;
	const char *owner = dns_answer_owner(answer, name, &ttl_s);

	if (services_read(answer, owner, &ttl_s, &services) == 0) {
		bool whole = true;

		for (size_t i = 0; i < services.host_count; i++)
			whole &= services.hosts[i].count > 0;
		if (whole)
			services_offer(&services, FOUND_WEIGHT, false, set);
	}
	services_fini(&services);
	target_set_free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_answer answer = {0};
	int err = dns_answer_parse(data, size, &answer);

	must(err == 0 || err == -EBADMSG);
	for (size_t i = 0; i < answer.count && i < 16; i++) {
		must(answer.records[i].ttl_s <= INT32_MAX);
		offer(&answer, answer.records[i].name);
	}
	dns_answer_fini(&answer);
	return 0;
}
