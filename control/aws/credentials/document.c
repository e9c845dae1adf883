/* SPDX-License-Identifier: Apache-2.0
 *
 * Credentials as values, and the JSON document they come in.
 *
 * Happy path: the document is parsed, its members are copied, and all memory that held them is
 * wiped. Jansson wipes nothing by itself, so it borrows another free() for as long as it handles
 * secrets; only the loop's thread uses it. Failure modes: no JSON, a member that is missing or
 * could not stand in a header, an end that is no time; none of the document's words goes into the
 * error.
 */
#include "control/aws/credentials/document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/secret.h"
#include "control/aws/wipe.h"
#include "proxy/base/timestamp.h"

#define TEXT_MOST 16384 /* of one member; session tokens have no documented bound */

void credentials_fini(struct credentials *credentials)
{
	secret_free(credentials->key_id);
	secret_free(credentials->secret);
	secret_free(credentials->token);
	*credentials = (struct credentials){.key_id = NULL};
}

int credentials_copy(const struct credentials *credentials, struct credentials *ret_copy)
{
	struct credentials copy = *credentials;

	copy.key_id = secret_copy(credentials->key_id);
	copy.secret = secret_copy(credentials->secret);
	copy.token = secret_copy(credentials->token);
	if (!copy.key_id || !copy.secret || (credentials->token && !copy.token)) {
		credentials_fini(&copy);
		return -ENOMEM;
	}
	*ret_copy = copy;
	return 0;
}

static bool is_clean(const char *text)
{
	size_t size = 0;

	for (; text[size]; size++)
		if (text[size] <= ' ' || text[size] >= 127 || size >= TEXT_MOST)
			return false;
	return size;
}

bool credentials_are_clean(const struct credentials *credentials)
{
	return is_clean(credentials->key_id) && !strchr(credentials->key_id, '/') &&
	       is_clean(credentials->secret) &&
	       (!credentials->token || is_clean(credentials->token));
}

json_t *secret_json(const char *text, size_t size)
{
	json_malloc_t usual_malloc;
	json_free_t usual_free;
	json_t *root;

	json_get_alloc_funcs(&usual_malloc, &usual_free);
	json_set_alloc_funcs(usual_malloc, wipe_free);
	root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	json_set_alloc_funcs(usual_malloc, usual_free);
	return root;
}

void secret_json_free(json_t *root)
{
	json_malloc_t usual_malloc;
	json_free_t usual_free;

	json_get_alloc_funcs(&usual_malloc, &usual_free);
	json_set_alloc_funcs(usual_malloc, wipe_free);
	json_decref(root);
	json_set_alloc_funcs(usual_malloc, usual_free);
}

static const char *member(const json_t *root, const char *key)
{
	const char *text = json_string_value(json_object_get(root, key));

	return text && *text ? text : NULL;
}

/* `found` holds what the document says, borrowed. */
static const char *read_members(const json_t *root, struct credentials *found)
{
	const char *code = member(root, "Code");
	const char *expiration = member(root, "Expiration");

	if (!json_is_object(root))
		return "is no JSON object";
	if (code && strcmp(code, "Success") != 0)
		return "says that it has none (its Code is not Success); look at the role's trust "
		       "policy";
	found->key_id = (char *)member(root, "AccessKeyId");
	found->secret = (char *)member(root, "SecretAccessKey");
	found->token = (char *)member(root, "Token");
	if (!found->key_id || !found->secret)
		return "lacks AccessKeyId or SecretAccessKey";
	if (!credentials_are_clean(found))
		return "has characters that no credentials have";
	if (expiration && timestamp_parse(expiration, &found->expires_wall_us) < 0)
		return "has an Expiration that is no time";
	return NULL;
}

int credentials_parse(const char *text, size_t text_size, const char *provider,
		      struct credentials *ret_credentials, char *ret_problem, size_t size)
{
	json_t *root = secret_json(text, text_size);
	struct credentials found = {.provider = provider};
	const char *problem = read_members(root, &found);
	int ret = -EPROTO;

	if (problem)
		snprintf(ret_problem, size, "%s", problem);
	else
		ret = credentials_copy(&found, ret_credentials);
	secret_json_free(root);
	return ret;
}
