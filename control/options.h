/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line and the SLUICE_* variables of sluice-control: what to do, and what they say
 * about the configuration. Keys that concern it and the proxy alike have the same flag and variable
 * for both, and every variable of the proxy's that changes the file's meaning changes it here, so
 * that one environment serves both.
 *
 * Failure modes: those of proxy/base/conf/cmdline.h, and what does not go together.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "proxy/base/conf/cmdline.h"

struct conf_errors;

/* Exit statuses of sluice-control. */
enum control_exit {
	CONTROL_OK = 0,
	CONTROL_CONFIG = 1,    /* the configuration is wrong, or the start failed */
	CONTROL_USAGE = 2,     /* the command line is */
	CONTROL_INCOMPLETE = 3 /* --once: a source failed, or its answer is held back */
};

struct control_options {
	struct cmdline line; /* with a file, unless it is for help or the version */
	bool check;
	bool once;
	bool dry_run;
	bool iam_policy;
	bool help;
	bool version;
};

/* `envp` is a NULL-ended list of NAME=VALUE. 0; -EINVAL with the reasons in `errors` (exit with
 * CONTROL_USAGE); -ENOMEM. */
int control_options_parse(int argc, char *const argv[], char *const envp[],
			  struct conf_errors *errors, struct control_options *ret_options);
void control_options_fini(struct control_options *options);

/* What --help prints. */
void control_options_help(FILE *out);
