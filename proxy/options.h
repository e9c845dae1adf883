/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line and the SLUICE_* variables of sluice: what to do, and what they say about the
 * configuration. Those values are only collected here, by their path in the schema
 * (proxy/base/conf/keys*.c names flag and variable of each key); config_load() puts them into the
 * tree, where they are checked like the file's. A flag beats a variable, both beat the file.
 *
 * STATE_DIRECTORY, which systemd sets for a unit with StateDirectory=, is only for when nothing
 * else says so, the file included.
 *
 * Failure modes: those of proxy/base/conf/cmdline.h, and what does not go together.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "proxy/base/conf/cmdline.h"

struct conf_errors;

/* Exit statuses of sluice. */
enum options_exit { EXIT_OK = 0, EXIT_CONFIG = 1, EXIT_USAGE = 2 };

#define OPTIONS_DEMO_LISTEN "127.0.0.1:8080"

struct options {
	struct cmdline line; /* without a file its values are all there is */
	bool check;          /* only validate */
	bool show;           /* and print the effective configuration; implies check */
	bool replace;        /* take over from the process that runs */
	bool detach;         /* return once it serves */
	bool demo;           /* with embedded backends */
	bool doctor;         /* tell what this host can do; a configuration is optional then */
	bool json;           /* doctor, for programs */
	bool help;
	bool version;
};

/* `envp` is a NULL-ended list of NAME=VALUE. 0; -EINVAL with the reasons in `errors` (exit with
 * EXIT_USAGE); -ENOMEM. */
int options_parse(int argc, char *const argv[], char *const envp[], struct conf_errors *errors,
		  struct options *ret_options);
void options_fini(struct options *options);

/* As if --target had been given: how main adds the demo's backends. 0 or -ENOMEM. */
int options_add_target(struct options *options, const char *address);

/* A value for `path` unless a flag or variable gave one. 0 or -ENOMEM. */
int options_add_default(struct options *options, const char *path, const char *text,
			const char *origin);

/* What can be said. */
extern const struct cmdline_grammar options_grammar;

/* What --help prints. */
void options_help(FILE *out);
