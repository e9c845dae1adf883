/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns an operator's word on a target: its weight, drain and maintenance, its removal, the end of
 * its sessions. Happy path: one target fits the name, the registry takes the word, the answer waits
 * until workers run by it and then describes the target.
 *
 * Failure modes: the body does not fit (400), nobody or several answer to the name (404, 409), the
 * target is another source's and would come back (409), the state directory cannot be written (500:
 * the word holds, but only until exit).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proxy/admin/describe.h"
#include "proxy/admin/desk.h"
#include "proxy/admin/handlers.h"
#include "proxy/base/clock.h"
#include "proxy/base/http/body.h"
#include "proxy/base/jot.h"
#include "proxy/registry.h"

#define FOR_MAX_S    (366 * 24 * 3600)
#define SPREAD_MAX_S 86400

struct patch_body {
	int64_t weight; /* -1: null */
	const char *override;
	uint64_t until_wall_us;
	int64_t for_s;
	const char *why;
};

enum { PATCH_WEIGHT, PATCH_OVERRIDE, PATCH_UNTIL, PATCH_FOR, PATCH_WHY, PATCH_KEYS };

static const struct body_key patch_keys[PATCH_KEYS] = {
	[PATCH_WEIGHT] = {"weight", BODY_NUMBER, .nullable = true, .min = 0, .max = 1000,
			  .at = offsetof(struct patch_body, weight)},
	[PATCH_OVERRIDE] = {"override", BODY_TEXT, .min = 1, .max = 16,
			    .at = offsetof(struct patch_body, override)},
	[PATCH_UNTIL] = {"until", BODY_TIME, .nullable = true,
			 .at = offsetof(struct patch_body, until_wall_us)},
	[PATCH_FOR] = {"for_s", BODY_NUMBER, .nullable = true, .min = 1, .max = FOR_MAX_S,
		       .at = offsetof(struct patch_body, for_s)},
	[PATCH_WHY] = {"why", BODY_TEXT, .nullable = true, .max = 127,
		       .at = offsetof(struct patch_body, why)},
};

static bool read_kind(struct request *request, const char *text, enum override_kind *ret_kind)
{
	if (!strcmp(text, "none"))
		*ret_kind = OVERRIDE_NONE;
	else if (!strcmp(text, "drain"))
		*ret_kind = OVERRIDE_DRAIN;
	else if (!strcmp(text, "maintenance"))
		*ret_kind = OVERRIDE_MAINTENANCE;
	else {
		request_refuse(request, 400, "override must be none, drain or maintenance");
		return false;
	}
	return true;
}

/* Whether it only takes back: then what is left of the word ends when it would have. */
static bool only_lifts(const struct patch_body *body, uint32_t given)
{
	const uint32_t ends = 1u << PATCH_UNTIL | 1u << PATCH_FOR;

	return !(given & ends) && body->weight < 0 &&
	       (!body->override || !strcmp(body->override, "none"));
}

/* When the word ends: 0 is never. */
static bool read_end(struct request *request, const struct patch_body *body,
		     uint64_t *ret_until_wall_us)
{
	uint64_t now_us = clock_wall_us();

	if (body->until_wall_us && body->for_s) {
		request_refuse(request, 400, "until and for_s exclude each other");
		return false;
	}
	if (body->until_wall_us && body->until_wall_us <= now_us) {
		request_refuse(request, 400, "until must be in the future");
		return false;
	}
	*ret_until_wall_us =
		body->for_s ? now_us + (uint64_t)body->for_s * US_PER_SEC : body->until_wall_us;
	return true;
}

/* The new word: what the body does not mention of weight and kind stays as it was; who, why and
 * until when are those of the last one who spoke, but taking back does not prolong the rest. */
static bool read_override(struct request *request, const struct override *before,
			  struct override *ret_override)
{
	struct patch_body body = {.weight = -1};
	struct override word = {.weight = -1};
	uint32_t given;

	if (before->since_wall_us)
		word = (struct override){.kind = before->kind, .weight = before->weight};
	if (!body_read(request, request->body, "", patch_keys, PATCH_KEYS, &body, &given))
		return false;
	if (!(given & (1u << PATCH_WEIGHT | 1u << PATCH_OVERRIDE))) {
		request_refuse(request, 400, "nothing to change: weight or override is needed");
		return false;
	}
	if (body.override && !read_kind(request, body.override, &word.kind))
		return false;
	if (given & 1u << PATCH_WEIGHT)
		word.weight = (int32_t)body.weight;
	if (!read_end(request, &body, &word.until_wall_us))
		return false;
	if (only_lifts(&body, given))
		word.until_wall_us = before->until_wall_us;
	request_who(request, word.who, sizeof(word.who));
	snprintf(word.why, sizeof(word.why), "%s", body.why ? body.why : "");
	if (word.kind != OVERRIDE_NONE || word.weight >= 0)
		word.since_wall_us = clock_wall_us();
	*ret_override = word;
	return true;
}

static struct target_record *named_target(struct desk *desk, struct request *request)
{
	return find_target(desk, request, request_argument(request, "pool"), request->segments[2]);
}

void patch_target(struct desk *desk, struct request *request)
{
	struct target_record *record = named_target(desk, request);
	struct override word;
	int err;

	if (!record)
		return;
	if (!request->body) {
		request_refuse(request, 400, "the body is missing");
		return;
	}
	if (!read_override(request, &record->override, &word))
		return;
	err = registry_override(desk->ops.registry, record, &word);
	if (!err)
		request_reply(request, 200, describe_target(desk, record));
	else if (err == -ENOMEM)
		request_refuse(request, 500, "not changed: %s", strerror(-err));
	else
		request_refuse(request, 500,
			       "in force, but only until exit: the state directory cannot be "
			       "written: %s",
			       strerror(-err));
	if (err != -ENOMEM)
		desk_publish(desk, request, record);
}

void delete_target(struct desk *desk, struct request *request)
{
	struct target_record *record = named_target(desk, request);
	int err;

	if (!record)
		return;
	err = registry_remove(desk->ops.registry, record);
	if (err == -EPERM || err == -ENOENT)
		request_refuse(request, 409,
			       "%s is no target of the operator's: source \"%s\" would bring it "
			       "back; drain it instead",
			       request->segments[2], record->source ? record->source : "");
	else if (err)
		request_refuse(request, 500, "not removed: %s", strerror(-err));
	if (err)
		return;
	request_reply(request, 200, describe_target(desk, record));
	desk_publish(desk, request, record);
}

void delete_target_sessions(struct desk *desk, struct request *request)
{
	const struct target_record *record = named_target(desk, request);
	uint64_t spread_s, closing = 0;
	bool reset;
	int err;

	if (!record || !request_flag(request, "rst", &reset) ||
	    !request_number(request, "spread_s", 0, SPREAD_MAX_S, &spread_s))
		return;
	err = desk->ops.close_target(desk->ops.context, record->target, (uint32_t)(spread_s * 1000),
				     reset, &closing);
	if (err)
		request_refuse(request, 503, "the workers did not answer: %s", strerror(-err));
	else
		request_reply(request, 202, JOT({"closing", json_integer((json_int_t)closing)}));
}
