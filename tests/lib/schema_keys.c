/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints the schema of sluice.yaml for whoever compares documents with it: one line for each key,
 * PATH, default or `-`, its words or `-`, and its meaning, with tabs between. It cannot fail.
 */
#include <stdio.h>

#include "proxy/base/conf/schema.h"

static const char *or_dash(const char *text)
{
	return text && *text ? text : "-";
}

static bool print(const struct schema_key *key, const char *path, void *context)
{
	printf("%s\t%s\t%s%s%s\t%s\n", path, or_dash(key->fallback), or_dash(key->values),
	       key->word ? "|" : "", key->word ? key->word : "", or_dash(key->doc));
	return true;
}

int main(void)
{
	schema_walk(&schema_root, print, NULL);
	return 0;
}
