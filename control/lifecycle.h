/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of this instance, seen coming: `lifecycle: auto`.
 *
 *      target-lifecycle-state --\                      hook --> heartbeats --> complete
 *                                >-- notice --> drain --^            |            ^
 *      spot/instance-action ----/                 \------------------+-- ended ---/
 *
 * Happy path: instance metadata is asked every few seconds; once it says that the instance is to
 * end, the proxy's drain begins, the Auto Scaling group's hook is kept waiting as long as the
 * proxy has sessions, and is completed when the proxy is gone. Nothing is remembered: a daemon
 * that starts in the middle sees the same notice and goes on, and whatever is done twice (a drain,
 * a completion) was done the first time.
 * Failure modes: no metadata (said once, asked ever more seldom), a group that cannot be asked or
 * has no hook or several (said; the drain does not wait for that), no proxy (nothing to wait for,
 * after a while), a proxy that refuses (asked again and again).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/aws/aws.h"

struct journal;
struct lifecycle;
struct link;
struct loop;

enum lifecycle_phase {
	LIFECYCLE_WATCHING,
	LIFECYCLE_DRAINING, /* the proxy was told, or is to be */
	LIFECYCLE_DRAINED,  /* there is no proxy any more */
	LIFECYCLE_PHASES
};

extern const char *const lifecycle_phase_names[];

struct lifecycle_conf {
	struct loop *loop;
	struct aws_hub *hub;
	struct aws_place place; /* its region is the instance's instead; texts outlive us */
	struct journal *journal;
	const char *hook; /* NULL: the only one of the group; outlives us */
	/* The group's desired capacity, when it is known and when it changes; NULL: not asked for.
	 */
	void (*on_size)(void *context, uint32_t nodes);
	void *context;
};

/* No I/O. 0, -ENOMEM, or -EINVAL: no such metadata endpoint. */
int lifecycle_start(const struct lifecycle_conf *conf, struct lifecycle **ret_lifecycle);
void lifecycle_stop(struct lifecycle *lifecycle); /* before the link and the hub; accepts NULL */

/* The way to the proxy, or another one, as of now; the one before is gone already, or stays unused.
 */
void lifecycle_use_link(struct lifecycle *lifecycle, struct link *link);

enum lifecycle_phase lifecycle_phase(const struct lifecycle *lifecycle);

/* {"phase", "why", "instance", "group", "hook", "problem"}. NULL without memory. */
json_t *lifecycle_describe(const struct lifecycle *lifecycle);
