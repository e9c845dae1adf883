/* SPDX-License-Identifier: Apache-2.0
 *
 * Static targets: what the registry is told, one specification per address of a name.
 */
/* link: -Wl,--wrap=calloc,--wrap=getaddrinfo,--wrap=registry_put */
#include <netdb.h>

#include "proxy/registry.h"
#include "proxy/resolve.h"
#include "proxy/static_targets.h"
#include "tests/unit/core_rig.h"

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result);
int __wrap_registry_put(struct registry *registry, const char *pool, const char *source,
			uint64_t generation, const struct target_spec *specs, size_t count,
			uint64_t *ret_generation);

static unsigned fail_at, allocations;

void *__wrap_calloc(size_t count, size_t size)
{
	return fail_at && ++allocations == fail_at ? NULL : __real_calloc(count, size);
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

static struct target_spec put[8];
static char put_names[8][64], put_pools[8][16];
static size_t put_count, pools_put;
static int put_err;

int __wrap_registry_put(struct registry *registry, const char *pool, const char *source,
			uint64_t generation, const struct target_spec *specs, size_t count,
			uint64_t *ret_generation)
{
	ck_assert_str_eq(source, "config");
	ck_assert_uint_eq(generation, 0);
	snprintf(put_pools[pools_put++], sizeof(put_pools[0]), "%s", pool);
	for (size_t i = 0; i < count; i++) {
		snprintf(put_names[put_count], sizeof(put_names[0]), "%s", specs[i].written);
		put[put_count++] = specs[i];
	}
	if (!put_err)
		*ret_generation = 1;
	return put_err;
}

static struct config *config;

static int give(const char *pools, struct resolver *resolver)
{
	char yaml[1024];

	snprintf(yaml, sizeof(yaml),
		 "listeners: [{name: a, bind: \"127.0.0.1:80\", pool: p}]\npools: [%s]\n", pools);
	config = load_valid(yaml);
	return static_targets_put(NULL, config, resolver);
}

static struct resolver *resolve(const char *const *names, size_t count)
{
	struct resolver *resolver;

	ck_assert_int_eq(resolver_start(86400000, -1, &resolver), 0);
	ck_assert_int_eq(resolver_set_names(resolver, names, count, 86400000), 0);
	resolver_wait(resolver, PATIENCE_MS);
	return resolver;
}

START_TEST(every_pool_is_given_what_the_file_says)
{
	ck_assert_int_eq(give("{name: p, targets: [{address: \"10.0.0.1:80\", weight: 7, "
			      "max_connections: 5}, \"unix:/run/x.sock\"]},"
			      "{name: q, discover: {file: {path: /x, format: json}}}",
			      NULL),
			 0);
	ck_assert_uint_eq(pools_put, 2);
	ck_assert_str_eq(put_pools[1], "q");
	ck_assert_uint_eq(put_count, 2);
	ck_assert_str_eq(put_names[0], "10.0.0.1:80");
	ck_assert_uint_eq(put[0].weight, 7);
	ck_assert_uint_eq(put[0].max_connections, 5);
	ck_assert(!put[0].backup && !put[0].draining);
	ck_assert_str_eq(put[1].addr.path, "/run/x.sock");
	config_free(config);
}
END_TEST

START_TEST(name_becomes_one_target_per_address)
{
	const char *names[] = {"7.test", "8.test"};
	struct resolver *resolver = resolve(names, 2);
	struct addr expected = addr_of("10.0.0.8:81");

	ck_assert_int_eq(
		give("{name: p, targets: [\"7.test:80\", \"8.test:81\", \"x.test:82\"]}", resolver),
		0);
	ck_assert_uint_eq(put_count, 2);
	ck_assert_str_eq(put_names[0], "7.test:80/10.0.0.7");
	ck_assert_str_eq(put_names[1], "8.test:81/10.0.0.8");
	ck_assert(addr_equal(&put[1].addr, &expected));
	config_free(config);
	resolver_stop(resolver);
}
END_TEST

START_TEST(address_that_two_names_lead_to_is_given_once)
{
	const char *names[] = {"7.test", "7.test.example"};
	struct resolver *resolver = resolve(names, 2);

	ck_assert_int_eq(give("{name: p, targets: [\"7.test:80\", \"7.test.example:80\", "
			      "\"10.0.0.7:80\", \"7.test:81\"]}",
			      resolver),
			 0);
	ck_assert_uint_eq(put_count, 2);
	ck_assert_str_eq(put_names[0], "7.test:80/10.0.0.7");
	ck_assert_str_eq(put_names[1], "7.test:81/10.0.0.7");
	config_free(config);
	resolver_stop(resolver);
}
END_TEST

START_TEST(refusal_of_the_registry_is_passed_on)
{
	put_err = -E2BIG;
	ck_assert_int_eq(give("{name: p, targets: [\"10.0.0.1:80\"]},"
			      "{name: q, targets: [\"10.0.0.1:80\"]}",
			      NULL),
			 -E2BIG);
	ck_assert_uint_eq(pools_put, 1);
	config_free(config);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
	unsigned failures = 0;
	int err;

	give("{name: p, targets: [\"7.test:80\"]}", NULL);
	do {
		allocations = 0;
		fail_at = failures + 1;
		err = static_targets_put(NULL, config, NULL);
		fail_at = 0;
		failures += err == -ENOMEM;
	} while (err);
	ck_assert_uint_eq(failures, 2);
	config_free(config);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_pool_is_given_what_the_file_says,
		name_becomes_one_target_per_address,
		address_that_two_names_lead_to_is_given_once,
		refusal_of_the_registry_is_passed_on,
		every_allocation_may_fail,
	};

	return run_tests("static_targets", tests, COUNT(tests));
}
