/* SPDX-License-Identifier: Apache-2.0
 *
 * Pools at run time: their limit, and a queue that loses neither a slot nor a waiter while several
 * workers fight over them.
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/pool_state.h"
#include "proxy/target.h"
#include "tests/unit/core_rig.h"

static struct pool_state *pool;
static struct target *target;
static struct pool_mailbox mailbox;

static struct target *make_target(const char *text)
{
	struct addr addr = addr_of(text);
	struct target *made = target_new(text, &addr, 1);

	ck_assert_ptr_nonnull(made);
	pool_state_get(pool);
	made->pool = pool;
	return made;
}

static void open_pool(uint32_t slots, uint32_t queue)
{
	pool = pool_state_new("p");
	ck_assert_ptr_nonnull(pool);
	pool->queue_size = queue;
	target = make_target("10.0.0.1:80");
	target->max_connections = slots;
	pool_mailbox_init(&mailbox, eventfd(0, EFD_NONBLOCK));
}

static void close_pool(void)
{
	ck_assert_uint_eq(target_inflight(target), 0);
	ck_assert_uint_eq(pool->inflight, 0);
	ck_assert_uint_eq(pool->waiting_count, 0);
	ck_assert_uint_eq(pool->refs, 2);
	target_put(target);
	ck_assert_uint_eq(pool->refs, 1);
	pool_state_put(pool);
	pool_state_put(NULL);
	close(mailbox.event_fd);
	pool_mailbox_fini(&mailbox);
}

static struct pool_waiter waiter_of(struct pool_mailbox *of)
{
	return (struct pool_waiter){.mailbox = of};
}

/* How often the mailbox's eventfd was written to since the last look. */
static uint64_t woken(void)
{
	uint64_t count = 0;

	return read(mailbox.event_fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void expect_granted(struct pool_waiter *waiter)
{
	ck_assert_ptr_eq(pool_mailbox_take(&mailbox), waiter);
	ck_assert_ptr_eq(pool_state_leave(pool, waiter), target);
	ck_assert_uint_eq(waiter->state, POOL_WAITER_IDLE);
	target_put(target);
}

START_TEST(slots_of_all_targets_count_against_the_limit_of_the_pool)
{
	struct target *other;

	open_pool(0, 0);
	other = make_target("10.0.0.2:80");
	pool->max_connections = 2;
	ck_assert(target_reserve(target));
	ck_assert(!pool_state_is_full(pool));
	ck_assert(target_reserve(other));
	ck_assert(pool_state_is_full(pool));
	ck_assert(!target_reserve(target));
	ck_assert_uint_eq(target_inflight(target), 1);
	target_release(other);
	ck_assert(target_reserve(target));
	target_release(target);
	target_release(target);
	target_put(other);
	close_pool();
}
END_TEST

START_TEST(freed_slot_goes_to_the_oldest_waiter_without_being_free)
{
	struct pool_waiter first, second;

	open_pool(1, 2);
	first = waiter_of(&mailbox);
	second = waiter_of(&mailbox);
	ck_assert(target_reserve(target));
	ck_assert_int_eq(pool_state_wait(pool, &first), 0);
	ck_assert_int_eq(pool_state_wait(pool, &second), 0);
	ck_assert_uint_eq(pool->queued, 2);
	ck_assert_ptr_null(pool_mailbox_take(&mailbox));
	target_release(target);
	ck_assert_uint_eq(target_inflight(target), 1);
	ck_assert_uint_eq(woken(), 1);
	expect_granted(&first);
	ck_assert_uint_eq(pool->waiting_count, 1);
	target_release(target);
	expect_granted(&second);
	target_release(target);
	close_pool();
}
END_TEST

START_TEST(sleeping_worker_is_woken_once_for_all_its_slots)
{
	struct pool_waiter first, second;

	open_pool(2, 2);
	first = waiter_of(&mailbox);
	second = waiter_of(&mailbox);
	ck_assert(target_reserve(target) && target_reserve(target));
	ck_assert_int_eq(pool_state_wait(pool, &first), 0);
	ck_assert_int_eq(pool_state_wait(pool, &second), 0);
	target_release(target);
	target_release(target);
	ck_assert_uint_eq(woken(), 1);
	expect_granted(&first);
	expect_granted(&second);
	ck_assert_ptr_null(pool_mailbox_take(&mailbox));
	target_release(target);
	target_release(target);
	close_pool();
}
END_TEST

START_TEST(waiter_is_passed_by_for_a_target_that_it_has_tried)
{
	struct pool_waiter first, second;

	open_pool(1, 2);
	first = waiter_of(&mailbox);
	first.tried[first.tried_count++] = target_mark(target);
	second = waiter_of(&mailbox);
	ck_assert_int_eq(pool_state_wait(pool, &first), 0);
	ck_assert(!pool_state_offer(pool, target));
	ck_assert_uint_eq(target_inflight(target), 0);
	ck_assert_int_eq(pool_state_wait(pool, &second), 0);
	ck_assert(pool_state_offer(pool, target));
	expect_granted(&second);
	target_release(target); /* and nobody is offered it for ever */
	ck_assert_uint_eq(target_inflight(target), 0);
	ck_assert_uint_eq(pool->waiting_count, 1);
	ck_assert_ptr_null(pool_state_leave(pool, &first));
	close_pool();
}
END_TEST

START_TEST(full_queue_turns_away_and_counts)
{
	struct pool_waiter first, second;

	open_pool(1, 1);
	first = waiter_of(&mailbox);
	second = waiter_of(&mailbox);
	ck_assert_int_eq(pool_state_wait(pool, &first), 0);
	ck_assert_int_eq(pool_state_wait(pool, &second), -ENOSPC);
	ck_assert_uint_eq(second.state, POOL_WAITER_IDLE);
	ck_assert_uint_eq(pool->queue_full, 1);
	ck_assert_ptr_null(pool_state_leave(pool, &second));
	ck_assert_ptr_null(pool_state_leave(pool, &first));
	ck_assert_int_eq(pool_state_wait(pool, &second), 0);
	ck_assert_ptr_null(pool_state_leave(pool, &second));
	close_pool();
}
END_TEST

START_TEST(slot_granted_to_one_who_leaves_is_its_to_give_back)
{
	struct pool_waiter first, second;

	open_pool(1, 2);
	first = waiter_of(&mailbox);
	second = waiter_of(&mailbox);
	ck_assert(target_reserve(target));
	ck_assert_int_eq(pool_state_wait(pool, &first), 0);
	ck_assert_int_eq(pool_state_wait(pool, &second), 0);
	target_release(target);
	ck_assert_ptr_eq(pool_state_leave(pool, &first), target);
	ck_assert_ptr_null(pool_mailbox_take(&mailbox));
	target_release(target);
	target_put(target);
	expect_granted(&second);
	target_release(target);
	close_pool();
}
END_TEST

START_TEST(one_who_comes_back_stands_where_it_stood)
{
	struct pool_waiter first, second;

	open_pool(1, 2);
	first = waiter_of(&mailbox);
	second = waiter_of(&mailbox);
	ck_assert(target_reserve(target));
	ck_assert_int_eq(pool_state_wait(pool, &first), 0);
	ck_assert_int_eq(pool_state_wait(pool, &second), 0);
	ck_assert_ptr_null(pool_state_leave(pool, &first));
	ck_assert_int_eq(pool_state_wait(pool, &first), 0);
	ck_assert_uint_eq(pool->queued, 2);
	target_release(target);
	expect_granted(&first);
	target_release(target);
	expect_granted(&second);
	target_release(target);
	close_pool();
}
END_TEST

START_TEST(closed_target_grants_nothing)
{
	struct pool_waiter waiter;

	open_pool(1, 1);
	waiter = waiter_of(&mailbox);
	ck_assert(target_reserve(target));
	ck_assert_int_eq(pool_state_wait(pool, &waiter), 0);
	target->closed = true;
	target_release(target);
	ck_assert_ptr_null(pool_mailbox_take(&mailbox));
	ck_assert_uint_eq(target_inflight(target), 0);
	ck_assert(!pool_state_offer(pool, target));
	target->closed = false;
	ck_assert(pool_state_offer(pool, target));
	expect_granted(&waiter);
	ck_assert(!pool_state_offer(pool, target));
	target_release(target);
	close_pool();
}
END_TEST

START_TEST(lowered_limit_holds_for_those_who_wait_too)
{
	struct pool_waiter waiter;

	open_pool(2, 1);
	waiter = waiter_of(&mailbox);
	ck_assert(target_reserve(target) && target_reserve(target));
	ck_assert_int_eq(pool_state_wait(pool, &waiter), 0);
	target->max_connections = 1;
	target_release(target);
	ck_assert_ptr_null(pool_mailbox_take(&mailbox));
	ck_assert_uint_eq(target_inflight(target), 1);
	target_release(target);
	expect_granted(&waiter);
	target_release(target);
	close_pool();
}
END_TEST

/* --- several workers at once --- */

#define WORKERS 4
#define ROUNDS  2000 /* sessions that each worker serves */
#define SLOTS   3
#define QUEUE   6 /* fewer than would all wait, so that some are turned away */
#define SIDES   4 /* sessions a worker has under way */

struct side {
	struct pool_waiter waiter;
	bool waits;
	bool holds;
};

struct fighter {
	struct pool_mailbox mailbox;
	struct side sides[SIDES];
	pthread_t thread;
	uint64_t served, refused, left;
	unsigned random;
};

static struct fighter fighters[WORKERS];
static _Atomic uint32_t inside, highest;
static pthread_barrier_t start;

static void enter(struct side *side)
{
	uint32_t now = atomic_fetch_add(&inside, 1) + 1, seen = atomic_load(&highest);

	while (now > seen && !atomic_compare_exchange_weak(&highest, &seen, now))
		;
	side->holds = true;
}

static void leave_slot(struct fighter *fighter, struct side *side)
{
	side->holds = false;
	fighter->served++;
	atomic_fetch_sub(&inside, 1);
	target_release(target);
}

/* What a session does: take a slot, or wait for one and look again. */
static void ask(struct fighter *fighter, struct side *side)
{
	side->waiter.ticket = 0;
	if (target_reserve(target))
		enter(side);
	else if (pool_state_wait(pool, &side->waiter)) {
		fighter->refused++;
		sched_yield();
	} else {
		side->waits = true;
		pool_state_offer(pool, target);
	}
}

static void collect(struct fighter *fighter)
{
	struct pool_waiter *waiter;

	while ((waiter = pool_mailbox_take(&fighter->mailbox))) {
		struct side *side = container_of(waiter, struct side, waiter);

		ck_assert_ptr_eq(pool_state_leave(pool, waiter), target);
		target_put(target);
		side->waits = false;
		enter(side);
	}
}

static void give_up(struct fighter *fighter, struct side *side)
{
	if (pool_state_leave(pool, &side->waiter)) {
		target_put(target);
		target_release(target);
	}
	side->waits = false;
	fighter->left++;
}

static void act(struct fighter *fighter, struct side *side)
{
	unsigned dice = (unsigned)rand_r(&fighter->random) % 16;

	if (side->holds)
		leave_slot(fighter, side);
	else if (!side->waits)
		ask(fighter, side);
	else if (!dice)
		give_up(fighter, side);
}

/* Nobody asks any more, so every waiter must be served by those who leave: a lost wakeup would
 * leave somebody waiting for ever. */
static bool finish(struct fighter *fighter, struct side *side)
{
	struct pollfd poll_fd = {.fd = fighter->mailbox.event_fd, .events = POLLIN};
	uint64_t count;

	while (side->waits) {
		for (int i = 0; i < SIDES; i++)
			if (fighter->sides[i].holds)
				leave_slot(fighter, &fighter->sides[i]);
		if (poll(&poll_fd, 1, PATIENCE_MS) != 1)
			return false;
		if (read(poll_fd.fd, &count, sizeof(count)) < 0)
			return false;
		collect(fighter);
	}
	if (side->holds)
		leave_slot(fighter, side);
	return true;
}

static void *fight(void *arg)
{
	struct fighter *fighter = arg;

	pthread_barrier_wait(&start);
	while (fighter->served < ROUNDS) {
		collect(fighter);
		act(fighter, &fighter->sides[(unsigned)rand_r(&fighter->random) % SIDES]);
	}
	for (int i = 0; i < SIDES; i++)
		if (!finish(fighter, &fighter->sides[i]))
			return fighter;
	return NULL;
}

static void start_fighters(void)
{
	ck_assert_int_eq(pthread_barrier_init(&start, NULL, WORKERS), 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		struct fighter *fighter = &fighters[i];

		*fighter = (struct fighter){.random = i + 1};
		pool_mailbox_init(&fighter->mailbox, eventfd(0, EFD_NONBLOCK));
		for (int j = 0; j < SIDES; j++)
			fighter->sides[j].waiter = waiter_of(&fighter->mailbox);
		ck_assert_int_eq(pthread_create(&fighter->thread, NULL, fight, fighter), 0);
	}
}

START_TEST(racing_workers_lose_no_waiter_and_exceed_no_limit)
{
	uint64_t served = 0, refused = 0, left = 0;

	open_pool(SLOTS, QUEUE);
	start_fighters();
	for (int i = 0; i < WORKERS; i++) {
		void *lost;

		pthread_join(fighters[i].thread, &lost);
		ck_assert_ptr_null(lost);
		served += fighters[i].served;
		refused += fighters[i].refused;
		left += fighters[i].left;
	}
	for (int i = 0; i < WORKERS; i++) { /* until here, others may wake it */
		close(fighters[i].mailbox.event_fd);
		pool_mailbox_fini(&fighters[i].mailbox);
	}
	ck_assert_uint_le(highest, SLOTS);
	ck_assert_uint_ge(served, WORKERS * ROUNDS);
	ck_assert_uint_gt(pool->queued, 0);
	ck_assert_uint_eq(pool->queue_full, refused);
	ck_assert_uint_gt(left, 0);
	pthread_barrier_destroy(&start);
	close_pool();
}
END_TEST

/* --- one gives back the only slot while another begins to wait for it --- */

#define MEETINGS 30000

static _Atomic unsigned arrived;
static _Atomic bool somebody_is_lost;

/* Both go on at the same moment, as exactly as can be, and then a little apart. */
static void meet(unsigned meeting, unsigned *random)
{
	volatile unsigned apart = (unsigned)rand_r(random) % 128;

	atomic_fetch_add(&arrived, 1);
	for (unsigned spins = 1; atomic_load(&arrived) < 2 * meeting; spins++)
		if (spins % 4096 == 0)
			sched_yield();
	while (apart)
		apart--;
}

static void *giver(void *arg)
{
	unsigned random = 1;

	for (unsigned i = 1; i <= MEETINGS && !atomic_load(&somebody_is_lost); i++) {
		while (!target_reserve(target))
			sched_yield();
		meet(2 * i - 1, &random);
		/* On a busy machine they might never overlap: now and then they have to. */
		while (i % 1000 == 0 && !pool_state_is_awaited(pool))
			sched_yield();
		target_release(target);
		meet(2 * i, &random);
	}
	return NULL;
}

static bool take_or_wait(struct pool_waiter *waiter)
{
	struct pollfd poll_fd = {.fd = mailbox.event_fd, .events = POLLIN};

	if (target_reserve(target))
		return true;
	ck_assert_int_eq(pool_state_wait(pool, waiter), 0);
	pool_state_offer(pool, target);
	if (poll(&poll_fd, 1, PATIENCE_MS / 4) != 1)
		return false;
	woken();
	ck_assert_ptr_eq(pool_mailbox_take(&mailbox), waiter);
	ck_assert_ptr_eq(pool_state_leave(pool, waiter), target);
	target_put(target);
	return true;
}

START_TEST(slot_given_back_while_somebody_begins_to_wait_is_found)
{
	struct pool_waiter waiter;
	unsigned random = 2;
	pthread_t thread;

	open_pool(1, 1);
	waiter = waiter_of(&mailbox);
	ck_assert_int_eq(pthread_create(&thread, NULL, giver, NULL), 0);
	for (unsigned i = 1; i <= MEETINGS; i++) {
		meet(2 * i - 1, &random);
		if (!take_or_wait(&waiter)) {
			atomic_store(&somebody_is_lost, true);
			atomic_store(&arrived, 4 * MEETINGS);
			ck_abort_msg("nobody told the waiter of meeting %u", i);
		}
		target_release(target);
		waiter.ticket = 0;
		meet(2 * i, &random);
	}
	pthread_join(thread, NULL);
	ck_assert_uint_gt(pool->queued, 0);
	close_pool();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		slots_of_all_targets_count_against_the_limit_of_the_pool,
		freed_slot_goes_to_the_oldest_waiter_without_being_free,
		sleeping_worker_is_woken_once_for_all_its_slots,
		waiter_is_passed_by_for_a_target_that_it_has_tried,
		full_queue_turns_away_and_counts,
		slot_granted_to_one_who_leaves_is_its_to_give_back,
		one_who_comes_back_stands_where_it_stood,
		closed_target_grants_nothing,
		lowered_limit_holds_for_those_who_wait_too,
		slot_given_back_while_somebody_begins_to_wait_is_found,
		racing_workers_lose_no_waiter_and_exceed_no_limit,
	};

	return run_tests("pool_state", tests, COUNT(tests));
}
