/* SPDX-License-Identifier: Apache-2.0
 *
 * From a tree as it was read to one that can be relied on: held against the schema and against
 * itself, then completed. Every program that reads sluice.yaml does it here, so that none takes a
 * file that another refuses.
 *
 * Happy path: conf_settle(), and the tree is in its normal form. Failure modes: all errors are
 * collected, those that only a look at the whole finds included.
 */
#pragma once

#include <stdbool.h>

struct conf_errors;
struct node;

/* `demo`: targets come from elsewhere, so a pool may have none. 0; -EINVAL with the reasons in
 * `errors`; -ENOMEM. After a failure only node_free() is left. */
int conf_settle(struct node *root, bool demo, struct conf_errors *errors);

/* What a schema cannot see, such as names that lead nowhere. Takes any tree, even one that the
 * schema found fault with. 0, or -ENOMEM. */
int conf_check(const struct node *root, bool demo, struct conf_errors *errors);

/* check_listeners.c: that part of conf_check(). */
int conf_check_listeners(const struct node *root, struct conf_errors *errors);
