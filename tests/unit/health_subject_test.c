/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of targets to check: copies of what they were given, found by key, made whole or not at
 * all.
 */
/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=strdup */
#include "proxy/health/subject.h"
#include "tests/unit/health_rig.h"

#define MANY 10000

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

static unsigned allocations, fail_at; /* 0: never */

static bool fails(void)
{
	return ++allocations == fail_at;
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

static struct health_conf conf;
static struct subject_table table;

static struct health_job job_of(uint64_t key, const char *addr)
{
	return (struct health_job){.key = key, .addr = addr_of(addr), .conf = &conf};
}

START_TEST(target_is_checked_at_another_port_if_there_is_one)
{
	struct health_job jobs[2];
	struct subject *subject;

	conf = health_conf_of(HEALTH_TCP);
	conf.port = 8081;
	jobs[0] = job_of(1, "10.0.0.1:80");
	jobs[1] = job_of(2, "unix:/run/x");
	ck_assert_int_eq(subject_table_init(&table, jobs, 2), 0);
	subject = subject_table_take(&table, 1);
	ck_assert_uint_eq(subject->addr.port, 8081);
	subject_free(subject);
	subject = subject_table_take(&table, 2);
	ck_assert_uint_eq(subject->addr.port, 0);
	ck_assert_str_eq(subject->addr.path, "/run/x");
	ck_assert_ptr_ne(subject->addr.path, jobs[1].addr.path);
	subject_free(subject);
	subject_table_fini(&table);
}
END_TEST

START_TEST(nothing_of_the_configuration_is_borrowed)
{
	char path[] = "/up", host[] = "a.example", method[] = "GET";
	uint8_t bytes[] = "ping";
	struct subject *subject;
	struct health_job job;

	conf = health_conf_of(HEALTH_HTTP);
	conf.path = path;
	conf.host = host;
	conf.method = method;
	conf.send = conf.expect = (struct bytes_conf){bytes, 4};
	job = job_of(1, "10.0.0.1:80");
	ck_assert_int_eq(subject_table_init(&table, &job, 1), 0);
	memset(path, 0, sizeof(path));
	memset(host, 0, sizeof(host));
	memset(method, 0, sizeof(method));
	memset(bytes, 0, sizeof(bytes));
	subject = subject_table_take(&table, 1);
	ck_assert_str_eq(subject->settings->conf.path, "/up");
	ck_assert_str_eq(subject->settings->conf.host, "a.example");
	ck_assert_str_eq(subject->settings->conf.method, "GET");
	ck_assert_int_eq(memcmp(subject->settings->conf.send.data, "ping", 4), 0);
	ck_assert_int_eq(memcmp(subject->settings->conf.expect.data, "ping", 4), 0);
	subject_free(subject);
	subject_table_fini(&table);
}
END_TEST

START_TEST(job_without_a_check_or_named_twice_is_left_out)
{
	struct health_conf off = health_conf_of(HEALTH_OFF);
	struct health_job jobs[3];

	conf = health_conf_of(HEALTH_TCP);
	jobs[0] = job_of(7, "10.0.0.1:80");
	jobs[1] = job_of(7, "10.0.0.2:80");
	jobs[2] = job_of(8, "10.0.0.3:80");
	jobs[2].conf = &off;
	ck_assert_int_eq(subject_table_init(&table, jobs, 3), 0);
	ck_assert_uint_eq(table.count, 1);
	ck_assert_ptr_null(subject_table_take(&table, 8));
	subject_table_fini(&table);
}
END_TEST

START_TEST(many_targets_are_found_and_share_their_settings)
{
	static struct health_job jobs[MANY];
	unsigned before;

	conf = health_conf_of(HEALTH_TCP);
	for (size_t i = 0; i < MANY; i++)
		jobs[i] = job_of(i * 64, "10.0.0.1:80");
	before = allocations;
	ck_assert_int_eq(subject_table_init(&table, jobs, MANY), 0);
	ck_assert_uint_lt(allocations - before, MANY + 10);
	ck_assert_ptr_null(subject_table_take(&table, 1));
	for (size_t i = 0; i < MANY; i += 2) {
		struct subject *subject = subject_table_take(&table, i * 64);

		if (!subject || subject->key != i * 64)
			ck_abort_msg("key %zu is missing", i * 64);
		subject_free(subject);
	}
	ck_assert_uint_eq(table.count, MANY / 2);
	subject_table_fini(&table);
}
END_TEST

START_TEST(difference_is_seen_in_every_setting)
{
	struct health_conf first = health_conf_of(HEALTH_HTTP);
	char text[] = "x";
	struct settings *a, *b;

	first.path = first.host = first.method = (char *)"y";
	first.send = first.expect = bytes_of("y");
	a = settings_new(&first);
	for (int field = 0; field < 17; field++) {
		struct health_conf second = first;

		switch (field) {
		case 0:
			second.kind = HEALTH_TCP;
			break;
		case 1:
			second.port++;
			break;
		case 2:
			second.interval_ms++;
			break;
		case 3:
			second.fast_interval_ms++;
			break;
		case 4:
			second.timeout_ms++;
			break;
		case 5:
			second.rise++;
			break;
		case 6:
			second.fall++;
			break;
		case 7:
			second.jitter_percent++;
			break;
		case 8:
			second.method = text;
			break;
		case 9:
			second.path = text;
			break;
		case 10:
			second.host = text;
			break;
		case 11:
			second.host = NULL;
			break;
		case 12:
			second.status_low++;
			break;
		case 13:
			second.status_high++;
			break;
		case 14:
			second.send = bytes_of(text);
			break;
		case 15:
			second.expect = bytes_of("yy");
			break;
		default:
			break; /* no difference */
		}
		b = settings_new(&second);
		ck_assert_int_eq(settings_equal(a, b), field == 16);
		ck_assert_int_eq(settings_equal(b, a), field == 16);
		settings_put(b);
	}
	settings_put(a);
	settings_put(NULL);
}
END_TEST

START_TEST(without_memory_there_is_no_table_and_no_leak)
{
	struct health_conf other;
	struct health_job jobs[3];
	unsigned failures = 0;
	int r = -ENOMEM;

	conf = health_conf_of(HEALTH_HTTP);
	conf.path = conf.method = conf.host = (char *)"x";
	other = conf;
	jobs[0] = job_of(1, "10.0.0.1:80");
	jobs[1] = job_of(2, "unix:/run/x");
	jobs[2] = job_of(3, "10.0.0.3:80");
	jobs[2].conf = &other;
	for (unsigned nth = 1; r < 0; nth++) {
		table = (struct subject_table){.count = 77};
		allocations = 0;
		fail_at = nth;
		r = subject_table_init(&table, jobs, 3);
		fail_at = 0;
		if (r == 0)
			break;
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert_uint_eq(table.count, 77);
		failures++;
	}
	/* The buckets, three targets, a path, and two settings of six pieces each. */
	ck_assert_uint_eq(failures, 1 + 3 + 1 + 2 * 6);
	subject_table_fini(&table);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		target_is_checked_at_another_port_if_there_is_one,
		nothing_of_the_configuration_is_borrowed,
		job_without_a_check_or_named_twice_is_left_out,
		many_targets_are_found_and_share_their_settings,
		difference_is_seen_in_every_setting,
		without_memory_there_is_no_table_and_no_leak,
	};

	return run_tests("health_subject", tests, COUNT(tests));
}
