/* SPDX-License-Identifier: Apache-2.0
 *
 * One place that knows targets: a whole snapshot of what it says now, or an error, and nothing in
 * between. Each kind is one file, source_KIND.c, behind struct source_kind.
 *
 * Happy path: open() reads the configuration's mapping, fetch() asks, and one call of
 * source_done() or source_failed() says what came of it. Who asked decides when to ask again.
 * Failure modes: whatever goes wrong on the way (a page, a batch, a member of an answer that is
 * missing) fails the whole snapshot; the set that was collected so far is thrown away.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/target_set.h"

struct aws;
struct aws_error;
struct conf_errors;
struct loop;
struct node;
struct source;

/* What every source may use. Borrowed; outlives the sources. */
struct source_world {
	struct loop *loop;
	struct aws *aws; /* of this source's account and region; NULL for dns and file */
};

/* An API call that a kind makes: for the least-privilege policy and the estimate of the load. */
struct source_action {
	const char *action;   /* as IAM names it: "ec2:DescribeInstances" */
	const char *resource; /* ARN pattern in which {partition}, {region}, {account} and the
				 mapping's own keys stand in braces: "*" where IAM allows no less */
	const char
		*condition; /* JSON of the statement's Condition, with the same braces, or NULL */
};

/* Of actions that know no resource: only there where the source looks. */
#define SOURCE_OWN_REGION "{\"StringEquals\": {\"aws:RequestedRegion\": \"{region}\"}}"

/* The calls one fetch makes: a hundredth of a call is the unit, so that an average can be said. */
struct source_load {
	uint32_t calls_per_fetch_x100; /* for a fleet of `expected` targets */
	uint32_t interval_ms;
};

struct source_kind {
	const char *name; /* its key in `discover:` */
	bool is_aws;
	const struct source_action *actions; /* ends with action NULL */
	/* Those of them that a source with this completed mapping may call; NULL: all. */
	const struct source_action *(*actions_of)(const struct node *conf);

	/* `conf` is the completed mapping, which outlives the source. 0; -ENOMEM; or -EINVAL with a
	 * finding in `errors` (what the schema cannot see). No I/O. */
	int (*open)(const struct node *conf, const struct source_world *world,
		    struct conf_errors *errors, struct source **ret_source);
	void (*close)(struct source *source); /* a fetch that runs is cancelled, silently */

	/* Begin a snapshot. None is running. The end is told later, never from inside this call. */
	void (*fetch)(struct source *source);

	/* For an estimate: calls one fetch costs when there are `expected` targets. */
	uint32_t (*calls_x100)(const struct source *source, size_t expected);
};

extern const struct source_kind source_ec2, source_asg, source_ecs, source_elbv2, source_cloudmap,
	source_dns, source_file;

/* NULL ends the list. */
extern const struct source_kind *const source_kinds[];

/* What every kind's struct begins with. */
struct source {
	const struct source_kind *kind;
	const struct node *conf;
	struct source_world world;

	/* Of whoever asks (control/feed.h); set before the first fetch(). `set` is sealed and
	 * becomes the callee's. `problem` is one sentence with its remedy, which names the call and
	 * never a secret. `error_kind` is one of a few words for metrics: "throttled", "denied". */
	void (*on_done)(struct source *source, struct target_set *set);
	void (*on_failed)(struct source *source, const char *error_kind, const char *problem);
	/* The set in force, or NULL: what a gap in an answer is judged by (a target that was there
	 * is not gone because its address is missing). NULL: nobody knows. */
	const struct target_set *(*current)(const struct source *source);
	/* Something changed, ask soon: a watched file, a TTL that ran out. NULL: nobody listens. */
	void (*on_hint)(struct source *source);
	/* A wish for the next poll, e.g. of a TTL; 0: the configured interval. */
	uint32_t wanted_interval_ms;
	/* What only warns: "2 instances have no IPv6 address". Kept until the next fetch. */
	char notice[200];
	void *owner;
};

/* For the kinds: seal and hand over, or fail when the set contradicts itself. Takes `set`. */
void source_done(struct source *source, struct target_set *set);
void source_failed(struct source *source, const char *error_kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void source_failed_call(struct source *source, const struct aws_error *error);

/* target_set_new(), or NULL after source_failed(). */
struct target_set *source_new_set(struct source *source);

/* target_set_add(); 0, or -errno after source_failed(). */
int source_add(struct source *source, struct target_set *set, const struct found_target *target);

/* A target of this id in the set in force; NULL if there is none. */
const struct found_target *source_current(const struct source *source, const char *id);
