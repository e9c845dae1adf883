/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the building of request paths. Happy path: path_init(), then pieces, then queries. A path
 * that grows too long is marked as cut, and is then not to be asked for.
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "control/ctl/client.h"

static void add_bytes(struct path *path, const char *bytes, size_t count)
{
	size_t len = strlen(path->text);

	if (len + count >= sizeof(path->text)) {
		path->cut = true;
		return;
	}
	memcpy(path->text + len, bytes, count);
	path->text[len + count] = '\0';
}

void path_init(struct path *path, const char *prefix)
{
	*path = (struct path){0};
	path_add(path, prefix);
}

void path_add(struct path *path, const char *text)
{
	add_bytes(path, text, strlen(text));
}

/* All but the unreserved characters of RFC 3986, section 2.3. */
void path_add_encoded(struct path *path, const char *segment)
{
	for (const unsigned char *at = (const unsigned char *)segment; *at; at++) {
		char code[4];

		if ((*at < 0x80 && isalnum(*at)) || strchr("-._~", *at)) {
			add_bytes(path, (const char *)at, 1);
			continue;
		}
		snprintf(code, sizeof(code), "%%%02X", *at);
		add_bytes(path, code, 3);
	}
}

void path_query(struct path *path, const char *key, const char *value)
{
	if (!value)
		return;
	path_add(path, path->has_query ? "&" : "?");
	path_add(path, key);
	path_add(path, "=");
	path_add_encoded(path, value);
	path->has_query = true;
}

void path_query_number(struct path *path, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	path_query(path, key, text);
}
