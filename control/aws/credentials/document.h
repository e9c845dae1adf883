/* SPDX-License-Identifier: Apache-2.0
 *
 * Credentials as values: copied, moved, wiped, and read from the JSON document that IMDS and
 * container agents answer with.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "control/aws/credentials.h"

/* Wipes what `credentials` holds, not the struct; accepts what is all zero. */
void credentials_fini(struct credentials *credentials);

/* 0 or -ENOMEM. */
int credentials_copy(const struct credentials *credentials, struct credentials *ret_copy);

/* Texts that can stand in headers: what is there has no blanks and nothing that is not ASCII. */
bool credentials_are_clean(const struct credentials *credentials);

/* Parsed and freed in memory that is wiped. NULL when it is no JSON. */
json_t *secret_json(const char *text, size_t size);
void secret_json_free(json_t *root); /* accepts NULL; also for trees of other makers */

/* `Code` (Success, or absent), `AccessKeyId`, `SecretAccessKey`, `Token`, `Expiration`. 0, -ENOMEM,
 * or -EPROTO with half a sentence in `ret_problem` (`size` bytes), never with the document's text.
 */
int credentials_parse(const char *text, size_t text_size, const char *provider,
		      struct credentials *ret_credentials, char *ret_problem, size_t size);
