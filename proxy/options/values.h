/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of values in struct options. Only for proxy/options/; everyone else includes
 * proxy/options.h.
 */
#pragma once

#include <stdbool.h>

struct option_value;
struct options;

/* All are copied. 0 or -ENOMEM. */
int options_add(struct options *options, const char *path, const char *text, const char *origin,
		bool is_flag);

/* One value for each item of a variable's list: "10.0.0.1:80,10.0.0.2:80". 0 or -ENOMEM. */
int options_add_list(struct options *options, const char *path, const char *text,
		     const char *origin);

/* Forget what a variable said about `path`. */
void options_drop_variables(struct options *options, const char *path);

/* The first value for `path`, or NULL. */
const struct option_value *options_find(const struct options *options, const char *path);
