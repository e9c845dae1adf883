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

/* What systemd passes on: STATE_DIRECTORY, of whose list the first counts. 0 or -ENOMEM. */
int options_add_inherited(struct options *options, char *const envp[]);

/* Where in the schema `text` belongs, given to the flag or variable of `path`: a Unix socket's
 * address is not for OPTIONS_PATH_ADMIN but for OPTIONS_PATH_SOCKET. */
const char *options_place(const char *path, const char *text);

/* Forget what `variable` said. */
void options_drop_variables(struct options *options, const char *variable);

/* The first value for `path`, or NULL. */
const struct option_value *options_find(const struct options *options, const char *path);
