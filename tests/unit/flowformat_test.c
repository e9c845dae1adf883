/* SPDX-License-Identifier: Apache-2.0
 *
 * Both shapes of a flow-log line; the JSON one is read back by a parser that is not ours.
 */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/flowlog.h"

static char line[FLOW_LINE_MAX];

static struct addr addr_of(const char *text)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse(text, &addr), 0);
	return addr;
}

static struct flow_record sample(void)
{
	return (struct flow_record){
		.accepted_wall_us = 1767323045678901,
		.connect_us = 1204,
		.client_first_us = 80,
		.backend_first_us = 2001007,
		.duration_us = 3600000000,
		.client_bytes = 4096,
		.backend_bytes = INT64_MAX,
		.spliced_bytes = 65536,
		.client = {addr_of("10.0.0.1:443"), addr_of("10.9.8.7:50000"), 512, 3, 1000000},
		.backend = {addr_of("10.0.0.1:40000"), addr_of("[2001:db8::1]:80"), 64, 0, 77},
		.proxy_source = addr_of("203.0.113.9:1025"),
		.proxy_destination = addr_of("198.51.100.2:443"),
		.id = 42,
		.worker = 5,
		.reason = REASON_BACKEND_RST,
		.retries = 2,
		.listener = "web",
		.pool = "app",
		.target = "db.internal:80/2001:db8::1",
		.vpce = "vpce-08d2",
	};
}

static json_t *as_json(const struct flow_record *record)
{
	int len = flow_format_json(record, line, sizeof(line));
	json_error_t error;
	json_t *json;

	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(line[len - 1], '\n');
	ck_assert_ptr_null(memchr(line, '\n', len - 1));
	json = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	ck_assert_msg(json, "%s in %.*s", error.text, len, line);
	return json;
}

static const char *as_text(const struct flow_record *record)
{
	int len = flow_format_text(record, line, sizeof(line) - 1);

	ck_assert_int_gt(len, 0);
	line[len] = '\0';
	return line;
}

static const char *string_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

START_TEST(text_line_has_every_field_in_order)
{
	struct flow_record record = sample();

	ck_assert_str_eq(as_text(&record),
			 "time=2026-01-02T03:04:05.678Z id=42 listener=web pool=app "
			 "target=db.internal:80/2001:db8::1 client=10.9.8.7:50000 "
			 "client_local=10.0.0.1:443 proxy_source=203.0.113.9:1025 "
			 "proxy_destination=198.51.100.2:443 vpce=vpce-08d2 "
			 "backend_local=10.0.0.1:40000 "
			 "backend=[2001:db8::1]:80 connect_ms=1.204 client_first_ms=0.080 "
			 "backend_first_ms=2001.007 duration_ms=3600000.000 client_bytes=4096 "
			 "backend_bytes=9223372036854775807 relay=mixed spliced_bytes=65536 "
			 "retries=2 client_rtt_us=512 client_retransmits=3 client_rate=1000000 "
			 "backend_rtt_us=64 backend_retransmits=0 backend_rate=77 worker=5 "
			 "reason=backend_rst\n");
}
END_TEST

START_TEST(json_line_has_the_same_fields_with_types)
{
	struct flow_record record = sample();
	json_t *json;

	record.backend_bytes = 65536;
	json = as_json(&record);
	ck_assert_uint_eq(json_object_size(json), 29);
	ck_assert_str_eq(string_of(json, "time"), "2026-01-02T03:04:05.678Z");
	ck_assert_str_eq(string_of(json, "listener"), "web");
	ck_assert_str_eq(string_of(json, "client"), "10.9.8.7:50000");
	ck_assert_str_eq(string_of(json, "proxy_source"), "203.0.113.9:1025");
	ck_assert_str_eq(string_of(json, "proxy_destination"), "198.51.100.2:443");
	ck_assert_str_eq(string_of(json, "vpce"), "vpce-08d2");
	ck_assert_str_eq(string_of(json, "backend"), "[2001:db8::1]:80");
	ck_assert_str_eq(string_of(json, "reason"), "backend_rst");
	ck_assert_int_eq(json_integer_value(json_object_get(json, "id")), 42);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "backend_bytes")), 65536);
	ck_assert_double_eq_tol(json_real_value(json_object_get(json, "connect_ms")), 1.204, 1e-9);
	json_decref(json);
}
END_TEST

START_TEST(what_never_happened_is_a_dash_or_null)
{
	struct flow_record record = {.reason = REASON_CONNECT_REFUSED, .listener = "web"};
	static const char *const absent[] = {"pool",       "target",          "client",
					     "backend",    "client_local",    "backend_local",
					     "vpce",       "proxy_source",    "proxy_destination",
					     "connect_ms", "client_first_ms", "backend_first_ms"};
	json_t *json = as_json(&record);
	const char *text = as_text(&record);

	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		char want[64];

		ck_assert_msg(json_is_null(json_object_get(json, absent[i])), "%s", absent[i]);
		snprintf(want, sizeof(want), " %s=- ", absent[i]);
		ck_assert_msg(strstr(text, want), "%s in %s", want, text);
	}
	ck_assert(strstr(text, " duration_ms=0.000 "));
	json_decref(json);
}
END_TEST

START_TEST(relay_names_how_the_bytes_went)
{
	struct flow_record record = sample();

	record.client_bytes = 10;
	record.backend_bytes = 90;
	record.spliced_bytes = 0;
	ck_assert(strstr(as_text(&record), " relay=copy "));
	record.spliced_bytes = 99;
	ck_assert(strstr(as_text(&record), " relay=mixed "));
	record.spliced_bytes = 100;
	ck_assert(strstr(as_text(&record), " relay=splice "));
	record.offloaded_bytes = 1;
	ck_assert(strstr(as_text(&record), " relay=flow "));
	record.joined = true;
	ck_assert(strstr(as_text(&record), " relay=sockmap "));
}
END_TEST

START_TEST(hostile_values_survive_json_and_stay_on_one_line)
{
	static const char hostile[] = "a\"b\\c\nd\x01\xc3\xa9\x7f";
	struct flow_record record = sample();
	json_t *json;

	strcpy(record.listener, hostile);
	strcpy(record.target, "\xc3\xa9\xff\xed\xa0\x80\xe0\x80\x80z"); /* é, then no UTF-8 */
	json = as_json(&record);
	ck_assert_str_eq(string_of(json, "listener"), hostile);
	ck_assert_str_eq(string_of(json, "target"),
			 "\xc3\xa9"
			 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
			 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
	json_decref(json);
	ck_assert(strstr(as_text(&record),
			 " listener=\"a\\\"b\\\\c\\u000ad\\u0001\xc3\xa9\\u007f\" "));
}
END_TEST

START_TEST(worst_record_fits_a_line_and_a_smaller_one_is_refused)
{
	static char path[108];
	struct flow_record record;

	memset(path, '\x01', sizeof(path) - 1);
	path[0] = '/';
	memset(&record, 0x7f, sizeof(record)); /* jansson reads no more than int64_t */
	record.joined = true;                  /* 0x7f is no bool */
	record.accepted_wall_us = 1767323045678901;
	record.reason = REASON_CONNECT_UNREACHABLE;
	record.client.local = (struct addr){.family = AF_UNIX, .path = path};
	record.client.peer = record.backend.local = record.backend.peer = record.client.local;
	record.proxy_source = record.proxy_destination = record.client.local;
	memset(record.listener, '\x01', sizeof(record.listener) - 1);
	memset(record.pool, '\x01', sizeof(record.pool) - 1);
	memset(record.target, '\x01', sizeof(record.target) - 1);
	memset(record.vpce, '\x01', sizeof(record.vpce) - 1);
	record.listener[31] = record.pool[31] = record.target[63] = record.vpce[63] = '\0';
	json_t *json = as_json(&record);

	json_decref(json);
	ck_assert_int_gt(flow_format_text(&record, line, sizeof(line)), 0);
	ck_assert_int_eq(flow_format_text(&record, line, 1000), 0);
	ck_assert_int_eq(flow_format_json(&record, line, 1000), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flowformat");
	TCase *cases = tcase_create("flowformat");
	SRunner *runner;
	int failed;

	tcase_add_test(cases, text_line_has_every_field_in_order);
	tcase_add_test(cases, json_line_has_the_same_fields_with_types);
	tcase_add_test(cases, what_never_happened_is_a_dash_or_null);
	tcase_add_test(cases, relay_names_how_the_bytes_went);
	tcase_add_test(cases, hostile_values_survive_json_and_stay_on_one_line);
	tcase_add_test(cases, worst_record_fits_a_line_and_a_smaller_one_is_refused);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
