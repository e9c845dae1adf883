/* SPDX-License-Identifier: Apache-2.0
 *
 * Last-known-good files as text. Happy path: what was encoded decodes to the same set. Failure
 * modes: a byte that was lost, added or changed fails the checksum; what passes it and still makes
 * no sense was written by something else, and is believed as little.
 */
#include "control/lastgood_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/digest.h"
#include "proxy/base/jot.h"

#define HEAD      "sluice last-good 1\nsha256 "
#define HEAD_SIZE (sizeof(HEAD) - 1)
#define BODY_AT   (HEAD_SIZE + DIGEST_TEXT - 1 + 1) /* behind the digest and its line break */

static void digest_of(const char *body, size_t size, char *ret_text)
{
	struct digest digest;

	digest_begin(&digest);
	digest_bytes(&digest, body, size);
	digest_end(&digest, ret_text, DIGEST_TEXT);
}

char *lastgood_wrap(const char *body)
{
	char digest[DIGEST_TEXT];
	char *text;

	digest_of(body, strlen(body), digest);
	return asprintf(&text, HEAD "%s\n%s", digest, body) < 0 ? NULL : text;
}

char *lastgood_encode(const struct lastgood_owner *owner, const struct target_set *set,
		      uint64_t wall_us)
{
	json_t *root =
		JOT({"pool", jot_text(owner->pool)}, {"source", jot_text(owner->source)},
		    {"key", jot_text(owner->key)}, {"saved_us", json_integer((json_int_t)wall_us)},
		    {"targets", target_set_to_json(set)});
	char *body = jot_dump(root);
	char *text = body ? lastgood_wrap(body) : NULL;

	free(body);
	json_decref(root);
	return text;
}

/* NULL when the two lines in front are not what they have to be. */
static const char *body_of(const char *text, size_t size)
{
	char digest[DIGEST_TEXT];

	if (size < BODY_AT || memcmp(text, HEAD, HEAD_SIZE) || text[BODY_AT - 1] != '\n')
		return NULL;
	digest_of(text + BODY_AT, size - BODY_AT, digest);
	return memcmp(text + HEAD_SIZE, digest, DIGEST_TEXT - 1) ? NULL : text + BODY_AT;
}

static bool says(const json_t *root, const char *key, const char *value)
{
	const char *text = json_string_value(json_object_get(root, key));

	return text && !strcmp(text, value);
}

static int decode_body(const json_t *root, const struct lastgood_owner *owner,
		       struct target_set **ret_set, uint64_t *ret_saved_wall_us)
{
	const json_t *saved = json_object_get(root, "saved_us");
	char problem[200];
	int err;

	if (!json_is_integer(saved) || json_integer_value(saved) <= 0)
		return -EBADMSG;
	if (!says(root, "key", owner->key) || !says(root, "pool", owner->pool) ||
	    !says(root, "source", owner->source))
		return -EINVAL;
	err = target_set_from_json(json_object_get(root, "targets"), ret_set, problem,
				   sizeof(problem));
	if (err)
		return err == -EINVAL ? -EBADMSG : err;
	*ret_saved_wall_us = (uint64_t)json_integer_value(saved);
	return 0;
}

int lastgood_decode(const char *text, size_t size, const struct lastgood_owner *owner,
		    struct target_set **ret_set, uint64_t *ret_saved_wall_us)
{
	const char *body = body_of(text, size);
	json_t *root;
	int err;

	if (!body)
		return -EBADMSG;
	root = json_loadb(body, size - (size_t)(body - text), JSON_REJECT_DUPLICATES, NULL);
	err = root ? decode_body(root, owner, ret_set, ret_saved_wall_us) : -EBADMSG;
	json_decref(root);
	return err;
}
