/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: one pass over the mapping for ARNs, then one over each text for braces. See fill.h.
 */
#include "control/iam/fill.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/endpoint.h"
#include "proxy/base/conf/schema.h"

/* The field of an ARN, from 0; false if it is none or the field is empty. */
static bool arn_field(const char *arn, unsigned field, char *buf, size_t size)
{
	size_t len;

	if (strncmp(arn, "arn:", 4) != 0)
		return false;
	for (; field; field--) {
		arn = strchr(arn, ':');
		if (!arn)
			return false;
		arn++;
	}
	len = strcspn(arn, ":");
	if (len == 0 || len >= size)
		return false;
	snprintf(buf, size, "%.*s", (int)len, arn);
	return true;
}

/* https://HOST/ACCOUNT/NAME */
static bool url_account(const char *url, char *buf, size_t size)
{
	const char *host = strstr(url, "://");
	const char *account = host ? strchr(host + 3, '/') : NULL;
	size_t len = account ? strcspn(account + 1, "/") : 0;

	if (len == 0 || len >= size || account[1 + len] != '/')
		return false;
	snprintf(buf, size, "%.*s", (int)len, account + 1);
	return true;
}

/* The first ARN that knows it; in the table's order a role comes last. */
static void fill_from_arns(struct filling *filling)
{
	for (size_t i = 0; i < filling->conf->count; i++) {
		const struct node *value = filling->conf->children[i];
		const char *text = value->text;

		if (!text)
			continue;
		if (!*filling->region)
			arn_field(text, 3, filling->region, sizeof(filling->region));
		if (!*filling->account)
			arn_field(text, 4, filling->account, sizeof(filling->account));
		if (!*filling->account && strcmp(value->name, "queue") == 0)
			url_account(text, filling->account, sizeof(filling->account));
	}
}

void filling_init(struct filling *filling, const struct node *conf, const char *own_region,
		  const char *fallback_region)
{
	*filling = (struct filling){.conf = conf};
	if (own_region)
		snprintf(filling->region, sizeof(filling->region), "%s", own_region);
	fill_from_arns(filling);
	if (!*filling->region && fallback_region)
		snprintf(filling->region, sizeof(filling->region), "%s", fallback_region);
	filling->partition = *filling->region ? endpoint_partition(filling->region) : "*";
	if (!*filling->region)
		strcpy(filling->region, "*");
	if (!*filling->account)
		strcpy(filling->account, "*");
}

static const char *last_part(const char *text)
{
	const char *slash = strrchr(text, '/'), *colon = strrchr(text, ':');

	if (strncmp(text, "arn:", 4) != 0 && !strstr(text, "://"))
		return text;
	return (slash ? slash : colon) + 1;
}

static const char *filling_of(const struct filling *filling, const char *name)
{
	const char *text;

	if (strcmp(name, "partition") == 0)
		return filling->partition;
	if (strcmp(name, "region") == 0)
		return filling->region;
	if (strcmp(name, "account") == 0)
		return filling->account;
	text = schema_text(filling->conf, name);
	if (text && strcmp(name, "role_arn") == 0)
		return text;
	return text ? last_part(text) : "*";
}

/* A text whose {words} are filled in; the caller frees. NULL without memory. */
static char *fill(const struct filling *filling, const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
	char *filled = NULL, name[64];
	size_t size;
	FILE *out = open_memstream(&filled, &size);

	if (!out)
		return NULL;
	while (*text) {
		size_t len = *text == '{' ? strspn(text + 1, letters) : 0;

		if (len == 0 || len >= sizeof(name) || text[1 + len] != '}') {
			fputc(*text++, out);
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)len, text + 1);
		fputs(filling_of(filling, name), out);
		text += len + 2;
	}
	return fclose(out) == 0 ? filled : NULL;
}

json_t *filling_text(const struct filling *filling, const char *text)
{
	char *filled = fill(filling, text);
	json_t *value = filled ? json_string(filled) : NULL;

	free(filled);
	return value;
}

json_t *filling_value(const struct filling *filling, const json_t *value)
{
	json_t *copy, *item;
	const char *key;
	size_t index;
	bool ok = true;

	if (json_is_string(value))
		return filling_text(filling, json_string_value(value));
	copy = json_is_object(value) ? json_object() : json_array();
	json_object_foreach ((json_t *)value, key, item)
		ok &= json_object_set_new(copy, key, filling_value(filling, item)) == 0;
	json_array_foreach (value, index, item)
		ok &= json_array_append_new(copy, filling_value(filling, item)) == 0;
	if (ok)
		return copy;
	json_decref(copy);
	return NULL;
}
