/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of proxy/config/ share. Everyone else includes proxy/config.h.
 */
#pragma once

#include <stdbool.h>

struct conf_errors;
struct config;
struct door_conf;
struct fast_path_conf;
struct fields;
struct guard_house_conf;
struct node;
struct options;
struct pool_conf;
struct tcp_conf;

/* source.c: the tree as it was asked for. 0; -EINVAL with the reasons in `errors`; -ENOMEM. */
int config_read(const struct options *options, struct conf_errors *errors, struct node **ret_root);

/* load.c: everything behind the reading. Takes over `root`, also when it fails. The same results.
 */
int config_finish(struct node *root, bool demo, struct conf_errors *errors,
		  struct config **ret_config);

/* build.c: structs from a completed tree, which they take over on success. 0 or -ENOMEM. */
int config_build(struct node *root, struct config **ret_config);

int config_build_tcp(struct fields fields, struct tcp_conf *tcp);

/* build_pool.c: 0 or -ENOMEM, and then still to be freed. */
int config_build_pool(struct fields fields, struct pool_conf *pool);
void config_pool_fini(struct pool_conf *pool);

/* build_guard.c: 0 or -ENOMEM, and then still to be freed. A part that is not there leaves zeros.
 */
int config_build_guard(struct fields fields, struct guard_house_conf *guard);
int config_build_door(struct fields fields, struct door_conf *door);
void config_guard_fini(struct guard_house_conf *guard);
void config_door_fini(struct door_conf *door);

/* build_fastpath.c: 0 or -ENOMEM, and then still to be freed. */
int config_build_fast_path(struct fields fields, struct fast_path_conf *fast);
void config_fast_path_fini(struct fast_path_conf *fast);

/* warn.c: settings that are valid and yet unlikely to be meant. */
void config_warn(const struct config *config, struct conf_errors *errors);
