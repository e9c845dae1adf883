/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of the AWS SDKs' kind: sections in brackets, `key = value` lines, comments (docs.aws.amazon
 * .com/sdkref/latest/guide/file-format.html). Values may be secrets and are wiped when freed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct ini;

/* 0; -EINVAL with the line that cannot be read in `ret_line`; -ENOMEM. */
int ini_parse(const char *text, size_t size, struct ini **ret_ini, unsigned *ret_line);
void ini_free(struct ini *ini); /* accepts NULL */

/* The last one counts; NULL if there is none. Keys are compared without case, sections with it. */
const char *ini_get(const struct ini *ini, const char *section, const char *key);

/* Whether there is such a section, be it empty. */
bool ini_has(const struct ini *ini, const char *section);

/* For tests: called for each value in order. */
void ini_each(const struct ini *ini,
	      void (*on_value)(void *context, const char *section, const char *key,
			       const char *value),
	      void *context);
