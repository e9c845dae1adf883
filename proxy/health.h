/* SPDX-License-Identifier: Apache-2.0
 *
 * Active health checks: one thread checks every target of this host, so that checks do not multiply
 * with workers. It owns its loop, its sockets and its rise and fall counts; main tells it what to
 * check, and takes reports from it.
 *
 * Happy path: checks are spread over their interval; each is a non-blocking connect, perhaps a few
 * bytes, and a verdict; a report is queued when the verdict, the status or the text differs from
 * before (and at least every tenth time), and the eventfd is written. Failure modes: no fd or no
 * memory is no verdict on the target: the check is put off, and said in the log, rate limited.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/model.h"
#include "proxy/registry.h"

struct health;

struct health_job {
	uint64_t key;                   /* struct target_record::key */
	uint32_t life;                  /* of that key: in another one it begins as if new */
	struct addr addr;               /* of the target; health_conf::port replaces the port */
	const struct health_conf *conf; /* copied, strings too */
	enum proxy_send proxy;          /* a LOCAL (v2) or UNKNOWN (v1) header goes first */
	enum health_status status;      /* what is known when the job is new: UNKNOWN mostly */
};

/* `wake_fd` is an eventfd(2) that is written when there are reports. At most `max_checks` are under
 * way at once. 0 or -errno. */
int health_start(int wake_fd, unsigned max_checks, struct health **ret_health);

/* Everything to check from now on: unknown keys begin at once (spread over a fast interval), known
 * ones keep their state and take over changed settings, others are forgotten. 0 or -ENOMEM. Any
 * thread, one at a time. */
int health_set(struct health *health, const struct health_job *jobs, size_t count);

/* Take up to `max` reports, oldest first. Returns how many. Of each target there is one at most:
 * the next replaces what was not taken. Any thread, one at a time. */
size_t health_take(struct health *health, struct health_report *ret_reports, size_t max);

void health_stop(struct health *health); /* accepts NULL; joins the thread */
