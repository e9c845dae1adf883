/* SPDX-License-Identifier: Apache-2.0
 *
 * Building snapshots: what a rebuild takes over from the one before, what names become, and that
 * each allocation may fail.
 */
/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=strdup,--wrap=aligned_alloc,--wrap=getaddrinfo */
#include <netdb.h>

#include "proxy/listener_stats.h"
#include "proxy/resolve.h"
#include "proxy/snapshot.h"
#include "proxy/snapshot_build.h"
#include "tests/unit/core_rig.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result);

static unsigned fail_at, allocations;

static bool fails(void)
{
	return fail_at && ++allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

/* "NUMBER.test" resolves to 10.0.0.NUMBER; anything else does not. */
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result)
{
	unsigned number;
	char text[32];

	if (sscanf(node, "%u.test", &number) != 1)
		return EAI_NONAME;
	snprintf(text, sizeof(text), "10.0.0.%u", number);
	return __real_getaddrinfo(text, service, hints, result);
}

#define LISTENERS "listeners: [{name: a, bind: \"127.0.0.1:80\", pool: p}]\n"

static struct config_ref *load(const char *yaml)
{
	struct config_ref *ref = config_ref_new(load_valid(yaml), config_free);

	ck_assert_ptr_nonnull(ref);
	return ref;
}

/* A snapshot alone: it owns the only reference on its configuration. */
static struct snapshot *build(const char *yaml, const struct snapshot *previous,
			      struct resolver *resolver)
{
	struct config_ref *config = load(yaml);
	struct snapshot *snapshot = NULL;

	ck_assert_int_eq(snapshot_build(config, previous, resolver, 2, &snapshot), 0);
	config_ref_put(config);
	return snapshot;
}

static uint32_t refs_of(const struct target *target)
{
	return atomic_load(&target->refs);
}

START_TEST(snapshot_has_what_the_configuration_says)
{
	struct snapshot *snapshot =
		build(LISTENERS "pools:\n"
				"- {name: p, balance: first, targets: [\"10.0.0.1:80\", {address: "
				"\"10.0.0.2:80\", weight: 7, max_connections: 5}]}\n"
				"- {name: q, targets: [\"unix:/run/q.sock\"]}\n",
		      NULL, NULL);
	struct pool *pool = &snapshot->pools[0];

	ck_assert_uint_eq(snapshot->generation, 1);
	ck_assert_uint_eq(pool->target_count, 2);
	ck_assert_str_eq(pool->targets[1]->name, "10.0.0.2:80");
	ck_assert_uint_eq(pool->weights[1], 7);
	ck_assert_uint_eq(pool->targets[1]->max_connections, 5);
	ck_assert_uint_eq(pool->targets[1]->worker_count, 2);
	ck_assert(!pool->unresolved);
	ck_assert_str_eq(snapshot->pools[1].targets[0]->addr.path, "/run/q.sock");
	ck_assert_str_eq(snapshot->listeners[0]->name, "a");
	snapshot_put(snapshot);
	snapshot_put(NULL);
}
END_TEST

START_TEST(rebuild_keeps_the_target_of_the_same_name_and_address)
{
	struct snapshot *one =
		build(LISTENERS "pools: [{name: p, targets: [\"10.0.0.1:80\", \"10.0.0.2:80\"]}]\n",
		      NULL, NULL);
	struct target *kept = one->pools[0].targets[1];
	struct snapshot *two;

	kept->counts[0].c.sessions = 42;
	ck_assert(target_reserve(kept));
	two = build(LISTENERS "pools: [{name: p, targets: [{address: \"10.0.0.2:80\", "
			      "max_connections: 9}, \"10.0.0.3:80\"]}]\n",
		    one, NULL);
	ck_assert_uint_eq(two->generation, 2);
	ck_assert_ptr_eq(two->pools[0].targets[0], kept);
	ck_assert_ptr_ne(two->pools[0].targets[1], one->pools[0].targets[0]);
	ck_assert_uint_eq(refs_of(kept), 2);
	snapshot_put(one);
	ck_assert_uint_eq(refs_of(kept), 1);
	ck_assert_uint_eq(kept->counts[0].c.sessions, 42);
	ck_assert_uint_eq(target_inflight(kept), 1);
	ck_assert_uint_eq(kept->max_connections, 9);
	snapshot_put(two);
}
END_TEST

START_TEST(target_that_is_gone_lives_as_long_as_the_snapshot_that_has_it)
{
	struct snapshot *one =
		build(LISTENERS "pools: [{name: p, targets: [\"10.0.0.1:80\"]}]\n", NULL, NULL);
	struct snapshot *two =
		build(LISTENERS "pools: [{name: p, targets: [\"10.0.0.2:80\"]}]\n", one, NULL);
	struct target *gone = one->pools[0].targets[0];

	ck_assert_uint_eq(refs_of(gone), 1);
	target_get(gone);
	snapshot_put(one);
	ck_assert_uint_eq(refs_of(gone), 1);
	target_put(gone);
	snapshot_put(two);
}
END_TEST

START_TEST(pools_of_other_names_share_no_target)
{
	struct snapshot *one =
		build(LISTENERS "pools: [{name: p, targets: [\"10.0.0.1:80\"]}]\n", NULL, NULL);
	struct snapshot *two = build(LISTENERS "pools:\n- {name: p, targets: [\"10.0.0.9:80\"]}\n"
					       "- {name: q, targets: [\"10.0.0.1:80\"]}\n",
				     one, NULL);

	ck_assert_ptr_ne(two->pools[1].targets[0], one->pools[0].targets[0]);
	snapshot_put(one);
	snapshot_put(two);
}
END_TEST

START_TEST(listener_keeps_its_counts_under_the_same_name_and_address)
{
	struct snapshot *one =
		build(LISTENERS "pools: [{name: p, targets: [\"10.0.0.1:80\"]}]\n", NULL, NULL);
	struct snapshot *two = build(
		"listeners: [{name: b, bind: \"127.0.0.1:81\", pool: p}, {name: a, bind: "
		"\"127.0.0.1:80\", pool: p}]\npools: [{name: p, targets: [\"10.0.0.1:80\"]}]\n",
		one, NULL);
	struct snapshot *three = build("listeners: [{name: a, bind: \"127.0.0.1:82\", pool: p}]\n"
				       "pools: [{name: p, targets: [\"10.0.0.1:80\"]}]\n",
				       two, NULL);

	ck_assert_ptr_eq(two->listeners[1], one->listeners[0]);
	ck_assert_ptr_ne(two->listeners[0], one->listeners[0]);
	ck_assert_ptr_ne(three->listeners[0], two->listeners[1]);
	snapshot_put(one);
	snapshot_put(two);
	snapshot_put(three);
}
END_TEST

START_TEST(name_becomes_one_target_per_address_and_keeps_those_that_stay)
{
	const char *yaml = LISTENERS "pools: [{name: p, targets: [\"7.test:80\", \"8.test:81\", "
				     "\"7.test:82\"]}]\n";
	const char *names[] = {"7.test", "8.test"};
	struct snapshot *one, *two;
	struct resolver *resolver;
	struct addr expected = addr_of("10.0.0.8:81");

	ck_assert_int_eq(resolver_start(86400000, -1, &resolver), 0);
	ck_assert_int_eq(resolver_set_names(resolver, names, 2, 86400000), 0);
	resolver_wait(resolver, PATIENCE_MS);
	one = build(yaml, NULL, resolver);
	ck_assert_uint_eq(one->pools[0].target_count, 3);
	ck_assert_str_eq(one->pools[0].targets[1]->name, "8.test:81/10.0.0.8");
	ck_assert(addr_equal(&one->pools[0].targets[1]->addr, &expected));
	ck_assert_uint_eq(one->pools[0].targets[2]->addr.port, 82);
	two = build(yaml, one, resolver);
	for (int i = 0; i < 3; i++)
		ck_assert_ptr_eq(one->pools[0].targets[i], two->pools[0].targets[i]);
	snapshot_put(one);
	snapshot_put(two);
	resolver_stop(resolver);
}
END_TEST

START_TEST(pool_is_unresolved_only_while_it_has_names_and_no_address)
{
	struct snapshot *down =
		build(LISTENERS "pools: [{name: p, targets: [\"x.test:80\"]}]\n", NULL, NULL);
	struct snapshot *half =
		build(LISTENERS "pools: [{name: p, targets: [\"x.test:80\", \"10.0.0.1:80\"]}]\n",
		      down, NULL);

	ck_assert(down->pools[0].unresolved);
	ck_assert_uint_eq(down->pools[0].target_count, 0);
	ck_assert(!half->pools[0].unresolved);
	ck_assert_uint_eq(half->pools[0].target_count, 1);
	snapshot_put(down);
	snapshot_put(half);
}
END_TEST

START_TEST(every_allocation_may_fail_and_leaves_the_previous_one_as_it_was)
{
	const char *yaml = LISTENERS "pools:\n"
				     "- {name: p, balance: maglev, targets: [\"10.0.0.1:80\", "
				     "\"10.0.0.2:80\"]}\n- {name: q, targets: "
				     "[\"unix:/run/q.sock\"]}\n";
	struct snapshot *previous =
		build(LISTENERS "pools: [{name: p, targets: [\"10.0.0.1:80\"]}]\n", NULL, NULL);
	struct config_ref *config = load(yaml);
	struct snapshot *snapshot = NULL;
	unsigned failures = 0;
	int err;

	do {
		allocations = 0;
		fail_at = failures + 1;
		err = snapshot_build(config, previous, NULL, 2, &snapshot);
		fail_at = 0;
		if (err) {
			failures++;
			ck_assert_int_eq(err, -ENOMEM);
			ck_assert_ptr_null(snapshot);
			ck_assert_uint_eq(config->refs, 1);
			ck_assert_uint_eq(refs_of(previous->pools[0].targets[0]), 1);
			ck_assert_uint_eq(previous->listeners[0]->refs, 1);
		}
	} while (err);
	ck_assert_uint_gt(failures, 10);
	snapshot_put(previous);
	snapshot_put(snapshot);
	config_ref_put(config);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		snapshot_has_what_the_configuration_says,
		rebuild_keeps_the_target_of_the_same_name_and_address,
		target_that_is_gone_lives_as_long_as_the_snapshot_that_has_it,
		pools_of_other_names_share_no_target,
		listener_keeps_its_counts_under_the_same_name_and_address,
		name_becomes_one_target_per_address_and_keeps_those_that_stay,
		pool_is_unresolved_only_while_it_has_names_and_no_address,
		every_allocation_may_fail_and_leaves_the_previous_one_as_it_was,
	};

	return run_tests("snapshot_build", tests, COUNT(tests));
}
