/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rows of `discover:` cannot say for themselves: which keys go together, and that every
 * source of a pool has a name of its own. All of them take a tree as it was written, whatever else
 * is wrong with it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DISCOVER_SOURCES_MAX 32 /* of one kind, in one item of `discover:` */

struct conf_errors;
struct node;
struct schema_map;

/* Whom to ask and as whom: what every source of AWS has. */
void discover_check_aws(const struct node *source, struct conf_errors *errors);

/* ec2 and asg; also all of discover_check_aws(). */
void discover_check_instances(const struct node *source, struct conf_errors *errors);

void discover_check_ecs(const struct node *source, struct conf_errors *errors);
void discover_check_dns(const struct node *source, struct conf_errors *errors);

/* Of the value of a pool's `discover`, which may be NULL. */
void discover_check_names(const struct node *discover, struct conf_errors *errors);

/* The key that says what a source of this kind is called: "as" for dns, else "name". */
const char *discover_name_key(const char *kind);

/* What a source is called: what is written there, else its kind. */
const char *discover_name(const char *kind, const struct node *source);

/* Every source of a pool in turn, whichever way it is written. Begins as {.discover = the value of
 * the pool's key}; kind and source are borrowed. */
struct discover_cursor {
	const struct node *discover;
	size_t part;
	size_t kind;
	size_t item;
};

/* False behind the last. */
bool discover_next(struct discover_cursor *cursor, const char **ret_kind,
		   const struct node **ret_source);

/* The rows of one kind, which must exist. For schema_number() on a source's mapping. */
const struct schema_map *discover_source_map(const char *kind);

/* "arn:PARTITION:service:...", and an http or https URL with a host. */
void discover_check_arn(const struct node *mapping, const char *key, const char *service,
			struct conf_errors *errors);
void discover_check_url(const struct node *mapping, const char *key, struct conf_errors *errors);
