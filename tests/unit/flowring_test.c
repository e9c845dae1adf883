/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue between a worker and the writer, alone and with both sides at once.
 */
#include <check.h>
#include <stdlib.h>

#include "proxy/base/thread.h"
#include "proxy/flowlog.h"
#include "proxy/flowring.h"

static bool push(struct flow_ring *ring, uint64_t id)
{
	struct flow_record record = {.id = id};

	return flow_ring_push(ring, &record);
}

static uint64_t pop(struct flow_ring *ring)
{
	const struct flow_record *record = flow_ring_front(ring);
	uint64_t id;

	ck_assert_ptr_nonnull(record);
	id = record->id;
	flow_ring_pop(ring);
	return id;
}

START_TEST(ring_returns_records_in_order_and_refuses_when_full)
{
	struct flow_ring *ring = flow_ring_new(8);
	uint64_t next_in = 0, next_out = 0;

	ck_assert_ptr_null(flow_ring_front(ring));
	for (int round = 0; round < 5; round++) {
		while (push(ring, next_in))
			next_in++;
		ck_assert_uint_eq(next_in - next_out, 8);
		ck_assert_uint_eq(flow_ring_length(ring), 8);
		for (int i = 0; i < 5; i++)
			ck_assert_uint_eq(pop(ring), next_out++);
		ck_assert_uint_eq(flow_ring_length(ring), 3);
	}
	while (next_out < next_in)
		ck_assert_uint_eq(pop(ring), next_out++);
	ck_assert_ptr_null(flow_ring_front(ring));
	flow_ring_free(ring);
}
END_TEST

START_TEST(bell_rings_once_on_the_way_past_half)
{
	struct flow_ring *ring = flow_ring_new(8);
	struct flow_bell bell = {0};

	flow_ring_set_bell(ring, &bell);
	for (int i = 0; i < 3; i++)
		push(ring, i);
	ck_assert_uint_eq(bell.rings, 0);
	push(ring, 3);
	ck_assert_uint_eq(bell.rings, 1);
	while (push(ring, 4))
		;
	ck_assert_uint_eq(bell.rings, 1);
	while (flow_ring_front(ring))
		flow_ring_pop(ring);
	for (int i = 0; i < 4; i++)
		push(ring, i);
	ck_assert_uint_eq(bell.rings, 2);
	flow_bell_wait(&bell, 1, 60000); /* was rung since: must not sleep */
	flow_ring_free(ring);
}
END_TEST

START_TEST(paths_of_unix_sockets_do_not_outlive_the_configuration)
{
	struct flow_ring *ring = flow_ring_new(2);
	struct flow_record record = {
		.client.local = {.family = AF_UNIX, .path = "/run/a.sock"},
		.backend.peer = {.family = AF_UNIX, .path = "/run/b.sock"},
		.proxy_source = {.family = AF_UNIX, .path = "/run/c.sock"},
	};
	const struct flow_record *front;

	ck_assert(flow_ring_push(ring, &record));
	front = flow_ring_front(ring);
	ck_assert_int_eq(front->client.local.family, AF_UNIX);
	ck_assert_ptr_null(front->client.local.path);
	ck_assert_ptr_null(front->backend.peer.path);
	ck_assert_ptr_null(front->proxy_source.path);
	flow_ring_free(ring);
}
END_TEST

#define TRAFFIC 200000

static void push_all(void *arg)
{
	for (uint64_t id = 0; id < TRAFFIC;)
		if (push(arg, id))
			id++;
		else
			sched_yield();
}

START_TEST(ring_loses_nothing_between_two_threads)
{
	struct flow_ring *ring = flow_ring_new(64);
	struct flow_bell bell = {0};
	struct thread producer;

	flow_ring_set_bell(ring, &bell);
	ck_assert_int_eq(thread_start(&producer, "producer", push_all, ring), 0);
	for (uint64_t id = 0; id < TRAFFIC;) {
		uint32_t rings = bell.rings;

		if (flow_ring_front(ring))
			ck_assert_uint_eq(pop(ring), id++);
		else
			flow_bell_wait(&bell, rings, 1);
	}
	thread_join(&producer);
	ck_assert_ptr_null(flow_ring_front(ring));
	flow_ring_free(ring);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flowring");
	TCase *cases = tcase_create("flowring");
	SRunner *runner;
	int failed;

	tcase_add_test(cases, ring_returns_records_in_order_and_refuses_when_full);
	tcase_add_test(cases, bell_rings_once_on_the_way_past_half);
	tcase_add_test(cases, paths_of_unix_sockets_do_not_outlive_the_configuration);
	tcase_add_test(cases, ring_loses_nothing_between_two_threads);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
