/* SPDX-License-Identifier: Apache-2.0
 *
 * A DNS message (RFC 1035 section 4) to the records of it that sources use: A, AAAA, CNAME and SRV,
 * each with its TTL, which c-ares gives for no SRV record. Pure: bytes in, records out.
 *
 * Failure modes: a message that is cut or whose names are no names is refused as a whole; records
 * of other types and classes are passed over.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/addr.h"

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_AAAA = 28, DNS_SRV = 33 };

struct dns_record {
	char *name; /* lower case, without a final dot */
	enum dns_type type;
	uint32_t ttl_s;
	struct addr addr; /* of A and AAAA; port 0 */
	char *target;     /* of CNAME and SRV, like `name`; "" is the root */
	uint16_t priority;
	uint16_t weight;
	uint16_t port;
};

struct dns_answer {
	struct dns_record *records;
	size_t count;
};

/* 0, -EBADMSG or -ENOMEM. */
int dns_answer_parse(const uint8_t *bytes, size_t size, struct dns_answer *ret_answer);
void dns_answer_fini(struct dns_answer *answer);

/* Whose records answer for `name`, whatever CNAMEs lead there; `*ttl_s` is lowered to the least TTL
 * on the way. Borrowed from either. */
const char *dns_answer_owner(const struct dns_answer *answer, const char *name, uint32_t *ttl_s);

/* The next record of `type` whose name is `owner`, from *at on; NULL behind the last. *at begins as
 * 0, and `*ttl_s` is lowered to the record's TTL. */
const struct dns_record *dns_answer_next(const struct dns_answer *answer, const char *owner,
					 enum dns_type type, size_t *at, uint32_t *ttl_s);

/* Cuts a final dot off and writes it in lower case, in place: DNS names are compared so. */
void dns_name_normalise(char *name);
