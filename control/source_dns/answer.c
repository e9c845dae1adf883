/* SPDX-License-Identifier: Apache-2.0
 *
 * DNS messages. See control/source_dns/answer.h. A cursor that has been moved past the end says so
 * once, at the end of a record.
 */
#include "control/source_dns/answer.h"

#include <ares.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define HEADER   12
#define CLASS_IN 1
#define CNAMES   16 /* in a row; no resolver follows more */

struct cursor {
	const uint8_t *bytes;
	size_t size;
	size_t at;
	bool cut; /* more was wanted than there is */
};

static const uint8_t *take(struct cursor *cursor, size_t count)
{
	const uint8_t *here = cursor->bytes + cursor->at;

	if (cursor->cut || count > cursor->size - cursor->at) {
		cursor->cut = true;
		return NULL;
	}
	cursor->at += count;
	return here;
}

static uint16_t take16(struct cursor *cursor)
{
	const uint8_t *here = take(cursor, 2);

	return here ? (uint16_t)(here[0] << 8 | here[1]) : 0;
}

static uint32_t take32(struct cursor *cursor)
{
	uint32_t high = take16(cursor);

	return high << 16 | take16(cursor);
}

void dns_name_normalise(char *name)
{
	size_t length = strlen(name);

	if (length && name[length - 1] == '.')
		name[length - 1] = '\0';
	for (; *name; name++)
		*name = (char)tolower((unsigned char)*name);
}

/* The caller frees it. 0, -EBADMSG or -ENOMEM. */
static int take_name(struct cursor *cursor, char **ret_name)
{
	char *expanded = NULL;
	long length = 0;
	int err;

	if (cursor->cut || cursor->at >= cursor->size)
		return -EBADMSG;
	err = ares_expand_name(cursor->bytes + cursor->at, cursor->bytes, (int)cursor->size,
			       &expanded, &length);
	if (err)
		return err == ARES_ENOMEM ? -ENOMEM : -EBADMSG;
	take(cursor, (size_t)length);
	*ret_name = strdup(expanded);
	ares_free_string(expanded);
	if (!*ret_name)
		return -ENOMEM;
	dns_name_normalise(*ret_name);
	return 0;
}

static int take_address(struct cursor *cursor, size_t length, struct dns_record *record)
{
	bool v4 = record->type == DNS_A;
	const uint8_t *bytes = take(cursor, length);

	if (!bytes || length != (v4 ? sizeof(record->addr.v4) : sizeof(record->addr.v6)))
		return -EBADMSG;
	record->addr.family = v4 ? AF_INET : AF_INET6;
	memcpy(v4 ? (void *)&record->addr.v4 : (void *)&record->addr.v6, bytes, length);
	return 0;
}

/* 0 with the cursor anywhere within the data; what lies behind is checked by the caller. */
static int take_data(struct cursor *cursor, size_t length, struct dns_record *record)
{
	switch (record->type) {
	case DNS_A:
	case DNS_AAAA:
		return take_address(cursor, length, record);
	case DNS_SRV:
		record->priority = take16(cursor);
		record->weight = take16(cursor);
		record->port = take16(cursor);
		return take_name(cursor, &record->target);
	case DNS_CNAME:
		return take_name(cursor, &record->target);
	}
	return -EBADMSG;
}

static void record_fini(struct dns_record *record)
{
	free(record->name);
	free(record->target);
}

static bool is_used(uint16_t type, uint16_t class)
{
	return class == CLASS_IN &&
	       (type == DNS_A || type == DNS_AAAA || type == DNS_SRV || type == DNS_CNAME);
}

/* 1 with a record, 0 for one that nobody uses, or -errno. A TTL with the highest bit set counts as
 * 0 (RFC 2181 section 8). */
static int take_record(struct cursor *cursor, struct dns_record *ret_record)
{
	struct dns_record record = {0};
	int err = take_name(cursor, &record.name);
	uint16_t type = take16(cursor), class = take16(cursor);
	uint32_t ttl = take32(cursor);
	uint16_t length = take16(cursor);
	size_t end = cursor->at + length;

	record.type = (enum dns_type)type;
	record.ttl_s = ttl > INT32_MAX ? 0 : ttl;
	if (!err && (cursor->cut || end > cursor->size))
		err = -EBADMSG;
	if (!err && is_used(type, class))
		err = take_data(cursor, length, &record);
	if (!err && (cursor->cut || cursor->at > end))
		err = -EBADMSG;
	cursor->at = end;
	if (err || !is_used(type, class)) {
		record_fini(&record);
		return err;
	}
	*ret_record = record;
	return 1;
}

static int take_section(struct cursor *cursor, unsigned count, struct dns_answer *answer)
{
	for (unsigned i = 0; i < count; i++) {
		struct dns_record *more =
			reallocarray(answer->records, answer->count + 1, sizeof(*more));
		int got = -ENOMEM;

		if (more) {
			answer->records = more;
			got = take_record(cursor, &more[answer->count]);
		}
		if (got < 0)
			return got;
		answer->count += (size_t)got;
	}
	return 0;
}

static int skip_questions(struct cursor *cursor, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char *name = NULL;
		int err = take_name(cursor, &name);

		free(name);
		if (err)
			return err;
		take(cursor, 4);
	}
	return 0;
}

/* What the authority section has is read past. */
static int take_sections(struct cursor *cursor, struct dns_answer *answer)
{
	unsigned questions, answers, authorities, additionals;
	struct dns_answer unused = {0};
	int err;

	take(cursor, 4);
	questions = take16(cursor);
	answers = take16(cursor);
	authorities = take16(cursor);
	additionals = take16(cursor);
	if (cursor->cut)
		return -EBADMSG;
	err = skip_questions(cursor, questions);
	if (!err)
		err = take_section(cursor, answers, answer);
	if (!err)
		err = take_section(cursor, authorities, &unused);
	if (!err)
		err = take_section(cursor, additionals, answer);
	dns_answer_fini(&unused);
	return err;
}

int dns_answer_parse(const uint8_t *bytes, size_t size, struct dns_answer *ret_answer)
{
	struct cursor cursor = {.bytes = bytes, .size = size};
	struct dns_answer answer = {0};
	int err = size > UINT16_MAX ? -EBADMSG : take_sections(&cursor, &answer);

	if (err) {
		dns_answer_fini(&answer);
		return err;
	}
	*ret_answer = answer;
	return 0;
}

void dns_answer_fini(struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++)
		record_fini(&answer->records[i]);
	free(answer->records);
	*answer = (struct dns_answer){0};
}

static const struct dns_record *find_cname(const struct dns_answer *answer, const char *name)
{
	for (size_t i = 0; i < answer->count; i++) {
		const struct dns_record *record = &answer->records[i];

		if (record->type == DNS_CNAME && strcmp(record->name, name) == 0)
			return record;
	}
	return NULL;
}

const char *dns_answer_owner(const struct dns_answer *answer, const char *name, uint32_t *ttl_s)
{
	for (unsigned i = 0; i < CNAMES; i++) {
		const struct dns_record *cname = find_cname(answer, name);

		if (!cname)
			break;
		name = cname->target;
		if (cname->ttl_s < *ttl_s)
			*ttl_s = cname->ttl_s;
	}
	return name;
}

const struct dns_record *dns_answer_next(const struct dns_answer *answer, const char *owner,
					 enum dns_type type, size_t *at, uint32_t *ttl_s)
{
	while (*at < answer->count) {
		const struct dns_record *record = &answer->records[(*at)++];

		if (record->type != type || strcmp(record->name, owner) != 0)
			continue;
		if (record->ttl_s < *ttl_s)
			*ttl_s = record->ttl_s;
		return record;
	}
	return NULL;
}
