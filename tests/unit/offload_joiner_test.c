/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper's side of joined sockets. The kernel's part is a double that says what the test wants;
 * the worker is the other end of the pair.
 */
/* link: -Wl,--wrap=sockmap_open,--wrap=sockmap_close,--wrap=sockmap_join,--wrap=sockmap_part */
/* link: -Wl,--wrap=sockmap_events,--wrap=sockmap_events_fd */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/offload/internal.h"

#define EVENTS_FD 1234

int __wrap_sockmap_open(uint32_t joints, struct sockmap **ret_map, char *ret_problem, size_t size);
void __wrap_sockmap_close(struct sockmap *map);
int __wrap_sockmap_join(struct sockmap *map, const int fds[2], struct sockmap_joint *ret_joint);
void __wrap_sockmap_part(struct sockmap *map, const struct sockmap_joint *joint);
int __wrap_sockmap_events_fd(const struct sockmap *map);
void __wrap_sockmap_events(struct sockmap *map,
			   void (*on_gate)(void *context, const struct joint_event *event),
			   void *context);

static struct {
	int open_err;
	int join_err;
	struct sockmap_joint at; /* the next that is made */
	uint32_t parted;         /* serial of the last that was parted */
	struct joint_event event;
	int fds[2]; /* that were to be joined */
} kernel;

static struct offload offload;
static struct counter_side side;
static int pair[2]; /* the keeper's end, the worker's */
static char name_of_a_joint;

int __wrap_sockmap_open(uint32_t joints, struct sockmap **ret_map, char *ret_problem, size_t size)
{
	ck_assert_uint_eq(joints, 4);
	if (kernel.open_err)
		snprintf(ret_problem, size, "no");
	else
		*ret_map = (struct sockmap *)&kernel;
	return kernel.open_err;
}

void __wrap_sockmap_close(struct sockmap *map)
{
}

int __wrap_sockmap_join(struct sockmap *map, const int fds[2], struct sockmap_joint *ret_joint)
{
	memcpy(kernel.fds, fds, sizeof(kernel.fds));
	if (!kernel.join_err)
		*ret_joint = kernel.at;
	return kernel.join_err;
}

void __wrap_sockmap_part(struct sockmap *map, const struct sockmap_joint *joint)
{
	kernel.parted = joint->serial;
}

int __wrap_sockmap_events_fd(const struct sockmap *map)
{
	return EVENTS_FD;
}

void __wrap_sockmap_events(struct sockmap *map,
			   void (*on_gate)(void *context, const struct joint_event *event),
			   void *context)
{
	on_gate(context, &kernel.event);
}

/* --- steps --- */

static struct offload_joint *joint(void)
{
	return (struct offload_joint *)&name_of_a_joint; /* to the keeper only a name */
}

static void begin(void)
{
	char problem[64];

	memset(&kernel, 0, sizeof(kernel));
	kernel.at = (struct sockmap_joint){.index = 4, .serial = 77};
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	outbox_init(&side.outbox, pair[0]);
	offload = (struct offload){.conf.sessions = 4, .sides = &side};
	ck_assert_int_eq(joiner_open(&offload, problem, sizeof(problem)), 0);
}

static void end(void)
{
	joiner_close(&offload);
	outbox_fini(&side.outbox);
	close(pair[0]);
	close(pair[1]);
}

static void try_to_join(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	joiner_join(&offload, 0, joint(), fds);
	ck_assert_mem_eq(kernel.fds, fds, sizeof(fds));
	for (unsigned leg = 0; leg < 2; leg++) /* they are the worker's; ours were copies */
		ck_assert(fcntl(fds[leg], F_GETFD) < 0 && errno == EBADF);
}

static struct offload_message heard(enum offload_op op)
{
	struct offload_message message;
	int fds[2];

	ck_assert_int_eq(message_receive(pair[1], &message, fds), 1);
	ck_assert_int_eq(message.op, op);
	ck_assert_ptr_eq(message.joint, joint());
	ck_assert(fds[0] < 0 && fds[1] < 0);
	return message;
}

static void expect_silence(void)
{
	struct offload_message message;
	int fds[2];

	ck_assert_int_eq(message_receive(pair[1], &message, fds), 0);
}

static void drop_gate(uint32_t index, uint32_t serial)
{
	kernel.event = (struct joint_event){.index = index, .serial = serial};
	offload.gates.on_event(&offload.gates, 0);
}

static void part(void)
{
	struct offload_message message = {.op = OFFLOAD_PART, .joint = joint(), .index = 4};

	joiner_part(&offload, 0, &message);
}

/* --- tests --- */

START_TEST(what_is_joined_is_answered_and_counted)
{
	struct offload_message message;

	try_to_join();
	message = heard(OFFLOAD_JOINED);
	ck_assert_int_eq(message.refusal, FLOW_FINE);
	ck_assert_uint_eq(message.at.index, 4);
	ck_assert_uint_eq(message.at.serial, 77);
	ck_assert_uint_eq(offload.counts[OFFLOAD_PROMOTED], 1);
	ck_assert_uint_eq(offload.joints, 1);
}
END_TEST

static const struct {
	int err;
	enum flow_refusal refusal;
} refusals[] = {{-EAGAIN, FLOW_BUSY},
		{-ENOSPC, FLOW_FULL},
		{-EOPNOTSUPP, FLOW_NOT_ESTABLISHED},
		{-EPROTO, FLOW_ERROR},
		{-EPERM, FLOW_ERROR}};

START_TEST(each_error_is_told_and_counted_as_its_refusal)
{
	kernel.join_err = refusals[_i].err;
	try_to_join();
	ck_assert_int_eq(heard(OFFLOAD_JOINED).refusal, refusals[_i].refusal);
	ck_assert_uint_eq(offload.refusals[refusals[_i].refusal], 1);
	ck_assert_uint_eq(offload.counts[OFFLOAD_PROMOTED], 0);
	ck_assert_uint_eq(offload.joints, 0);
}
END_TEST

START_TEST(sockets_that_found_no_room_in_our_table_are_refused)
{
	joiner_join(&offload, 0, joint(), (const int[]){-1, -1});
	ck_assert_int_eq(heard(OFFLOAD_JOINED).refusal, FLOW_ERROR);
}
END_TEST

START_TEST(a_gate_of_either_way_is_told_to_the_worker)
{
	try_to_join();
	heard(OFFLOAD_JOINED);
	drop_gate(4 + (uint32_t)_i, 77);
	heard(OFFLOAD_GATED);
	ck_assert_uint_eq(offload.counts[OFFLOAD_GATES], 1);
}
END_TEST

START_TEST(a_gate_of_a_slots_tenant_before_is_nobodys)
{
	try_to_join();
	heard(OFFLOAD_JOINED);
	drop_gate(4, 76);
	expect_silence();
	part();
	heard(OFFLOAD_PARTED);
	drop_gate(4, 77);
	expect_silence();
	ck_assert_uint_eq(offload.counts[OFFLOAD_GATES], 0);
}
END_TEST

START_TEST(sockets_that_part_give_their_slot_back)
{
	try_to_join();
	heard(OFFLOAD_JOINED);
	part();
	heard(OFFLOAD_PARTED);
	ck_assert_uint_eq(kernel.parted, 77);
	ck_assert_uint_eq(offload.counts[OFFLOAD_ENDED], 1);
	ck_assert_uint_eq(offload.joints, 0);
}
END_TEST

START_TEST(a_kernel_that_refuses_the_program_is_told_with_its_sentence)
{
	struct offload other = {.conf.sessions = 4};
	char problem[64] = "";

	kernel.open_err = -EPERM;
	ck_assert_int_eq(joiner_open(&other, problem, sizeof(problem)), -EPERM);
	ck_assert_str_eq(problem, "no");
	ck_assert_ptr_null(other.sockmap);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("offload_joiner");
	TCase *tcase = tcase_create("joiner");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, what_is_joined_is_answered_and_counted);
	tcase_add_loop_test(tcase, each_error_is_told_and_counted_as_its_refusal, 0,
			    sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(tcase, sockets_that_found_no_room_in_our_table_are_refused);
	tcase_add_loop_test(tcase, a_gate_of_either_way_is_told_to_the_worker, 0, 2);
	tcase_add_test(tcase, a_gate_of_a_slots_tenant_before_is_nobodys);
	tcase_add_test(tcase, sockets_that_part_give_their_slot_back);
	tcase_add_test(tcase, a_kernel_that_refuses_the_program_is_told_with_its_sentence);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
