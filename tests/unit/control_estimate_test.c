/* SPDX-License-Identifier: Apache-2.0
 *
 * The load of a configuration, and when intervals have to be stretched.
 */
#include "control/estimate.h"
#include "tests/unit/control_settings_rig.h"

#define ECS(more) "{ecs: {cluster: c, service: s" more "}}"

static struct settings *with_pools(const char *pools)
{
	char yaml[1024];

	snprintf(yaml, sizeof(yaml), ADMIN VALID_LISTENERS "pools:\n%s", pools);
	return settings_valid(yaml);
}

START_TEST(a_small_fleet_is_not_stretched)
{
	struct settings *settings = with_pools("  - {name: p, discover: " ECS("") "}\n");
	struct estimate estimate = {settings, (uint32_t[]){200}, 1};

	ck_assert_double_eq(estimate_stretch(&estimate, 0), 1);
	estimate.fleet_size = 25; /* 2 calls in 10 s, 25 times: just what api_rate grants */
	ck_assert_double_eq(estimate_stretch(&estimate, 0), 1);
	settings_free(settings);
}
END_TEST

START_TEST(a_fleet_is_stretched_until_its_calls_fit)
{
	struct settings *settings = with_pools("  - {name: p, discover: " ECS("") "}\n");
	struct estimate estimate = {settings, (uint32_t[]){200}, 100};

	ck_assert_double_eq_tol(estimate_stretch(&estimate, 0), 4, 1e-9);
	settings->api_rate = 20;
	ck_assert_double_eq_tol(estimate_stretch(&estimate, 0), 1, 1e-9);
	settings_free(settings);
}
END_TEST

START_TEST(only_calls_that_share_a_bucket_add_up)
{
	struct settings *settings = with_pools("  - {name: p, discover: " ECS(
		"") "}\n"
		    "  - {name: q, discover: " ECS(
			    "") "}\n"
				"  - {name: r, discover: " ECS(
					", region: elsewhere") "}\n"
							       "  - {name: s, discover: {ec2: "
							       "{tags: {a: b}, port: 1}}}\n");
	struct estimate estimate = {settings, (uint32_t[]){100, 200, 200, 250}, 100};

	/* p and q make 0.3 calls a second each node; r makes 0.2, s 0.25. */
	ck_assert_double_eq_tol(estimate_stretch(&estimate, 0), 6, 1e-9);
	ck_assert_double_eq_tol(estimate_stretch(&estimate, 1), 6, 1e-9);
	ck_assert_double_eq_tol(estimate_stretch(&estimate, 2), 4, 1e-9);
	ck_assert_double_eq_tol(estimate_stretch(&estimate, 3), 5, 1e-9);
	settings_free(settings);
}
END_TEST

START_TEST(cloud_map_has_more_room)
{
	struct settings *settings = with_pools(
		"  - {name: p, discover: {cloudmap: {namespace: n, service: s, interval: 1s}}}\n");
	struct estimate estimate = {settings, (uint32_t[]){100}, 100};

	ck_assert_double_eq(estimate_stretch(&estimate, 0), 1);
	estimate.fleet_size = 200;
	ck_assert_double_eq_tol(estimate_stretch(&estimate, 0), 2, 1e-9);
	settings_free(settings);
}
END_TEST

START_TEST(what_asks_no_api_costs_none)
{
	struct settings *settings = with_pools(
		"  - {name: p, discover: {file: {path: /x}, dns: {name: a.b, port: 1}}}\n");
	struct estimate estimate = {settings, (uint32_t[]){100, 100}, 100000};

	ck_assert_double_eq(estimate_stretch(&estimate, 0), 1);
	settings_free(settings);
}
END_TEST

START_TEST(the_load_is_printed_by_source_and_pool)
{
	struct settings *settings =
		with_pools("  - {name: p, health: {type: tcp, interval: 4s}, discover: " ECS(
			"") "}\n"
			    "  - {name: q, discover: {file: {path: /x}}}\n");
	struct estimate estimate = {settings, (uint32_t[]){200, 0}, 100};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	estimate_print(&estimate, out);
	fclose(out);
	ck_assert_str_eq(
		text, "load with 100 targets a source, in a fleet of 100:\n"
		      "  p/ecs (ecs): every 40s (4.00 times as long as configured, for api_rate), "
		      "3.0 API calls a minute, 300.0 of the fleet\n"
		      "  q/file (file): every 10s, no API calls\n"
		      "  p: each target gets 0.25 health checks a second, 25 of the fleet\n"
		      "  q: no health checks\n"
		      "  in all: 3.0 API calls a minute, 300.0 of the fleet\n");
	free(text);
	settings_free(settings);
}
END_TEST

START_TEST(a_sidecar_that_looks_for_tasks_is_warned_of)
{
	struct settings *settings = with_pools("  - {name: p, discover: " ECS("") "}\n");
	struct settings *cheap =
		with_pools("  - {name: p, discover: {cloudmap: {namespace: n, service: s}}}\n");
	struct estimate estimate = {settings, (uint32_t[]){200}, 10};
	struct estimate other = {cheap, (uint32_t[]){200}, 10};
	char text[512];

	ck_assert(!estimate_warns(&estimate, false, text, sizeof(text)));
	ck_assert(!estimate_warns(&other, true, text, sizeof(text)));
	ck_assert(estimate_warns(&estimate, true, text, sizeof(text)));
	ck_assert_str_eq(text, "source ecs of pool p in a container: every copy of it asks AWS by "
			       "itself, 12.0 API calls a minute each and 120.0 by 10 of them; "
			       "cloudmap or dns cost less there");
	settings_free(settings);
	settings_free(cheap);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		a_small_fleet_is_not_stretched,
		a_fleet_is_stretched_until_its_calls_fit,
		only_calls_that_share_a_bucket_add_up,
		cloud_map_has_more_room,
		what_asks_no_api_costs_none,
		the_load_is_printed_by_source_and_pool,
		a_sidecar_that_looks_for_tasks_is_warned_of,
	};

	return run_tests("control_estimate", tests, COUNT(tests));
}
