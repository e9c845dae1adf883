/* SPDX-License-Identifier: Apache-2.0
 *
 * A session whose sockets are to be joined: when it asks, what it does not touch meanwhile, and how
 * a way comes back. The kernel's part is a double that says what the test wants; the sockets are
 * real, and what the kernel would move stays in them.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=offload_join,--wrap=offload_part */
/* link: -Wl,--wrap=offload_joint_look,--wrap=offload_joint_is_written */
/* link: -Wl,--wrap=offload_joint_settle */
/* link: -Wl,--wrap=offload_joint_is_through,--wrap=offload_joint_received */
#include "proxy/session/offload.h"
#include "tests/unit/session_rig.h"

static struct {
	unsigned asked;
	unsigned parted;
	enum flow_refusal answer;
	struct offload_joint joint;
	struct sockmap_view views[2];
	unsigned settling; /* how often it was tried, */
	unsigned hurried;  /* and without regard for what came a moment ago */
	bool settles;
	bool written;
	bool through;
	uint64_t received;
} kernel;

enum flow_refusal __wrap_offload_join(struct offload_door *door, void *owner, const int fds[2],
				      struct offload_joint **ret_joint);
void __wrap_offload_part(struct offload_joint *joint);
void __wrap_offload_joint_look(const struct offload_joint *joint, unsigned way,
			       struct sockmap_view *ret_view);
bool __wrap_offload_joint_settle(const struct offload_joint *joint, const int fds[2], bool hurry);
bool __wrap_offload_joint_is_written(const struct offload_joint *joint, unsigned way, int to_fd);
bool __wrap_offload_joint_is_through(const struct offload_joint *joint, unsigned way, int from_fd,
				     int to_fd, bool finished);
uint64_t __wrap_offload_joint_received(const struct offload_joint *joint, unsigned leg, int fd,
				       bool finished);

enum flow_refusal __wrap_offload_join(struct offload_door *door, void *owner, const int fds[2],
				      struct offload_joint **ret_joint)
{
	kernel.asked++;
	if (kernel.answer != FLOW_FINE)
		return kernel.answer;
	kernel.joint = (struct offload_joint){.owner = owner};
	*ret_joint = &kernel.joint;
	return FLOW_FINE;
}

void __wrap_offload_part(struct offload_joint *joint)
{
	ck_assert_ptr_eq(joint, &kernel.joint);
	ck_assert_int_eq(rig.session->client.source.fd, -1); /* closed by then */
	ck_assert_int_eq(rig.session->backend.source.fd, -1);
	kernel.parted++;
}

void __wrap_offload_joint_look(const struct offload_joint *joint, unsigned way,
			       struct sockmap_view *ret_view)
{
	*ret_view = kernel.views[way];
}

bool __wrap_offload_joint_settle(const struct offload_joint *joint, const int fds[2], bool hurry)
{
	ck_assert_int_eq(fds[0], rig.session->client.source.fd);
	ck_assert_int_eq(fds[1], rig.session->backend.source.fd);
	kernel.settling++;
	kernel.hurried += hurry;
	if (kernel.settles)
		kernel.views[0].gated = kernel.views[1].gated = true;
	return kernel.settles;
}

bool __wrap_offload_joint_is_written(const struct offload_joint *joint, unsigned way, int to_fd)
{
	return kernel.written;
}

bool __wrap_offload_joint_is_through(const struct offload_joint *joint, unsigned way, int from_fd,
				     int to_fd, bool finished)
{
	return kernel.through;
}

uint64_t __wrap_offload_joint_received(const struct offload_joint *joint, unsigned leg, int fd,
				       bool finished)
{
	return kernel.received;
}

/* --- steps --- */

enum { TO_BACKEND, TO_CLIENT }; /* ways */

static void open_rig(void)
{
	memset(&kernel, 0, sizeof(kernel));
	rig_open(", offload: sockmap");
	rig.env.door = (struct offload_door *)&kernel; /* never looked into by a session */
	rig_relay();
}

static void move_bytes(size_t count)
{
	send_pattern(rig.client, 0, count);
	rig_until_readable(rig.server);
	expect_pattern(rig.server, 0, count);
	rig_turn();
}

static void ask(void)
{
	open_rig();
	move_bytes(10);
	ck_assert_uint_eq(kernel.asked, 0); /* one message may be all there ever is */
	move_bytes(10);
	ck_assert_uint_eq(kernel.asked, 1);
}

static void join(void)
{
	ask();
	kernel.joint.made = true;
	session_offload_owner.on_joined(rig.session);
}

static void turn_often(void)
{
	for (int i = 0; i < 20; i++)
		rig_turn();
}

static void drop_gate(unsigned way)
{
	kernel.views[way].gated = true;
	session_offload_owner.on_gate(rig.session);
}

static void end(enum reason reason)
{
	rig_expect_end(reason);
	ck_assert_uint_eq(kernel.parted, 1);
	rig_close();
}

static void kill_it(void)
{
	session_abort(rig.session, REASON_KILLED_RST);
	end(REASON_KILLED_RST);
}

/* --- tests --- */

START_TEST(nothing_is_read_while_the_keeper_is_at_it_or_the_kernel_moves_the_bytes)
{
	ask();
	send_pattern(rig.client, 0, 100);
	turn_often();
	ck_assert(!is_readable(rig.server));
	kernel.joint.made = true;
	session_offload_owner.on_joined(rig.session);
	send_pattern(rig.client, 100, 100);
	turn_often();
	ck_assert(!is_readable(rig.server));
	kill_it();
}
END_TEST

START_TEST(who_is_refused_is_relayed_on_and_asks_again_only_where_that_may_help)
{
	static const enum flow_refusal why[] = {FLOW_FULL, FLOW_BUSY, FLOW_ERROR};

	ask();
	send_pattern(rig.client, 0, 100);
	session_offload_owner.on_not_joined(rig.session, why[_i]);
	rig_until_readable(rig.server);
	expect_pattern(rig.server, 0, 100);
	for (int i = 0; i < 3 && kernel.asked < 2; i++)
		move_bytes(10);
	ck_assert_uint_eq(kernel.asked, why[_i] == FLOW_ERROR ? 1 : 2);
	session_abort(rig.session, REASON_KILLED_RST);
	rig_expect_end(REASON_KILLED_RST);
	rig_close();
}
END_TEST

/* A verdict would hand on what of a buffer was read already. */
START_TEST(sockets_with_something_half_read_are_not_joined)
{
	open_rig();
	move_bytes(10);
	rig.session->backend.readable = true;
	rig.session->moved = true;
	rig.session->turns = 5;
	session_offer(rig.session);
	ck_assert_uint_eq(kernel.asked, 0);
	rig.session->backend.readable = false;
	rig.session->moved = true;
	session_offer(rig.session);
	ck_assert_uint_eq(kernel.asked, 1);
	kill_it();
}
END_TEST

START_TEST(what_the_kernel_moved_is_counted_once)
{
	join();
	kernel.views[TO_BACKEND] = (struct sockmap_view){.passed = 5000};
	kernel.views[TO_CLIENT] = (struct sockmap_view){.passed = 70000};
	rig_pass(6000);
	rig_pass(6000);
	ck_assert_uint_eq(rig.session->to_backend.bytes, 5020);
	ck_assert_uint_eq(rig.session->to_client.bytes, 70000);
	ck_assert_uint_eq(rig.counts.offloaded_bytes, 75000);
	kill_it();
}
END_TEST

START_TEST(a_fin_is_passed_on_when_all_before_it_is_written)
{
	join();
	shutdown(rig.client, SHUT_WR);
	turn_often();
	rig_pass(200);
	ck_assert(!is_readable(rig.server));
	kernel.through = true;
	rig_pass(200);
	rig_until_readable(rig.server);
	expect_fin(rig.server);
	shutdown(rig.server, SHUT_WR);
	turn_often();
	rig_pass(200);
	expect_fin(rig.client);
	end(REASON_CLIENT_FIN);
}
END_TEST

START_TEST(a_way_whose_gate_fell_is_relayed_behind_what_was_on_its_way)
{
	join();
	send_pattern(rig.client, 0, 100);
	drop_gate(TO_BACKEND);
	turn_often();
	rig_pass(200);
	ck_assert(!is_readable(rig.server));
	kernel.written = true;
	rig_pass(200);
	rig_until_readable(rig.server);
	expect_pattern(rig.server, 0, 100);
	move_bytes(5000);
	send_pattern(rig.server, 0, 100); /* the other way is the kernel's still */
	turn_often();
	ck_assert(!is_readable(rig.client));
	kill_it();
}
END_TEST

START_TEST(a_way_that_presses_is_relayed_when_both_have_settled)
{
	join();
	send_pattern(rig.client, 0, 100);
	kernel.written = true;
	kernel.views[TO_BACKEND].pressed = true;
	session_offload_owner.on_gate(rig.session);
	ck_assert_uint_eq(kernel.settling, 1);
	for (int i = 0; i < 20; i++)
		rig_pass(100);
	ck_assert_uint_gt(kernel.hurried, 0); /* after a while */
	ck_assert(!is_readable(rig.server));
	kernel.settles = true;
	rig_pass(200);
	rig_until_readable(rig.server);
	expect_pattern(rig.server, 0, 100);
	send_pattern(rig.server, 0, 100);
	rig_until_readable(rig.client);
	expect_pattern(rig.client, 0, 100);
	kill_it();
}
END_TEST

/* read(2) says 0 while bytes are still on their way to where they can be read. */
START_TEST(an_end_of_stream_is_believed_when_the_count_of_bytes_agrees)
{
	join();
	kernel.written = true;
	kernel.received = 100;
	drop_gate(TO_BACKEND);
	send_pattern(rig.client, 0, 90);
	rig_until_readable(rig.server);
	expect_pattern(rig.server, 0, 90);
	shutdown(rig.client, SHUT_WR);
	turn_often();
	rig_pass(200);
	ck_assert(!is_readable(rig.server));
	kernel.received = 90;
	rig.session->to_backend.whole_bytes = UINT64_MAX; /* as if it had come only now */
	rig_pass(6000);
	rig_until_readable(rig.server);
	expect_fin(rig.server);
	kill_it();
}
END_TEST

START_TEST(bytes_that_the_kernel_lost_are_a_reset_on_both_sides)
{
	join();
	kernel.views[TO_CLIENT] = (struct sockmap_view){.gated = true, .lost = true};
	session_offload_owner.on_gate(rig.session);
	expect_reset(rig.client);
	expect_reset(rig.server);
	end(REASON_NO_MEMORY);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session_joint");
	TCase *tcase = tcase_create("joint");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase,
		       nothing_is_read_while_the_keeper_is_at_it_or_the_kernel_moves_the_bytes);
	tcase_add_loop_test(
		tcase, who_is_refused_is_relayed_on_and_asks_again_only_where_that_may_help, 0, 3);
	tcase_add_test(tcase, sockets_with_something_half_read_are_not_joined);
	tcase_add_test(tcase, what_the_kernel_moved_is_counted_once);
	tcase_add_test(tcase, a_fin_is_passed_on_when_all_before_it_is_written);
	tcase_add_test(tcase, a_way_whose_gate_fell_is_relayed_behind_what_was_on_its_way);
	tcase_add_test(tcase, a_way_that_presses_is_relayed_when_both_have_settled);
	tcase_add_test(tcase, an_end_of_stream_is_believed_when_the_count_of_bytes_agrees);
	tcase_add_test(tcase, bytes_that_the_kernel_lost_are_a_reset_on_both_sides);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
