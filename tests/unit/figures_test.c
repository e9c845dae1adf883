/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers for people: durations. Bytes and rates are tested with the live figures they were made
 * for (live_test.c).
 */
#include "proxy/base/figures.h"
#include "tests/unit/conf_rig.h"

START_TEST(durations_have_two_units_while_the_first_is_small)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {
		{0, "0s"},
		{1, "1ms"},
		{999, "999ms"},
		{1000, "1s"},
		{59999, "59s"},
		{60000, "1m"},
		{200000, "3m20s"},
		{600000, "10m"},
		{659000, "10m"},
		{3599999, "59m"},
		{7500000, "2h5m"},
		{86400000, "1d"},
		{UINT64_C(4) * 86400000 + 7200000, "4d2h"},
		{UINT64_C(400) * 86400000, "400d"},
		{UINT64_MAX, "213503982334d"},
	};
	char buf[FIGURE_TEXT];

	for (size_t i = 0; i < COUNT(cases); i++)
		ck_assert_str_eq(figure_duration(cases[i].ms, buf), cases[i].text);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {durations_have_two_units_while_the_first_is_small};

	return run_tests("figures", tests, COUNT(tests));
}
