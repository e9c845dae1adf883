/* SPDX-License-Identifier: Apache-2.0
 *
 * The fast path's part of a configuration.
 */
#include "proxy/model.h"
#include "tests/unit/conf_rig.h"

START_TEST(by_default_every_interface_is_used_by_tc)
{
	struct config *config = load_valid(VALID);

	ck_assert_int_eq(config->fast_path.hook, FAST_HOOK_AUTO);
	ck_assert_uint_eq(config->fast_path.interface_count, 0);
	ck_assert_uint_eq(config->fast_path.sessions, 65536);
	ck_assert_str_eq(config->fast_path.pin, "/sys/fs/bpf/sluice");
	config_free(config);
}
END_TEST

START_TEST(interfaces_are_names_or_have_a_hook_of_their_own)
{
	struct config *config = load_valid(
		"fast_path: {hook: xdp, sessions: 100, interfaces: [eth0, {name: eth1, hook: "
		"xdp-generic}]}\n" VALID);
	const struct fast_path_conf *fast = &config->fast_path;

	ck_assert_int_eq(fast->hook, FAST_HOOK_XDP);
	ck_assert_uint_eq(fast->sessions, 100);
	ck_assert_uint_eq(fast->interface_count, 2);
	ck_assert_str_eq(fast->interfaces[0].name, "eth0");
	ck_assert_int_eq(fast->interfaces[0].hook, FAST_HOOK_AUTO);
	ck_assert_str_eq(fast->interfaces[1].name, "eth1");
	ck_assert_int_eq(fast->interfaces[1].hook, FAST_HOOK_XDP_GENERIC);
	config_free(config);
}
END_TEST

START_TEST(one_interface_needs_no_list)
{
	struct config *config = load_valid("fast_path: {interfaces: eth0}\n" VALID);

	ck_assert_uint_eq(config->fast_path.interface_count, 1);
	ck_assert_str_eq(config->fast_path.interfaces[0].name, "eth0");
	config_free(config);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		by_default_every_interface_is_used_by_tc,
		interfaces_are_names_or_have_a_hook_of_their_own,
		one_interface_needs_no_list,
	};

	return run_tests("config_fastpath", tests, COUNT(tests));
}
