/* SPDX-License-Identifier: Apache-2.0
 *
 * What a pick costs: nanoseconds for each algorithm over pools of several sizes, with equal and
 * with mixed weights, one thread, targets equally loaded (the dearest case for a search of the
 * minimum) with a slot reserved on each pick and released 100 picks later.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/balance.h"
#include "proxy/base/clock.h"
#include "proxy/base/panic.h"
#include "proxy/target.h"

#define OPEN     100
#define BENCH_US (200 * US_PER_MS)

struct bench {
	struct balance_member *members;
	size_t count;
	char (*keys)[32];
};

static void bench_init(struct bench *bench, size_t count, bool mixed)
{
	bench->count = count;
	bench->members = calloc(count, sizeof(*bench->members));
	bench->keys = calloc(count, sizeof(*bench->keys));
	must(bench->members && bench->keys);
	for (size_t i = 0; i < count; i++) {
		struct addr addr = {.family = AF_INET, .port = (uint16_t)i};

		snprintf(bench->keys[i], sizeof(bench->keys[i]), "10.0.0.1:%zu", i);
		bench->members[i] = (struct balance_member){
			.target = target_new(bench->keys[i], &addr, 1),
			.key = bench->keys[i],
			.weight = mixed ? 1 + (uint32_t)(i * 37 % 100) : 1,
		};
		must(bench->members[i].target);
	}
}

static void bench_fini(struct bench *bench)
{
	for (size_t i = 0; i < bench->count; i++)
		target_put(bench->members[i].target);
	free(bench->members);
	free(bench->keys);
}

static double ns_per_pick(const struct bench *bench, enum balance_kind kind)
{
	struct balancer *balancer = balancer_new(kind, bench->members, bench->count, 0);
	struct balance_cursor *cursor = balance_cursor_new(balancer, 0, 1, 1);
	struct balance_query query = {0};
	struct target *open[OPEN] = {0};
	uint64_t picks = 0;
	uint64_t begun = clock_us();
	uint64_t spent;

	must(balancer && cursor);
	do {
		for (int i = 0; i < OPEN; i++, picks++) {
			query.key_hash += UINT64_C(0x9e3779b97f4a7c15);
			if (open[i])
				target_release(open[i]);
			open[i] = bench->members[balance_pick(cursor, &query)].target;
			must(target_reserve(open[i]));
		}
		spent = clock_us() - begun;
	} while (spent < BENCH_US);
	for (int i = 0; i < OPEN; i++)
		target_release(open[i]);
	balance_cursor_free(cursor);
	balancer_free(balancer);
	return (double)spent * 1000 / (double)picks;
}

int main(void)
{
	static const size_t counts[] = {10, 100, 1000};

	printf("%-18s %8s %12s %12s\n", "ns per pick", "members", "equal", "mixed");
	for (int kind = 0; kind < BALANCE_KINDS; kind++)
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			double ns[2];

			for (int mixed = 0; mixed < 2; mixed++) {
				struct bench bench;

				bench_init(&bench, counts[i], mixed);
				ns[mixed] = ns_per_pick(&bench, (enum balance_kind)kind);
				bench_fini(&bench);
			}
			printf("%-18s %8zu %12.0f %12.0f\n", balance_kind_names[kind], counts[i],
			       ns[0], ns[1]);
		}
	return 0;
}
