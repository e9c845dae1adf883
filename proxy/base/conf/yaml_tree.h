/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML to a tree of nodes, strictly: one document whose root is a mapping (or a list, where that is
 * asked for); no duplicate keys, no anchors, aliases or tags, only UTF-8. Limits keep a hostile
 * file from costing much.
 */
#pragma once

#include <stddef.h>

#include "proxy/base/conf/errors.h"
#include "proxy/base/conf/tree.h"

#define YAML_BYTES_MAX (8u << 20)
#define YAML_DEPTH_MAX 16
#define YAML_KEYS_MAX  256   /* in one mapping */
#define YAML_ITEMS_MAX 70000 /* in one list: more than the 65,536 targets a pool may have */

/* `source` names the bytes in messages and must outlive the tree. 0 (with errors in `errors` if
 * there are duplicate keys), -EINVAL with the reason in `errors`, or -ENOMEM. */
int yaml_tree_parse(const char *source, const void *bytes, size_t size, struct conf_errors *errors,
		    struct node **ret_root);

/* The same, but the root may be a list as well; `expected` says so in messages. */
int yaml_tree_parse_list(const char *source, const void *bytes, size_t size, const char *expected,
			 struct conf_errors *errors, struct node **ret_root);

/* The same for a CloudFormation template, in YAML or JSON (whose every file is YAML too, so both
 * have positions): texts may have several lines, and `!Ref x` becomes the mapping {Ref: x}, `!Sub
 * x`
 * {"Fn::Sub": x}, and so on. */
int yaml_tree_parse_template(const char *source, const void *bytes, size_t size,
			     struct conf_errors *errors, struct node **ret_root);

/* yaml_load.c. Of a file, or where `path` is env:NAME of that variable of the environment. What
 * cannot be read is an error in `errors` as well. */
int yaml_tree_load(const char *path, struct conf_errors *errors, struct node **ret_root);
int yaml_tree_load_template(const char *path, struct conf_errors *errors, struct node **ret_root);
