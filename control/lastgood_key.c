/* SPDX-License-Identifier: Apache-2.0
 *
 * What a source means, as a digest: two that ask for the same targets have the same key, whatever
 * they ask with. Of a role only its account counts, since elsewhere the same tags name others.
 * Failure modes: none.
 */
#include <string.h>

#include "control/digest.h"
#include "control/lastgood.h"
#include "proxy/base/conf/tree.h"

/* What says how to ask or how to judge, not what is asked for. The region comes by itself, as it
 * may be found elsewhere. */
static bool is_manner(const char *key)
{
	static const char *const manners[] = {"interval", "max_shrink",  "allow_empty", "profile",
					      "role_arn", "external_id", "endpoint",    "region",
					      "servers",  "min_ttl",     "max_ttl",     "format",
					      NULL};
	size_t i = 0;

	while (manners[i] && strcmp(key, manners[i]))
		i++;
	return manners[i];
}

/* The child whose name comes first behind `after` (NULL: of all), or NULL. Labels stand in the
 * order of the file, which means nothing. */
static const struct node *next_by_name(const struct node *mapping, const char *after)
{
	const struct node *best = NULL;

	for (size_t i = 0; i < mapping->count; i++) {
		const struct node *child = mapping->children[i];

		if ((!after || strcmp(child->name, after) > 0) &&
		    (!best || strcmp(child->name, best->name) < 0))
			best = child;
	}
	return best;
}

static void hash_node(struct digest *digest, const struct node *node)
{
	const struct node *child = NULL;

	digest_number(digest, node->kind);
	digest_text(digest, node->name);
	digest_text(digest, node->text);
	digest_number(digest, (uint32_t)node->count);
	if (node->kind == NODE_MAPPING)
		while ((child = next_by_name(node, child ? child->name : NULL)))
			hash_node(digest, child);
	else
		for (size_t i = 0; i < node->count; i++)
			hash_node(digest, node->children[i]);
}

/* "123456789012" of "arn:aws:iam::123456789012:role/name": what stands between the last two of five
 * colons. */
static void hash_account(struct digest *digest, const char *role_arn)
{
	const char *at = role_arn;

	for (int colons = 0; at && colons < 4; colons++) {
		at = strchr(at, ':');
		at = at ? at + 1 : NULL;
	}
	if (at)
		digest_bytes(digest, at, strcspn(at, ":"));
}

void lastgood_key(const char *pool, const char *kind, const struct node *mapping,
		  const char *region, char *ret_key)
{
	const struct node *child = NULL;
	struct digest digest;

	digest_begin(&digest);
	digest_text(&digest, pool);
	digest_text(&digest, kind);
	digest_text(&digest, region);
	while ((child = next_by_name(mapping, child ? child->name : NULL)))
		if (!is_manner(child->name))
			hash_node(&digest, child);
	hash_account(&digest, node_get_text(mapping, "role_arn"));
	digest_end(&digest, ret_key, LASTGOOD_KEY);
}
