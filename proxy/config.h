/* SPDX-License-Identifier: Apache-2.0
 *
 * From a file, flags and variables to the immutable struct config of proxy/model.h.
 *
 * Happy path: config_load() reads the file (or makes the same tree from --listen and --target),
 * lays flags and variables over it, checks it against the schema and against itself
 * (config/check.c), fills in defaults, and builds the structs (config/build.c). A reload calls it
 * again with the same options.
 * Failure modes: all errors are collected and nothing is returned; warnings do not prevent it.
 */
#pragma once

#include <stdio.h>

struct config;
struct conf_errors;
struct options;

/* 0; -EINVAL with the reasons in `errors`; -ENOMEM. `errors` must have none yet. */
int config_load(const struct options *options, struct conf_errors *errors,
		struct config **ret_config);
void config_free(struct config *config); /* accepts NULL */

/* The effective configuration as YAML, defaults included, which loads to the same again. */
void config_show(const struct config *config, FILE *out);
