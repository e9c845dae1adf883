/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker asks of the keeper about joined sockets, and what its sessions hear. The keeper is
 * the other end of the pair.
 */
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/offload/internal.h"

static struct offload offload;
static struct offload_door door;
static int pair[2];  /* the worker's end, the keeper's */
static int socks[2]; /* any two sockets */
static int somebody; /* an owner */
static unsigned joined, not_joined, gates;
static enum flow_refusal refusal;

static void on_joined(void *owner)
{
	ck_assert_ptr_eq(owner, &somebody);
	joined++;
}

static void on_not_joined(void *owner, enum flow_refusal why)
{
	ck_assert_ptr_eq(owner, &somebody);
	refusal = why;
	not_joined++;
}

static void on_gate(void *owner)
{
	ck_assert_ptr_eq(owner, &somebody);
	gates++;
}

static void begin(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, socks), 0);
	offload.sockmap = (struct sockmap *)&somebody; /* never looked into */
	door = (struct offload_door){.offload = &offload,
				     .owner = {.on_joined = on_joined,
					       .on_not_joined = on_not_joined,
					       .on_gate = on_gate}};
	outbox_init(&door.outbox, pair[0]);
	list_init(&door.joints);
}

static void end(void)
{
	joints_forget(&door);
	outbox_fini(&door.outbox);
	for (unsigned i = 0; i < 2; i++) {
		close(pair[i]);
		close(socks[i]);
	}
}

/* What the keeper is told next; its copies of the sockets are closed. */
static struct offload_message heard(enum offload_op op, bool with_sockets)
{
	struct offload_message message;
	int fds[2];

	ck_assert_int_eq(message_receive(pair[1], &message, fds), 1);
	ck_assert_int_eq(message.op, op);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert(with_sockets == (fds[i] >= 0));
		if (fds[i] >= 0)
			close(fds[i]);
	}
	return message;
}

static void expect_silence(void)
{
	struct offload_message message;
	int fds[2];

	ck_assert_int_eq(message_receive(pair[1], &message, fds), 0);
}

static void say(enum offload_op op, struct offload_joint *joint)
{
	struct offload_message message = {
		.op = op, .joint = joint, .refusal = FLOW_FINE, .at = {.index = 6, .serial = 9}};

	ck_assert(joint_obey(&door, &message));
}

static struct offload_joint *ask(void)
{
	struct offload_joint *joint = NULL;

	ck_assert_int_eq(offload_join(&door, &somebody, socks, &joint), FLOW_FINE);
	ck_assert(!joint->made);
	ck_assert_ptr_eq(heard(OFFLOAD_JOIN, true).joint, joint);
	return joint;
}

START_TEST(a_pair_is_lent_to_the_keeper_whose_answer_its_owner_hears)
{
	struct offload_joint *joint = ask();

	say(OFFLOAD_JOINED, joint);
	ck_assert_uint_eq(joined, 1);
	ck_assert(joint->made);
	ck_assert_uint_eq(joint->at.index, 6);
	ck_assert_uint_eq(joint->at.serial, 9);
	say(OFFLOAD_GATED, joint);
	ck_assert_uint_eq(gates, 1);
}
END_TEST

START_TEST(a_refusal_is_heard_with_its_reason_and_leaves_nothing)
{
	struct offload_message message = {
		.op = OFFLOAD_JOINED, .joint = ask(), .refusal = FLOW_FULL};

	ck_assert(joint_obey(&door, &message));
	ck_assert_uint_eq(not_joined, 1);
	ck_assert_int_eq(refusal, FLOW_FULL);
	ck_assert_uint_eq(joined, 0);
	ck_assert(list_empty(&door.joints));
	expect_silence();
}
END_TEST

START_TEST(without_a_map_nobody_is_asked)
{
	struct offload_joint *joint = NULL;

	offload.sockmap = NULL;
	ck_assert_int_eq(offload_join(&door, &somebody, socks, &joint), FLOW_ERROR);
	ck_assert_ptr_null(joint);
	expect_silence();
}
END_TEST

START_TEST(an_owner_that_ends_hears_nothing_more_and_its_slot_is_given_back)
{
	struct offload_joint *joint = ask();

	say(OFFLOAD_JOINED, joint);
	offload_part(joint);
	ck_assert_uint_eq(heard(OFFLOAD_PART, false).index, 6);
	say(OFFLOAD_GATED, joint); /* was on its way */
	ck_assert_uint_eq(gates, 0);
	say(OFFLOAD_PARTED, joint);
	ck_assert(list_empty(&door.joints));
}
END_TEST

START_TEST(an_owner_that_ends_before_the_answer_parts_when_it_comes)
{
	struct offload_joint *joint = ask();

	offload_part(joint);
	expect_silence(); /* there is nothing to part yet */
	say(OFFLOAD_JOINED, joint);
	ck_assert_uint_eq(joined, 0);
	ck_assert_uint_eq(heard(OFFLOAD_PART, false).index, 6);
	say(OFFLOAD_PARTED, joint);
	ck_assert(list_empty(&door.joints));
}
END_TEST

START_TEST(an_owner_that_ends_before_a_refusal_leaves_nothing)
{
	struct offload_message message = {
		.op = OFFLOAD_JOINED, .joint = ask(), .refusal = FLOW_BUSY};

	offload_part(message.joint);
	ck_assert(joint_obey(&door, &message));
	ck_assert_uint_eq(not_joined, 0);
	ck_assert(list_empty(&door.joints));
	expect_silence();
}
END_TEST

START_TEST(what_the_keeper_says_of_flows_is_left_to_others)
{
	struct offload_message message = {.op = OFFLOAD_INSERTED};

	ck_assert(!joint_obey(&door, &message));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("offload_joint");
	TCase *tcase = tcase_create("joint");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, a_pair_is_lent_to_the_keeper_whose_answer_its_owner_hears);
	tcase_add_test(tcase, a_refusal_is_heard_with_its_reason_and_leaves_nothing);
	tcase_add_test(tcase, without_a_map_nobody_is_asked);
	tcase_add_test(tcase, an_owner_that_ends_hears_nothing_more_and_its_slot_is_given_back);
	tcase_add_test(tcase, an_owner_that_ends_before_the_answer_parts_when_it_comes);
	tcase_add_test(tcase, an_owner_that_ends_before_a_refusal_leaves_nothing);
	tcase_add_test(tcase, what_the_keeper_says_of_flows_is_left_to_others);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
