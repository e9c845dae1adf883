/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the questions to instance metadata. Happy path: both paths are asked every few seconds, and
 * "there is no such path" is the answer for years.
 * (docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html
 * and docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html)
 *
 * Failure modes: no metadata is no notice: said once, asked up to once a minute, and said again
 * when it is there. What does not look like a notice is none.
 */
#include <stdio.h>
#include <string.h>

#include "control/journal.h"
#include "control/lifecycle/internal.h"
#include "proxy/base/loop.h"

#define POLL_MS     5000
#define POLL_MAX_MS 60000
#define STATE_PATH  "meta-data/autoscaling/target-lifecycle-state"
#define SPOT_PATH   "meta-data/spot/instance-action"

static void ask(struct lifecycle *lifecycle, const char *path,
		void (*on_end)(void *context, const struct imds_answer *answer))
{
	struct notice *notice = &lifecycle->notice;

	notice->call = imds_get(lifecycle->imds, path, on_end, lifecycle);
	if (!notice->call) /* no memory: perhaps later */
		loop_arm(lifecycle->conf.loop, &notice->timer, lifecycle_jitter(POLL_MS));
}

static void wait(struct lifecycle *lifecycle)
{
	struct notice *notice = &lifecycle->notice;
	uint64_t ms = (uint64_t)POLL_MS << (notice->failures < 4 ? notice->failures : 4);

	loop_arm(lifecycle->conf.loop, &notice->timer,
		 lifecycle_jitter(ms < POLL_MAX_MS ? ms : POLL_MAX_MS));
}

/* Whether there is an answer: a body, or none for sure. */
static bool is_answered(struct lifecycle *lifecycle, const struct imds_answer *answer)
{
	struct notice *notice = &lifecycle->notice;
	bool answered = !answer->error || answer->missing;

	if (answered && notice->failures)
		lifecycle_note(lifecycle, LOG_INFO, "lifecycle_watching",
			       "instance metadata answers again");
	if (answered) {
		notice->failures = 0;
		return true;
	}
	if (notice->failures++ == 0)
		lifecycle_note(lifecycle, LOG_WARN, "lifecycle_blind",
			       "%s; the end of this instance would not be noticed",
			       answer->error->text);
	return false;
}

/* {"action": "terminate", "time": "2017-09-18T08:22:00Z"} */
static void see_spot(struct lifecycle *lifecycle, const struct imds_answer *answer)
{
	json_t *root = json_loadb(answer->body, answer->size, JSON_REJECT_DUPLICATES, NULL);
	const char *action = aws_text(root, "action"), *time = aws_text(root, "time");
	char why[160];

	if (action && !lifecycle->notice.interrupted) {
		lifecycle->notice.interrupted = true;
		snprintf(why, sizeof(why), "EC2 will %.20s this Spot instance at %.30s", action,
			 time ? time : "an unknown time");
		lifecycle_leave(lifecycle, why);
	}
	json_decref(root);
}

static void on_spot(void *context, const struct imds_answer *answer)
{
	struct lifecycle *lifecycle = context;

	lifecycle->notice.call = NULL;
	if (is_answered(lifecycle, answer) && !answer->missing)
		see_spot(lifecycle, answer);
	wait(lifecycle);
}

static bool says(const struct imds_answer *answer, const char *word)
{
	size_t size = answer->size;

	while (size && (answer->body[size - 1] == '\n' || answer->body[size - 1] == ' '))
		size--;
	return size == strlen(word) && memcmp(answer->body, word, size) == 0;
}

static void see_state(struct lifecycle *lifecycle, const struct imds_answer *answer)
{
	if (lifecycle->notice.terminated ||
	    (!says(answer, "Terminated") && !says(answer, "Warmed:Terminated")))
		return;
	lifecycle->notice.terminated = true;
	lifecycle_leave(lifecycle, "the Auto Scaling group terminates this instance");
	action_begin(lifecycle);
}

static void on_state(void *context, const struct imds_answer *answer)
{
	struct lifecycle *lifecycle = context;

	lifecycle->notice.call = NULL;
	if (!is_answered(lifecycle, answer)) {
		wait(lifecycle);
		return;
	}
	if (!answer->missing)
		see_state(lifecycle, answer);
	ask(lifecycle, SPOT_PATH, on_spot);
}

static void on_due(struct timer *timer)
{
	struct lifecycle *lifecycle = container_of(timer, struct lifecycle, notice.timer);

	ask(lifecycle, STATE_PATH, on_state);
}

void notice_start(struct lifecycle *lifecycle)
{
	timer_init(&lifecycle->notice.timer, on_due);
	loop_arm(lifecycle->conf.loop, &lifecycle->notice.timer, 0);
}

void notice_stop(struct lifecycle *lifecycle)
{
	timer_cancel(&lifecycle->notice.timer);
	imds_cancel(lifecycle->notice.call);
}
