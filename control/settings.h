/* SPDX-License-Identifier: Apache-2.0
 *
 * What sluice.yaml says to sluice-control, as plain structs: every source of every pool, where the
 * proxy is, and how to behave.
 *
 * Happy path: settings_load() reads the file, lays flags and variables over it, checks and
 * completes it just as the proxy does, and fills the structs, whose texts stand in the tree.
 * Failure modes: all errors are collected and nothing is returned; warnings do not prevent it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/aws/aws.h"
#include "control/guard.h"

struct conf_errors;
struct control_options;
struct node;

struct source_settings {
	const char *pool;
	const char *kind; /* its key in `discover:` */
	const char *name; /* under which it is pushed */
	const struct node *conf;
	struct guard_conf guard;
	uint32_t interval_ms;
	bool is_aws;
	struct aws_place place;     /* with what `control:` says for all; for AWS alone */
	uint32_t check_interval_ms; /* of the pool's health checks; 0: there are none */
};

struct settings {
	unsigned refs;
	struct node *tree; /* completed; owns every text */
	struct source_settings *sources;
	size_t source_count;
	const char **pools; /* those that have sources */
	size_t pool_count;

	const char *user;            /* NULL: stay who we are */
	const char *log_level;       /* its word */
	const char *state_directory; /* NULL: nothing is kept */
	const char *admin_socket;    /* the proxy's, a path */

	const char *socket; /* our own, a path; NULL: none */
	uint32_t socket_mode;
	const char *http; /* address and port, or NULL */

	const char *ca_file;
	bool fips;
	bool dual_stack;
	uint32_t fleet_size; /* 0: auto */
	uint32_t api_rate;   /* calls a second of the whole fleet, per account, region and class */
	uint64_t last_good_max_age_us;
	bool lifecycle;
	const char *lifecycle_hook; /* NULL: found */
	const char *queue;          /* "off", "auto" or a URL */
	const char *queue_topic;
	struct aws_place place; /* of what is nobody's source: the queue, the lifecycle */
};

/* 0; -EINVAL with the reasons in `errors`; -ENOMEM. `errors` must have none yet. The file's name in
 * `options` must outlive the settings. */
int settings_load(const struct control_options *options, struct conf_errors *errors,
		  struct settings **ret_settings);

/* What is used from them keeps them: each reference is given back with settings_free(). */
struct settings *settings_ref(struct settings *settings);
void settings_free(struct settings *settings); /* accepts NULL */

/* Whether both ask the same of the same: all but the pool's health checks is compared. */
bool settings_same_source(const struct source_settings *a, const struct source_settings *b);

bool settings_same_place(const struct aws_place *a, const struct aws_place *b);

/* Whether `a` and `b` differ in what only a restart changes: user, own socket and address, state
 * directory, the proxy's socket, and all that AWS connections have in common. */
bool settings_need_restart(const struct settings *a, const struct settings *b);
