/* SPDX-License-Identifier: Apache-2.0
 *
 * A pool for the balancing tests: rig_init() makes targets of weight 1, the test changes what it
 * likes, rig_open() makes the balancer and the cursor of worker 0 of 1.
 */
#pragma once

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/balance.h"
#include "proxy/target.h"

/* Its upper half is 0, so that rounds begin at the first member. */
#define RIG_SEED 42

struct rig {
	enum balance_kind kind;
	size_t count;
	uint32_t load_percent; /* 0: no bound */
	struct balance_member *members;
	struct balancer *balancer;
	struct balance_cursor *cursor;
	struct balance_query query;
};

static inline void rig_init(struct rig *rig, enum balance_kind kind, size_t count)
{
	*rig = (struct rig){.kind = kind, .count = count};
	rig->members = calloc(count + 1, sizeof(*rig->members));
	ck_assert_ptr_nonnull(rig->members);
	for (size_t i = 0; i < count; i++) {
		struct addr addr = {.family = AF_INET, .port = 80};
		char name[ADDR_TEXT];

		addr.v4.s_addr = htonl(0x0a000000 + (uint32_t)i);
		addr_format(&addr, name);
		rig->members[i].target = target_new(name, &addr, 1);
		ck_assert_ptr_nonnull(rig->members[i].target);
		rig->members[i].key = rig->members[i].target->name;
		rig->members[i].weight = 1;
	}
}

static inline void rig_close(struct rig *rig)
{
	balance_cursor_free(rig->cursor);
	balancer_put(rig->balancer);
}

static inline void rig_open_worker(struct rig *rig, unsigned worker, unsigned worker_count)
{
	rig_close(rig);
	rig->balancer = balancer_new(rig->kind, rig->members, rig->count, rig->load_percent);
	ck_assert_ptr_nonnull(rig->balancer);
	rig->cursor = balance_cursor_new(rig->balancer, worker, worker_count, RIG_SEED);
	ck_assert_ptr_nonnull(rig->cursor);
}

static inline void rig_open(struct rig *rig)
{
	rig_open_worker(rig, 0, 1);
}

static inline void rig_fini(struct rig *rig)
{
	rig_close(rig);
	for (size_t i = 0; i < rig->count; i++)
		target_put(rig->members[i].target);
	free(rig->members);
}

/* Pick for the `client`-th client address. */
static inline int rig_pick(struct rig *rig, int client)
{
	struct addr addr = {.family = AF_INET};

	addr.v4.s_addr = htonl(0xc0000000 + (uint32_t)client);
	rig->query.key_hash = addr_hash_host(&addr);
	return balance_pick(rig->cursor, &rig->query);
}

/* Pick `picks` times for different clients and add up who was picked. */
static inline void rig_count(struct rig *rig, int picks, unsigned *counts)
{
	for (int i = 0; i < picks; i++) {
		int picked = rig_pick(rig, i);

		/* ck_assert() costs a write(2) whenever it is reached, so not for each of a
		 * million. */
		if (picked < 0)
			ck_abort_msg("pick %d gave %d", i, picked);
		counts[picked]++;
	}
}

/* Run two cases as one suite; the exit status of main(). */
static inline int rig_run(const char *name, TCase *one, TCase *two)
{
	Suite *suite = suite_create(name);
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, one);
	suite_add_tcase(suite, two);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
