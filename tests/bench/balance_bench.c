/* SPDX-License-Identifier: Apache-2.0
 *
 * What a pick costs: nanoseconds for each algorithm over pools of several sizes, with equal and
 * with mixed weights, from one worker and from two that move the same counts, targets equally
 * loaded (the dearest case for a search of the minimum). Each pick's slot is reserved, and some
 * other session of this worker ends.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/balance.h"
#include "proxy/base/clock.h"
#include "proxy/base/panic.h"
#include "proxy/target.h"

#define OPEN     100
#define BENCH_US (20 * US_PER_MS)
#define RUNS     5

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

/* One thread with a cursor of its own. */
struct runner {
	pthread_t thread;
	const struct bench *bench;
	const struct balancer *balancer;
	pthread_barrier_t *start;
	unsigned index;
	unsigned count;
	double ns_per_pick;
};

static struct target *pick(const struct runner *runner, struct balance_cursor *cursor,
			   struct balance_query *query)
{
	struct target *target;

	query->key_hash += UINT64_C(0x9e3779b97f4a7c15);
	target = runner->bench->members[balance_pick(cursor, query)].target;
	must(target_reserve(target));
	return target;
}

static void *run(void *arg)
{
	struct runner *runner = arg;
	struct balance_cursor *cursor =
		balance_cursor_new(runner->balancer, runner->index, runner->count, 1);
	struct balance_query query = {0};
	struct target *open[OPEN];
	uint64_t picks = 0, begun, spent;

	must(cursor);
	for (int i = 0; i < OPEN; i++)
		open[i] = pick(runner, cursor, &query);
	pthread_barrier_wait(runner->start);
	begun = clock_us();
	do {
		for (int i = 0; i < OPEN; i++, picks++) {
			uint64_t ends = (query.key_hash >> 32) % OPEN;

			target_release(open[ends]);
			open[ends] = pick(runner, cursor, &query);
		}
		spent = clock_us() - begun;
	} while (spent < BENCH_US);
	for (int i = 0; i < OPEN; i++)
		target_release(open[i]);
	balance_cursor_free(cursor);
	runner->ns_per_pick = (double)spent * 1000 / (double)picks;
	return NULL;
}

/* The slower of up to two threads. */
static double ns_per_pick(enum balance_kind kind, size_t members, bool mixed, unsigned threads)
{
	struct bench bench;
	struct balancer *balancer;
	struct runner runners[2];
	pthread_barrier_t start;
	double worst = 0;

	bench_init(&bench, members, mixed);
	balancer = balancer_new(kind, bench.members, members, 125);
	must(balancer && !pthread_barrier_init(&start, NULL, threads));
	for (unsigned i = 0; i < threads; i++) {
		runners[i] = (struct runner){.bench = &bench,
					     .balancer = balancer,
					     .start = &start,
					     .index = i,
					     .count = threads};
		must(!pthread_create(&runners[i].thread, NULL, run, &runners[i]));
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(runners[i].thread, NULL);
		worst = runners[i].ns_per_pick > worst ? runners[i].ns_per_pick : worst;
	}
	pthread_barrier_destroy(&start);
	balancer_put(balancer);
	bench_fini(&bench);
	return worst;
}

/* The run that the rest of the machine disturbed least. */
static double best_ns(enum balance_kind kind, size_t members, bool mixed, unsigned threads)
{
	double best = ns_per_pick(kind, members, mixed, threads);

	for (int i = 1; i < RUNS; i++) {
		double ns = ns_per_pick(kind, members, mixed, threads);

		best = ns < best ? ns : best;
	}
	return best;
}

int main(void)
{
	static const size_t sizes[] = {10, 100, 1000, 10000};

	printf("%-18s %8s %10s %10s %10s %10s\n", "ns per pick", "members", "equal", "mixed",
	       "equal x2", "mixed x2");
	for (int kind = 0; kind < BALANCE_KINDS; kind++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			printf("%-18s %8zu", balance_kind_names[kind], sizes[i]);
			for (unsigned threads = 1; threads <= 2; threads++)
				for (int mixed = 0; mixed < 2; mixed++)
					printf(" %10.0f", best_ns((enum balance_kind)kind, sizes[i],
								  mixed, threads));
			putchar('\n');
		}
	return 0;
}
