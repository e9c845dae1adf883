/* SPDX-License-Identifier: Apache-2.0
 *
 * Source port queues: when they begin, what order they keep, and that the slices of the workers are
 * the whole range and share nothing. Time stands where a test puts it.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=malloc,--wrap=calloc,--wrap=free */
#include <time.h>

#include "proxy/base/clock.h"
#include "proxy/ports.h"
#include "tests/unit/core_rig.h"

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __real_free(void *memory);
void __wrap_free(void *memory);

static int blocks; /* allocated and not freed; the checks themselves move it, too */
static uint64_t now_us = 1000 * US_PER_SEC;
static bool no_memory;

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
	*now = (struct timespec){.tv_sec = (time_t)(now_us / US_PER_SEC),
				 .tv_nsec = (long)(now_us % US_PER_SEC) * 1000};
	return 0;
}

void *__wrap_malloc(size_t size)
{
	void *memory = no_memory ? NULL : __real_malloc(size);

	blocks += memory != NULL;
	return memory;
}

void *__wrap_calloc(size_t count, size_t size)
{
	void *memory = __real_calloc(count, size);

	blocks += memory != NULL;
	return memory;
}

void __wrap_free(void *memory)
{
	blocks -= memory != NULL;
	__real_free(memory);
}

static struct addr from, to;

static struct ports *open_ports(unsigned index, unsigned count, uint16_t low, uint16_t high)
{
	struct ports *ports = ports_new(index, count);

	ck_assert_ptr_nonnull(ports);
	ports_set_range(ports, low, high);
	from = addr_of("127.0.0.1:0");
	to = addr_of("127.0.0.1:80");
	return ports;
}

START_TEST(quiet_target_leaves_the_choice_to_the_kernel)
{
	struct ports *ports = open_ports(0, 1, 10000, 10399);

	for (int i = 0; i < 10; i++) {
		struct port_lease lease = ports_take(ports, &from, &to, 10);

		ck_assert_ptr_null(lease.queue);
		ck_assert_uint_eq(ports_left(&lease), 0);
		ports_give_back(&lease);
	}
	ports_free(ports);
}
END_TEST

START_TEST(queue_begins_when_a_quarter_of_the_range_is_in_flight)
{
	struct ports *ports = open_ports(0, 1, 10000, 10399);
	struct port_lease lease = ports_take(ports, &from, &to, 98); /* 98 and this one */

	ck_assert_ptr_null(lease.queue);
	lease = ports_take(ports, &from, &to, 98);
	ck_assert_ptr_nonnull(lease.queue);
	ck_assert_uint_eq(ports_left(&lease), 399);
	ports_give_back(&lease);
	ports_free(ports);
}
END_TEST

START_TEST(queue_begins_when_lately_connected_ones_may_fill_a_quarter)
{
	struct ports *ports = open_ports(0, 2, 10000, 10399);
	struct port_lease lease;

	/* Each worker counts for all: 50 connects here are taken for 100 in all. */
	for (int i = 0; i < 49; i++)
		ck_assert_ptr_null(ports_take(ports, &from, &to, 0).queue);
	lease = ports_take(ports, &from, &to, 0);
	ck_assert_ptr_nonnull(lease.queue);
	ports_give_back(&lease);
	ports_free(ports);
}
END_TEST

START_TEST(connects_are_forgotten_when_their_time_wait_is_over)
{
	struct ports *ports = open_ports(0, 1, 10000, 10399);
	struct port_lease lease;

	for (int i = 0; i < 60; i++)
		ck_assert_ptr_null(ports_take(ports, &from, &to, 0).queue);
	now_us += 60 * US_PER_SEC; /* the next period still counts the one before */
	for (int i = 0; i < 39; i++)
		ck_assert_ptr_null(ports_take(ports, &from, &to, 0).queue);
	now_us += 120 * US_PER_SEC; /* a whole period without any */
	for (int i = 0; i < 99; i++)
		ck_assert_ptr_null(ports_take(ports, &from, &to, 0).queue);
	lease = ports_take(ports, &from, &to, 0);
	ck_assert_ptr_nonnull(lease.queue);
	ports_give_back(&lease);
	ports_free(ports);
}
END_TEST

START_TEST(ports_come_first_in_first_out)
{
	struct ports *ports = open_ports(0, 1, 10000, 10003);
	struct port_lease leases[4], again;

	for (int i = 0; i < 4; i++) {
		leases[i] = ports_take(ports, &from, &to, 100);
		ck_assert_uint_eq(leases[i].port, 10000 + i);
	}
	ck_assert_ptr_null(ports_take(ports, &from, &to, 100).queue); /* used up */
	ports_give_back(&leases[2]);
	ports_give_back(&leases[0]);
	again = ports_take(ports, &from, &to, 100);
	ck_assert_uint_eq(again.port, 10002);
	ports_give_back(&again);
	for (int i = 0; i < 100; i++) { /* round and round the ring */
		again = ports_take(ports, &from, &to, 100);
		ck_assert_uint_eq(again.port, i % 2 ? 10002 : 10000);
		ports_give_back(&again);
	}
	ports_give_back(&leases[1]);
	ports_give_back(&leases[3]);
	ports_free(ports);
}
END_TEST

START_TEST(port_set_aside_is_kept_out_until_nothing_else_is_left)
{
	struct ports *ports = open_ports(0, 1, 10000, 10003);
	struct port_lease lease = ports_take(ports, &from, &to, 100), leases[3];

	ports_set_aside(&lease);
	ck_assert_ptr_null(lease.queue);
	for (int round = 0; round < 3; round++) {
		lease = ports_take(ports, &from, &to, 100);
		ck_assert_uint_ne(lease.port, 10000);
		ports_give_back(&lease);
	}
	for (int i = 0; i < 3; i++)
		leases[i] = ports_take(ports, &from, &to, 100);
	lease = ports_take(ports, &from, &to, 100);
	ck_assert_ptr_nonnull(lease.queue);
	ck_assert_uint_eq(lease.port, 10000);
	ports_give_back(&lease);
	for (int i = 0; i < 3; i++)
		ports_give_back(&leases[i]);
	ports_free(ports);
}
END_TEST

START_TEST(port_set_aside_comes_back_after_a_minute)
{
	struct ports *ports = open_ports(0, 1, 10000, 10003);
	struct port_lease lease = ports_take(ports, &from, &to, 100);

	ports_set_aside(&lease);
	lease = ports_take(ports, &from, &to, 100);
	ck_assert_uint_eq(ports_left(&lease), 2);
	ports_give_back(&lease);
	now_us += 60 * US_PER_SEC;
	lease = ports_take(ports, &from, &to, 100);
	ck_assert_uint_eq(ports_left(&lease), 3);
	ports_give_back(&lease);
	ports_free(ports);
}
END_TEST

START_TEST(all_ports_set_aside_and_forgiven_come_round_again)
{
	struct ports *ports = open_ports(0, 1, 10000, 10003);

	for (int i = 0; i < 100; i++) {
		struct port_lease lease = ports_take(ports, &from, &to, 100);

		ck_assert_ptr_nonnull(lease.queue);
		ports_set_aside(&lease);
		ports_set_aside(&lease); /* nothing any more */
	}
	ports_free(ports);
}
END_TEST

START_TEST(giving_back_twice_gives_back_once)
{
	struct ports *ports = open_ports(0, 1, 10000, 10001);
	struct port_lease lease = ports_take(ports, &from, &to, 100);
	struct port_lease probe;

	ports_give_back(&lease);
	ck_assert_ptr_null(lease.queue);
	ports_give_back(&lease);
	probe = ports_take(ports, &from, &to, 100);
	ck_assert_uint_eq(ports_left(&probe), 1);
	ports_give_back(&probe);
	ports_free(ports);
}
END_TEST

/* Take everything of each worker; every port of the range must come exactly once. */
static void check_slices(unsigned workers, uint16_t low, uint16_t high)
{
	static uint8_t seen[UINT16_MAX + 1];
	unsigned size = (unsigned)(high - low) + 1, total = 0;

	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < workers; i++) {
		struct ports *ports = open_ports(i, workers, low, high);
		struct port_lease lease;

		while ((lease = ports_take(ports, &from, &to, UINT32_MAX)).queue) {
			if (lease.port < low || lease.port > high || seen[lease.port]++)
				ck_abort_msg("worker %u of %u got %u", i, workers, lease.port);
			total++;
		}
		ports_free(ports);
	}
	ck_assert_uint_eq(total, size);
}

START_TEST(slices_are_disjoint_and_cover_the_range)
{
	check_slices(1, 32768, 60999);
	check_slices(2, 32768, 60999);
	check_slices(7, 32768, 60999);
	check_slices(64, 1024, 65535);
	check_slices(3, 1, 65535);
	check_slices(16, 50000, 50002); /* some workers have none */
	check_slices(4, 65535, 65535);
}
END_TEST

START_TEST(pairs_of_source_and_target_have_queues_of_their_own)
{
	struct ports *ports = open_ports(0, 1, 10000, 10001);
	struct addr other_from = addr_of("127.0.0.2:0"), other_to = addr_of("127.0.0.1:81");
	struct port_lease leases[4] = {
		ports_take(ports, &from, &to, 100),
		ports_take(ports, &other_from, &to, 100),
		ports_take(ports, &from, &other_to, 100),
		ports_take(ports, NULL, &to, 100),
	};

	for (int i = 0; i < 4; i++) {
		ck_assert_uint_eq(leases[i].port, 10000);
		for (int j = 0; j < i; j++)
			ck_assert_ptr_ne(leases[i].queue, leases[j].queue);
	}
	for (int i = 0; i < 4; i++)
		ports_give_back(&leases[i]);
	ports_free(ports);
}
END_TEST

START_TEST(many_targets_in_few_buckets_are_all_found_again)
{
	struct ports *ports = open_ports(0, 1, 10000, 10001);
	struct port_lease lease;

	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 2000; i++) {
			to.v4.s_addr = htonl(0x0a000000 + i);
			lease = ports_take(ports, &from, &to, 100);
			ck_assert_uint_eq(lease.port, 10000 + round);
			ports_give_back(&lease);
		}
	}
	ports_free(ports);
}
END_TEST

START_TEST(without_memory_the_kernel_goes_on_choosing)
{
	struct ports *ports = open_ports(0, 1, 10000, 10001);
	struct port_lease lease;

	no_memory = true;
	lease = ports_take(ports, &from, &to, 100);
	no_memory = false;
	ck_assert_ptr_null(lease.queue);
	lease = ports_take(ports, &from, &to, 100);
	ck_assert_ptr_nonnull(lease.queue);
	ports_give_back(&lease);
	ports_free(ports);
}
END_TEST

START_TEST(new_range_begins_new_queues_and_forgets_the_ports_of_the_old_ones)
{
	struct ports *ports = open_ports(0, 1, 10000, 10001);
	struct port_lease old[2] = {ports_take(ports, &from, &to, 100),
				    ports_take(ports, &from, &to, 100)};
	struct port_lease lease;

	ports_set_range(ports, 20000, 20001);
	lease = ports_take(ports, &from, &to, 100);
	ck_assert_uint_eq(lease.port, 20000);
	ports_give_back(&old[0]);
	ports_set_aside(&old[1]);
	ports_give_back(&lease);
	for (int i = 1; i < 10; i++) {
		lease = ports_take(ports, &from, &to, 100);
		ck_assert_uint_eq(lease.port, 20000 + i % 2);
		ports_give_back(&lease);
	}
	ports_free(ports);
}
END_TEST

START_TEST(range_that_is_the_same_changes_nothing)
{
	struct ports *ports = open_ports(0, 1, 10000, 10001);
	struct port_lease lease = ports_take(ports, &from, &to, 100);

	ports_give_back(&lease);
	ports_set_range(ports, 10000, 10001);
	lease = ports_take(ports, &from, &to, 100);
	ck_assert_uint_eq(lease.port, 10001);
	ports_give_back(&lease);
	ports_free(ports);
}
END_TEST

/* Go on with one other target, a connect a second. */
static void pass_seconds(struct ports *ports, int seconds)
{
	struct addr other = from;

	other.port = 81;

	while (seconds--) {
		struct port_lease lease = ports_take(ports, &from, &other, 0);

		ports_give_back(&lease);
		now_us += US_PER_SEC;
	}
}

START_TEST(queues_of_targets_that_are_gone_are_freed)
{
	struct ports *ports = open_ports(0, 1, 10000, 10001);
	int before, full, kept, left;

	pass_seconds(ports, 1);
	before = blocks;
	for (unsigned i = 0; i < 2000; i++) {
		struct port_lease lease;

		to.v4.s_addr = htonl(0x0a000000 + i);
		lease = ports_take(ports, &from, &to, 100);
		ports_give_back(&lease);
	}
	full = blocks;
	pass_seconds(ports, 119);
	kept = blocks;
	pass_seconds(ports, 257);
	left = blocks;
	ck_assert_int_eq(full, before + 4000);
	ck_assert_int_eq(kept, full); /* a port may still be in TIME_WAIT */
	ck_assert_int_eq(left, before);
	ports_free(ports);
}
END_TEST

START_TEST(thousand_new_targets_a_second_do_not_pile_up)
{
	struct ports *ports = open_ports(0, 1, 10000, 60000);
	int before = blocks;

	for (unsigned i = 0; i < 100000; i++) {
		to.v4.s_addr = htonl(0x0a000000 + i);
		ports_take(ports, &from, &to, 0);
		now_us += 1000;
		if (blocks > before + 11000)
			ck_abort_msg("%d queues after %u targets", blocks - before, i);
	}
	ports_free(ports);
}
END_TEST

START_TEST(queue_with_a_port_out_waits_for_it)
{
	struct ports *ports = open_ports(0, 1, 10000, 10001);
	struct port_lease lease = ports_take(ports, &from, &to, 100);
	struct port_lease next;

	pass_seconds(ports, 1000);
	next = ports_take(ports, &from, &to, 100);
	ck_assert_ptr_eq(next.queue, lease.queue);
	ck_assert_uint_eq(next.port, 10001);
	ports_give_back(&lease);
	ports_give_back(&next);
	ports_free(ports);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		quiet_target_leaves_the_choice_to_the_kernel,
		queue_begins_when_a_quarter_of_the_range_is_in_flight,
		queue_begins_when_lately_connected_ones_may_fill_a_quarter,
		connects_are_forgotten_when_their_time_wait_is_over,
		ports_come_first_in_first_out,
		port_set_aside_is_kept_out_until_nothing_else_is_left,
		port_set_aside_comes_back_after_a_minute,
		all_ports_set_aside_and_forgiven_come_round_again,
		giving_back_twice_gives_back_once,
		slices_are_disjoint_and_cover_the_range,
		pairs_of_source_and_target_have_queues_of_their_own,
		many_targets_in_few_buckets_are_all_found_again,
		without_memory_the_kernel_goes_on_choosing,
		new_range_begins_new_queues_and_forgets_the_ports_of_the_old_ones,
		range_that_is_the_same_changes_nothing,
		queues_of_targets_that_are_gone_are_freed,
		thousand_new_targets_a_second_do_not_pile_up,
		queue_with_a_port_out_waits_for_it,
	};

	return run_tests("ports", tests, COUNT(tests));
}
