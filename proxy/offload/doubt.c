/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper doubts what it sees: some flows every second, and whether the program could tell what
 * happened. What a stranger can send does not bring figures into contradiction (the program
 * believes no acknowledgement of what was not sent), so one that does is the kernel's mistake or
 * ours: nothing more is promoted while this process lives, and what was promoted is asked back,
 * each session once, to stay on its relay.
 *
 * Failure modes: a session of which one side has finished, or whose figures are the wrong ones, may
 * not be had back; it goes on as it is.
 */
#include "proxy/base/log.h"
#include "proxy/offload/internal.h"

#define DOUBT_MS  1000
#define LOOKS_MAX 4096 /* each time */

const char *const offload_doubt_names[OFFLOAD_DOUBTS] = {
	[OFFLOAD_DOUBT_SELF_TEST] = "self_test",
	[OFFLOAD_DOUBT_EVENTS] = "events_lost",
	[OFFLOAD_DOUBT_FIGURES] = "figures",
};

static void doubt(struct offload *offload, enum offload_doubt why)
{
	uint32_t bit = 1u << why;

	if (!(atomic_fetch_or_explicit(&offload->doubts, bit, memory_order_relaxed) & bit))
		log_event(LOG_ERROR, "offload_doubted",
			  "why=%s text=\"sessions come back, and no more are promoted until a "
			  "restart\"",
			  offload_doubt_names[why]);
}

/* An acknowledgement is read before what it could acknowledge, which only grows. */
static bool is_contradictory(const struct flow *flow, const struct flow *other)
{
	uint32_t acked = __atomic_load_n(&flow->last_ack, __ATOMIC_ACQUIRE);
	uint32_t sent = __atomic_load_n(&other->seq_end, __ATOMIC_ACQUIRE) + other->seq_delta;

	return (int32_t)(acked - sent) > 0;
}

static void look_at(struct offload *offload, struct grave *grave)
{
	const struct flow *pair = flow_at(offload->engine, grave->index);

	if (grave->state != GRAVE_BURIED)
		return;
	if (offload->doubts && !grave->odd && grave->ticket) {
		grave->odd = true;
		keeper_recall(offload, grave->index, grave->ticket, false);
		return;
	}
	if (is_contradictory(&pair[0], &pair[1]) || is_contradictory(&pair[1], &pair[0]))
		doubt(offload, OFFLOAD_DOUBT_FIGURES);
}

static void on_doubt_timer(struct timer *timer)
{
	struct offload *offload = container_of(timer, struct offload, doubt_timer);
	uint32_t sessions = flow_capacity(offload->engine);
	uint64_t counts[FLOW_COUNTS];

	flow_counts(offload->engine, counts);
	if (counts[FLOW_COUNT_EVENTS_LOST] != offload->events_lost)
		doubt(offload, OFFLOAD_DOUBT_EVENTS);
	for (uint32_t i = 0; i < LOOKS_MAX && i < sessions; i++) {
		look_at(offload, &offload->graves[offload->doubt_next]);
		offload->doubt_next = (offload->doubt_next + 1) % sessions;
	}
	loop_arm(&offload->loop, timer, DOUBT_MS);
}

void keeper_doubt_start(struct offload *offload)
{
	uint64_t counts[FLOW_COUNTS];

	/* What pinned maps have counted before our time is not held against us. */
	flow_counts(offload->engine, counts);
	if (offload->conf.untrusted)
		doubt(offload, OFFLOAD_DOUBT_SELF_TEST);
	offload->events_lost = counts[FLOW_COUNT_EVENTS_LOST];
	timer_init(&offload->doubt_timer, on_doubt_timer);
	loop_arm(&offload->loop, &offload->doubt_timer, DOUBT_MS);
}
