/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the phase and the proxy's drain. Happy path: the notice comes, the proxy is told to drain,
 * and it is gone some time later and stays so.
 *
 * Failure modes: no proxy to tell: it may be about to start, as we may be, so it is looked for
 * ABSENT_TRIES times before there is nothing to wait for. A proxy that is there again after the end
 * (a successor that was just taking over, or one that a supervisor started) is drained too, but not
 * for ever.
 */
#include "control/lifecycle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/retry.h"
#include "control/journal.h"
#include "control/lifecycle/internal.h"
#include "control/link.h"
#include "proxy/base/jot.h"
#include "proxy/base/loop.h"

#define LOOK_MS      500  /* while there is no proxy */
#define SETTLE_MS    2000 /* after the end of a drain, or a failure to begin it */
#define ABSENT_TRIES 20
#define ROUNDS       3

const char *const lifecycle_phase_names[] = {"watching", "draining", "drained"};

uint64_t lifecycle_jitter(uint64_t ms)
{
	return ms - (ms / 4) * (uint64_t)retry_random() / UINT32_MAX;
}

static void end_drain(struct lifecycle *lifecycle)
{
	lifecycle->phase = LIFECYCLE_DRAINED;
	if (lifecycle->drain.absent)
		lifecycle_note(lifecycle, LOG_WARN, "lifecycle_drained",
			       "no proxy was found to drain: %s",
			       lifecycle->link ? link_problem(lifecycle->link) : "no socket");
	else if (link_is_up(lifecycle->link))
		lifecycle_note(lifecycle, LOG_WARN, "lifecycle_drained",
			       "the proxy was drained %u times and comes again each time; it is "
			       "not waited for any longer",
			       lifecycle->drain.rounds);
	else
		lifecycle_note(lifecycle, LOG_INFO, "lifecycle_drained", "the proxy has ended");
	action_continue(lifecycle);
}

static void on_drained(void *context, const char *problem)
{
	struct lifecycle *lifecycle = context;
	struct draining *drain = &lifecycle->drain;

	drain->ended_well = !problem;
	drain->rounds += !problem;
	if (problem && strcmp(problem, drain->problem) != 0)
		lifecycle_note(lifecycle, LOG_ERROR, "lifecycle_drain_failed", "%s", problem);
	snprintf(drain->problem, sizeof(drain->problem), "%s", problem ? problem : "");
	loop_arm(lifecycle->conf.loop, &drain->timer, SETTLE_MS);
}

/* There is no proxy: is that the end? */
static void wait_or_end(struct lifecycle *lifecycle)
{
	struct draining *drain = &lifecycle->drain;

	if (drain->ended_well || ++drain->absent > ABSENT_TRIES)
		end_drain(lifecycle);
	else
		loop_arm(lifecycle->conf.loop, &drain->timer, LOOK_MS);
}

static void on_look(struct timer *timer)
{
	struct lifecycle *lifecycle = container_of(timer, struct lifecycle, drain.timer);
	struct draining *drain = &lifecycle->drain;

	if (!lifecycle->link || !link_is_up(lifecycle->link)) {
		wait_or_end(lifecycle);
		return;
	}
	drain->absent = 0;
	drain->ended_well = false;
	if (drain->rounds >= ROUNDS)
		end_drain(lifecycle);
	else if (link_drain(lifecycle->link, on_drained, lifecycle))
		loop_arm(lifecycle->conf.loop, &drain->timer, SETTLE_MS);
}

void lifecycle_leave(struct lifecycle *lifecycle, const char *why)
{
	if (lifecycle->phase != LIFECYCLE_WATCHING)
		return;
	lifecycle->phase = LIFECYCLE_DRAINING;
	snprintf(lifecycle->why, sizeof(lifecycle->why), "%s", why);
	lifecycle_note(lifecycle, LOG_WARN, "lifecycle_notice", "%s: the proxy is drained", why);
	loop_arm(lifecycle->conf.loop, &lifecycle->drain.timer, 0);
}

void lifecycle_use_link(struct lifecycle *lifecycle, struct link *link)
{
	lifecycle->link = link;
	if (lifecycle->phase == LIFECYCLE_DRAINING)
		loop_arm(lifecycle->conf.loop, &lifecycle->drain.timer, LOOK_MS);
}

int lifecycle_start(const struct lifecycle_conf *conf, struct lifecycle **ret_lifecycle)
{
	struct lifecycle *lifecycle = calloc(1, sizeof(*lifecycle));
	int err = -ENOMEM;

	if (lifecycle)
		err = imds_new(conf->loop, aws_hub_http(conf->hub), &lifecycle->imds);
	if (err) {
		free(lifecycle);
		return err;
	}
	lifecycle->conf = *conf;
	timer_init(&lifecycle->drain.timer, on_look);
	action_init(lifecycle);
	notice_start(lifecycle);
	self_start(lifecycle);
	*ret_lifecycle = lifecycle;
	return 0;
}

void lifecycle_stop(struct lifecycle *lifecycle)
{
	if (!lifecycle)
		return;
	timer_cancel(&lifecycle->drain.timer);
	action_stop(lifecycle);
	notice_stop(lifecycle);
	self_stop(lifecycle);
	imds_free(lifecycle->imds);
	free(lifecycle);
}

enum lifecycle_phase lifecycle_phase(const struct lifecycle *lifecycle)
{
	return lifecycle->phase;
}

static json_t *text_or_null(const char *text)
{
	return jot_text(*text ? text : NULL);
}

json_t *lifecycle_describe(const struct lifecycle *lifecycle)
{
	const struct self *self = &lifecycle->self;

	return JOT({"phase", json_string(lifecycle_phase_names[lifecycle->phase])},
		   {"why", text_or_null(lifecycle->why)},
		   {"instance", text_or_null(self->instance)}, {"group", text_or_null(self->group)},
		   {"hook", text_or_null(self->hook)}, {"problem", text_or_null(self->problem)});
}
