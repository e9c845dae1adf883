/* SPDX-License-Identifier: Apache-2.0
 *
 * What the proxy said of itself at one instant, and what it did between two of them.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct client;

struct top_target {
	const char *pool; /* these texts live in the sample's answers */
	const char *name;
	const char *state;
	const char *reason;
	const char *key;
	uint64_t open;
	uint64_t sessions;
	uint64_t sent_bytes;
	uint64_t received_bytes;
	uint64_t connect_failures;
};

struct top_sample {
	uint64_t at_us; /* CLOCK_MONOTONIC; 0: there is none */
	json_t *status;
	json_t *pools; /* an array of pools with their members */
	struct top_target *targets;
	size_t target_count;
};

/* Ask for everything, or only for the members of `pool`. 0, -ENOENT (no such pool), or another
 * -errno as of client_call(). */
int top_sample_take(struct client *client, const char *pool, struct top_sample *ret_sample);

/* Of answers that are there already; they are taken over. 0 or -ENOMEM. */
int top_sample_init(struct top_sample *sample, json_t *status, json_t *pools, uint64_t at_us);
void top_sample_fini(struct top_sample *sample);

/* The same target in an earlier sample; `place` is where it stands now. One without counts if it is
 * new. */
const struct top_target *top_sample_find(const struct top_sample *before, size_t place,
					 const struct top_target *target);
