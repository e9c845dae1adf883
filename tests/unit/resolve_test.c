/* SPDX-License-Identifier: Apache-2.0
 *
 * The resolver against a name service of the test's own, whose answers change or fail when it says
 * so. An interval of a day makes sure that only what is asked for is looked up.
 */
/* link: -Wl,--wrap=getaddrinfo,--wrap=freeaddrinfo */
#include <netdb.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "proxy/base/log.h"
#include "proxy/resolve.h"
#include "tests/unit/core_rig.h"

#define DAY (24u * 3600 * 1000)

int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result);
void __real_freeaddrinfo(struct addrinfo *list);
void __wrap_freeaddrinfo(struct addrinfo *list);

/* What "a.test" and "b.test" resolve to: `count` addresses from 10.0.0.`first` down. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asked = PTHREAD_COND_INITIALIZER;
static int answer_error, answer_first = 9, answer_count = 2;
static unsigned lookups, live_lists;
static bool hang;

static struct addrinfo *answer(int count)
{
	struct addrinfo *list = NULL;

	for (int i = 0; i < count; i++) {
		struct addrinfo *info = calloc(1, sizeof(*info) + sizeof(struct sockaddr_in));
		struct sockaddr_in *in = (struct sockaddr_in *)(info + 1);

		in->sin_family = AF_INET;
		in->sin_addr.s_addr = htonl(0x0a000000u + (uint32_t)(answer_first - i));
		memset(in->sin_zero, (int)lookups, sizeof(in->sin_zero));
		info->ai_addr = (struct sockaddr *)in;
		info->ai_addrlen = sizeof(*in);
		info->ai_family = AF_INET;
		info->ai_next = list;
		list = info;
	}
	return list;
}

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result)
{
	int err;

	if (!strstr(node, ".test"))
		return __real_getaddrinfo(node, service, hints, result);
	pthread_mutex_lock(&lock);
	while (hang)
		pthread_cond_wait(&asked, &lock);
	err = answer_error;
	if (!err) {
		*result = answer(answer_count);
		live_lists++;
	}
	lookups++;
	pthread_cond_broadcast(&asked);
	pthread_mutex_unlock(&lock);
	return err;
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
	if (list && list->ai_addr != (struct sockaddr *)(list + 1)) {
		__real_freeaddrinfo(list);
		return;
	}
	while (list) {
		struct addrinfo *next = list->ai_next;

		free(list);
		list = next;
	}
	pthread_mutex_lock(&lock);
	live_lists--;
	pthread_mutex_unlock(&lock);
}

static struct resolver *resolver;
static int wake_fd;

static void open_resolver(uint32_t interval_ms)
{
	log_set_level(LOG_ERROR);
	wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ck_assert_int_eq(resolver_start(interval_ms, wake_fd, &resolver), 0);
}

static void close_resolver(void)
{
	resolver_stop(resolver);
	close(wake_fd);
}

static void set_names(const char *one, const char *two)
{
	const char *names[] = {one, two};

	ck_assert_int_eq(resolver_set_names(resolver, names, two ? 2 : 1, DAY), 0);
}

/* Change what the name service says, and have everything looked up again: once for the round that
 * this begins and once more, so that the first one is over and stored. */
static void change(int error, int first, int count)
{
	pthread_mutex_lock(&lock);
	answer_error = error;
	answer_first = first;
	answer_count = count;
	for (int i = 0; i < 2; i++) {
		unsigned before = lookups;

		pthread_mutex_unlock(&lock);
		set_names("a.test", NULL);
		pthread_mutex_lock(&lock);
		while (lookups == before)
			pthread_cond_wait(&asked, &lock);
	}
	pthread_mutex_unlock(&lock);
}

static bool was_woken(void)
{
	uint64_t count;

	return read(wake_fd, &count, sizeof(count)) == sizeof(count);
}

static void expect_woken(void)
{
	wait_for_events(wake_fd, POLLIN);
	ck_assert(was_woken());
}

START_TEST(localhost_resolves_without_ports)
{
	struct addr addrs[RESOLVE_MAX];
	bool found = false;
	size_t count;

	open_resolver(DAY);
	set_names("localhost", NULL);
	resolver_wait(resolver, PATIENCE_MS);
	count = resolver_lookup(resolver, "localhost", addrs, RESOLVE_MAX);
	ck_assert_uint_gt(count, 0);
	for (size_t i = 0; i < count; i++) {
		char text[ADDR_TEXT];

		ck_assert_uint_eq(addrs[i].port, 0);
		addr_format_host(&addrs[i], text);
		found |= !strcmp(text, "127.0.0.1") || strstr(text, "::1");
	}
	ck_assert(found);
	expect_woken();
	close_resolver();
}
END_TEST

START_TEST(answers_come_sorted_and_cut_to_what_is_asked_for)
{
	struct addr addrs[RESOLVE_MAX];

	answer_count = 5;
	open_resolver(DAY);
	set_names("a.test", NULL);
	resolver_wait(resolver, PATIENCE_MS);
	ck_assert_uint_eq(resolver_lookup(resolver, "a.test", addrs, RESOLVE_MAX), 5);
	for (int i = 1; i < 5; i++)
		ck_assert_int_lt(memcmp(&addrs[i - 1], &addrs[i], sizeof(addrs[0])), 0);
	ck_assert_uint_eq(resolver_lookup(resolver, "a.test", addrs, 3), 3);
	ck_assert_uint_eq(resolver_lookup(resolver, "b.test", addrs, RESOLVE_MAX), 0);
	ck_assert_uint_eq(resolver_lookup(NULL, "a.test", addrs, RESOLVE_MAX), 0);
	close_resolver();
}
END_TEST

START_TEST(more_addresses_than_fit_are_cut)
{
	struct addr addrs[RESOLVE_MAX];

	answer_first = 200;
	answer_count = RESOLVE_MAX + 10;
	open_resolver(DAY);
	set_names("a.test", NULL);
	resolver_wait(resolver, PATIENCE_MS);
	ck_assert_uint_eq(resolver_lookup(resolver, "a.test", addrs, RESOLVE_MAX), RESOLVE_MAX);
	close_resolver();
}
END_TEST

START_TEST(failing_name_keeps_its_last_answer)
{
	struct addr before[RESOLVE_MAX], after[RESOLVE_MAX];

	open_resolver(DAY);
	set_names("a.test", NULL);
	resolver_wait(resolver, PATIENCE_MS);
	ck_assert_uint_eq(resolver_lookup(resolver, "a.test", before, RESOLVE_MAX), 2);
	expect_woken();
	change(EAI_AGAIN, 9, 2);
	ck_assert_uint_eq(resolver_lookup(resolver, "a.test", after, RESOLVE_MAX), 2);
	ck_assert_int_eq(memcmp(before, after, 2 * sizeof(before[0])), 0);
	change(0, 9, 0); /* an answer without addresses is none */
	ck_assert_uint_eq(resolver_lookup(resolver, "a.test", after, RESOLVE_MAX), 2);
	ck_assert(!was_woken());
	close_resolver();
}
END_TEST

START_TEST(changed_answer_wakes_and_an_equal_one_does_not)
{
	struct addr addrs[RESOLVE_MAX];
	struct addr expected = addr_of("10.0.0.20:0");

	open_resolver(DAY);
	set_names("a.test", NULL);
	resolver_wait(resolver, PATIENCE_MS);
	expect_woken();
	change(0, 9, 2);
	ck_assert(!was_woken());
	change(0, 20, 1);
	expect_woken();
	ck_assert_uint_eq(resolver_lookup(resolver, "a.test", addrs, RESOLVE_MAX), 1);
	ck_assert(addr_equal(&addrs[0], &expected));
	change(0, 20, 2);
	expect_woken();
	close_resolver();
}
END_TEST

START_TEST(name_that_never_resolved_is_waited_for_once)
{
	struct addr addrs[RESOLVE_MAX];

	answer_error = EAI_NONAME;
	open_resolver(DAY);
	set_names("a.test", NULL);
	resolver_wait(resolver, PATIENCE_MS);
	ck_assert_uint_eq(resolver_lookup(resolver, "a.test", addrs, RESOLVE_MAX), 0);
	ck_assert(!was_woken());
	close_resolver();
}
END_TEST

START_TEST(name_that_is_given_twice_is_waited_for_once)
{
	/* Two targets may have one host and differ in their ports. */
	open_resolver(DAY);
	set_names("a.test", "a.test");
	resolver_wait(resolver, UINT32_MAX);
	pthread_mutex_lock(&lock);
	ck_assert_uint_ge(lookups, 1);
	pthread_mutex_unlock(&lock);
	close_resolver();
}
END_TEST

START_TEST(known_answer_survives_a_change_of_names)
{
	struct addr addrs[RESOLVE_MAX];

	open_resolver(DAY);
	set_names("a.test", NULL);
	resolver_wait(resolver, PATIENCE_MS);
	pthread_mutex_lock(&lock);
	answer_error = EAI_AGAIN;
	pthread_mutex_unlock(&lock);
	set_names("b.test", "a.test");
	ck_assert_uint_eq(resolver_lookup(resolver, "a.test", addrs, RESOLVE_MAX), 2);
	set_names("b.test", NULL);
	ck_assert_uint_eq(resolver_lookup(resolver, "a.test", addrs, RESOLVE_MAX), 0);
	close_resolver();
}
END_TEST

START_TEST(waiting_ends_with_its_time_while_a_lookup_hangs)
{
	hang = true;
	open_resolver(DAY);
	set_names("a.test", NULL);
	resolver_wait(resolver, 10);
	pthread_mutex_lock(&lock);
	ck_assert_uint_eq(lookups, 0);
	hang = false;
	pthread_cond_broadcast(&asked);
	pthread_mutex_unlock(&lock);
	resolver_wait(resolver, PATIENCE_MS);
	close_resolver();
	ck_assert_uint_eq(live_lists, 0);
}
END_TEST

START_TEST(names_are_looked_up_again_every_interval)
{
	open_resolver(1);
	ck_assert_int_eq(resolver_set_names(resolver, (const char *[]){"a.test"}, 1, 1), 0);
	pthread_mutex_lock(&lock);
	while (lookups < 5)
		pthread_cond_wait(&asked, &lock);
	pthread_mutex_unlock(&lock);
	close_resolver();
	ck_assert_uint_eq(live_lists, 0);
}
END_TEST

START_TEST(stopping_nothing_is_harmless)
{
	resolver_stop(NULL);
	open_resolver(DAY);
	resolver_wait(resolver, PATIENCE_MS);
	close_resolver();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		localhost_resolves_without_ports,
		answers_come_sorted_and_cut_to_what_is_asked_for,
		more_addresses_than_fit_are_cut,
		failing_name_keeps_its_last_answer,
		changed_answer_wakes_and_an_equal_one_does_not,
		name_that_never_resolved_is_waited_for_once,
		name_that_is_given_twice_is_waited_for_once,
		known_answer_survives_a_change_of_names,
		waiting_ends_with_its_time_while_a_lookup_hangs,
		names_are_looked_up_again_every_interval,
		stopping_nothing_is_harmless,
	};

	return run_tests("resolve", tests, COUNT(tests));
}
