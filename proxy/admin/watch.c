/* SPDX-License-Identifier: Apache-2.0
 *
 * Watching main and the workers. Happy path: between two ticks each has turned its loop; an idle
 * worker, which has nothing to turn for, is woken and has turned by the next tick. Failure mode:
 * one has not for several ticks in a row, then it is stuck until it turns again.
 */
#include "proxy/admin/watch.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/clock.h"

int watch_init(struct watch *watch, const struct admin_ops *ops,
	       struct worker_counts *const *counts, unsigned worker_count)
{
	struct watched *workers = calloc(worker_count, sizeof(*workers));

	if (!workers)
		return -ENOMEM;
	*watch = (struct watch){
		.ops = ops,
		.counts = counts,
		.worker_count = worker_count,
		.workers = workers,
	};
	return 0;
}

void watch_fini(struct watch *watch)
{
	free(watch->workers);
	watch->workers = NULL;
}

static void look_at_worker(struct watch *watch, unsigned index)
{
	struct watched *worker = &watch->workers[index];
	uint64_t turns = count_read(&watch->counts[index]->turns);

	worker->still = turns == worker->turns ? worker->still + 1 : 0;
	worker->turns = turns;
	if (worker->still)
		watch->ops->wake_worker(watch->ops->context, index);
}

static void look_at_main(struct watch *watch)
{
	uint64_t beats = atomic_load(&watch->beats);

	watch->main_still = beats == watch->beats_seen ? watch->main_still + 1 : 0;
	watch->beats_seen = beats;
}

static uint64_t per_second(uint64_t before, uint64_t now, uint64_t elapsed_us)
{
	return (now - before) * US_PER_SEC / elapsed_us;
}

static void measure(struct watch *watch, uint64_t now_us)
{
	uint64_t elapsed_us = now_us - watch->ticked_us;
	struct stats_sum sum;

	stats_sum(watch->counts, watch->worker_count, &sum);
	if (watch->ticked_us && elapsed_us) {
		const struct worker_counts *before = &watch->before, *now = &sum.total;

		watch->rates.sessions = per_second(before->sessions, now->sessions, elapsed_us);
		watch->rates.client_received_bytes = per_second(
			before->client_received_bytes, now->client_received_bytes, elapsed_us);
		watch->rates.client_sent_bytes =
			per_second(before->client_sent_bytes, now->client_sent_bytes, elapsed_us);
	}
	watch->before = sum.total;
	watch->ticked_us = now_us;
}

void watch_tick(struct watch *watch, uint64_t now_us)
{
	for (unsigned i = 0; i < watch->worker_count; i++)
		look_at_worker(watch, i);
	look_at_main(watch);
	measure(watch, now_us);
}

void watch_beat(struct watch *watch)
{
	atomic_fetch_add(&watch->beats, 1);
}

bool watch_is_stuck(const struct watch *watch, char *ret_why, size_t size)
{
	for (unsigned i = 0; i < watch->worker_count; i++)
		if (watch->workers[i].still > WATCH_WORKER_TICKS) {
			snprintf(ret_why, size, "worker %u is stuck", i);
			return true;
		}
	if (watch->main_still <= WATCH_MAIN_TICKS)
		return false;
	snprintf(ret_why, size, "the main thread is stuck");
	return true;
}
