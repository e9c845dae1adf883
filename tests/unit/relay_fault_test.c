/* SPDX-License-Identifier: Apache-2.0
 *
 * The relay when its system calls fail, are cut short, or find no end of bytes. Only calls on the
 * relay's own two sockets and its pipe are touched.
 */
/* link: -Wl,--wrap=send,--wrap=recv,--wrap=splice,--wrap=malloc */
#include "tests/unit/relay_rig.h"

ssize_t __real_send(int fd, const void *data, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags);
ssize_t __real_recv(int fd, void *data, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t len, int flags);
ssize_t __real_splice(int in, off64_t *off_in, int out, off64_t *off_out, size_t len,
		      unsigned flags);
ssize_t __wrap_splice(int in, off64_t *off_in, int out, off64_t *off_out, size_t len,
		      unsigned flags);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static struct relay_rig rig;

/* What the next calls come to. */
static struct {
	int send_errno; /* once */
	size_t send_max;
	int recv_errno; /* once */
	bool endless;   /* every recv() is full, every send() takes all */
	int splice_in_errno, splice_out_errno;
	size_t splice_out_max;
	bool no_memory;
} fault;

static int last_send_flags;

static bool take_errno(int *err)
{
	if (!*err)
		return false;
	errno = *err;
	*err = 0;
	return true;
}

ssize_t __wrap_send(int fd, const void *data, size_t len, int flags)
{
	if (fd != rig.to.source.fd)
		return __real_send(fd, data, len, flags);
	last_send_flags = flags;
	if (take_errno(&fault.send_errno))
		return -1;
	if (fault.endless)
		return (ssize_t)len;
	if (fault.send_max && len > fault.send_max)
		len = fault.send_max;
	return __real_send(fd, data, len, flags);
}

ssize_t __wrap_recv(int fd, void *data, size_t len, int flags)
{
	if (fd != rig.from.source.fd)
		return __real_recv(fd, data, len, flags);
	if (take_errno(&fault.recv_errno))
		return -1;
	return fault.endless ? (ssize_t)len : __real_recv(fd, data, len, flags);
}

ssize_t __wrap_splice(int in, off64_t *off_in, int out, off64_t *off_out, size_t len,
		      unsigned flags)
{
	if (in == rig.from.source.fd && take_errno(&fault.splice_in_errno))
		return -1;
	if (out == rig.to.source.fd && take_errno(&fault.splice_out_errno))
		return -1;
	if (out == rig.to.source.fd && fault.splice_out_max && len > fault.splice_out_max)
		len = fault.splice_out_max;
	return __real_splice(in, off_in, out, off_out, len, flags);
}

void *__wrap_malloc(size_t size)
{
	return fault.no_memory ? NULL : __real_malloc(size);
}

static void open_rig(enum relay_mode mode, uint64_t buffers)
{
	memset(&fault, 0, sizeof(fault));
	relay_rig_open(&rig, buffers, 0);
	rig.mode = mode;
}

START_TEST(byte_budget_of_an_event_is_spent_exactly_and_the_rest_comes_later)
{
	open_rig(RELAY_COPY, PLENTY);
	fault.endless = true;
	rig.from.readable = true;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_AGAIN);
	ck_assert_uint_eq(rig.relay.bytes, 1 << 20);
	ck_assert(rig.from.readable && rig.relay.bulk);
	ck_assert(relay_has_work(&rig.relay, &rig.from));
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_AGAIN);
	ck_assert_uint_eq(rig.relay.bytes, 2 << 20);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(interrupted_recv_is_tried_again)
{
	open_rig(RELAY_COPY, PLENTY);
	relay_rig_feed(&rig, 0, 1000);
	fault.recv_errno = EINTR;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	expect_pattern(rig.receiver, 0, 1000);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(interrupted_send_is_tried_again_since_no_event_would_follow)
{
	open_rig(RELAY_COPY, PLENTY);
	relay_rig_feed(&rig, 0, 1000);
	fault.send_errno = EINTR;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert(!rig.relay.blocked);
	ck_assert_ptr_null(rig.relay.rest);
	expect_pattern(rig.receiver, 0, 1000);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(blocked_send_keeps_everything_that_was_read)
{
	open_rig(RELAY_COPY, PLENTY);
	relay_rig_feed(&rig, 0, 1000);
	fault.send_errno = EAGAIN;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert(rig.relay.blocked);
	ck_assert_uint_eq(rig.relay.rest->end - rig.relay.rest->start, 1000);
	rig.relay.blocked = false;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	expect_pattern(rig.receiver, 0, 1000);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(rest_that_is_sent_in_pieces_stays_one_chunk)
{
	open_rig(RELAY_COPY, PLENTY);
	relay_rig_feed(&rig, 0, 1000);
	fault.send_max = 300;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
		ck_assert_uint_eq(rig.relay.rest->start, i * 300);
		ck_assert_uint_eq(rig.slab.used, 4096);
	}
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert_ptr_null(rig.relay.rest);
	ck_assert(!rig.relay.blocked);
	expect_pattern(rig.receiver, 0, 1000);
	ck_assert_uint_eq(rig.relay.sent_bytes, 1000);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(at_the_cap_only_what_was_sent_is_consumed)
{
	int queued;

	open_rig(RELAY_COPY, 0);
	relay_rig_feed(&rig, 0, 1000);
	fault.send_max = 300;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert_int_eq(ioctl(rig.from.source.fd, FIONREAD, &queued), 0);
	ck_assert_int_eq(queued, 700);
	ck_assert_uint_eq(rig.relay.bytes, 300);
	ck_assert(rig.relay.blocked && rig.from.readable);
	fault.send_max = 0;
	fault.send_errno = EAGAIN;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert_uint_eq(rig.relay.bytes, 300);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert_uint_eq(rig.relay.bytes, 1000);
	ck_assert(!rig.from.readable);
	expect_pattern(rig.receiver, 0, 1000);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(at_the_cap_fin_waits_for_the_data_before_it)
{
	open_rig(RELAY_COPY, 0);
	send_pattern(rig.sender, 0, 1000);
	shutdown(rig.sender, SHUT_WR);
	relay_rig_wait(&rig, POLLRDHUP);
	fault.send_max = 300;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert_int_eq(rig.relay.state, RELAY_OPEN);
	fault.send_max = 0;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_DONE);
	expect_pattern(rig.receiver, 0, 1000);
	expect_fin(rig.receiver);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(only_the_last_data_is_sent_with_more_to_come)
{
	open_rig(RELAY_COPY, PLENTY);
	relay_rig_feed(&rig, 0, 100);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert(!(last_send_flags & MSG_MORE));
	send_pattern(rig.sender, 100, 100);
	shutdown(rig.sender, SHUT_WR);
	relay_rig_wait(&rig, POLLRDHUP);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_DONE);
	ck_assert(last_send_flags & MSG_MORE);
	expect_pattern(rig.receiver, 0, 200);
	expect_fin(rig.receiver);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(without_memory_for_a_rest_the_source_fails)
{
	open_rig(RELAY_COPY, PLENTY);
	relay_rig_feed(&rig, 0, 1000);
	fault.send_max = 300;
	fault.no_memory = true;
	enum relay_result result = relay_rig_run(&rig);
	fault.no_memory = false;
	ck_assert_int_eq(result, RELAY_FROM_FAILED);
	ck_assert_int_eq(rig.from.error, ENOMEM);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(errors_of_either_side_are_kept_where_they_happened)
{
	open_rig(RELAY_COPY, PLENTY);
	rig.from.readable = true;
	fault.recv_errno = ETIMEDOUT;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_FROM_FAILED);
	ck_assert_int_eq(rig.from.error, ETIMEDOUT);
	ck_assert_int_eq(rig.to.error, 0);
	relay_rig_close(&rig);

	open_rig(RELAY_COPY, PLENTY);
	relay_rig_feed(&rig, 0, 1000);
	fault.send_errno = EPIPE;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_TO_FAILED);
	ck_assert_int_eq(rig.to.error, EPIPE);
	ck_assert_int_eq(rig.from.error, 0);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(first_error_of_a_leg_is_the_one_that_is_kept)
{
	open_rig(RELAY_COPY, PLENTY);
	rig.from.readable = true;
	rig.from.error = ECONNRESET;
	fault.recv_errno = ENOTCONN;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_FROM_FAILED);
	ck_assert_int_eq(rig.from.error, ECONNRESET);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(interrupted_splices_are_tried_again)
{
	open_rig(RELAY_SPLICE, PLENTY);
	relay_rig_feed(&rig, 0, 1000);
	fault.splice_in_errno = EINTR;
	fault.splice_out_errno = EINTR;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert_uint_eq(rig.relay.spliced_bytes, 1000);
	expect_pattern(rig.receiver, 0, 1000);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(splice_that_the_kernel_refuses_is_not_tried_again)
{
	unsigned splices;

	open_rig(RELAY_SPLICE, PLENTY);
	relay_rig_feed(&rig, 0, 1000);
	fault.splice_in_errno = EINVAL;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert(rig.relay.no_splice);
	ck_assert_ptr_null(rig.relay.pipe);
	splices = (unsigned)sys_calls[SYS_SPLICE];
	relay_rig_feed(&rig, 1000, 1000);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert_uint_eq(sys_calls[SYS_SPLICE], splices);
	expect_pattern(rig.receiver, 0, 2000);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(pipe_that_the_receiver_does_not_take_from_is_copied)
{
	unsigned splices;

	open_rig(RELAY_SPLICE, PLENTY);
	relay_rig_feed(&rig, 0, 60000);
	fault.splice_out_errno = EINVAL;
	while (rig.relay.bytes < 60000 || relay_is_holding(&rig.relay)) {
		rig.relay.blocked = false;
		relay_rig_look(&rig);
		ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	}
	ck_assert(rig.relay.no_splice);
	ck_assert_ptr_null(rig.relay.pipe);
	ck_assert_uint_eq(rig.relay.spliced_bytes, 0);
	ck_assert_uint_eq(rig.relay.sent_bytes, 60000);
	expect_pattern(rig.receiver, 0, 60000);
	splices = (unsigned)sys_calls[SYS_SPLICE];
	relay_rig_feed(&rig, 60000, 1000);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert_uint_eq(sys_calls[SYS_SPLICE], splices);
	expect_pattern(rig.receiver, 60000, 1000);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(pipe_that_is_copied_keeps_its_order_while_the_receiver_stalls)
{
	open_rig(RELAY_SPLICE, PLENTY);
	relay_rig_feed(&rig, 0, 60000);
	fault.splice_out_errno = EINVAL;
	fault.send_max = 7000;
	while (rig.relay.bytes < 60000 || relay_is_holding(&rig.relay)) {
		rig.relay.blocked = false;
		relay_rig_look(&rig);
		ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	}
	expect_pattern(rig.receiver, 0, 60000);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(splice_that_would_block_waits_for_the_next_edge)
{
	open_rig(RELAY_SPLICE, PLENTY);
	rig.from.readable = true;
	fault.splice_in_errno = EAGAIN;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert(!rig.from.readable);
	ck_assert_uint_eq(sys_calls[SYS_RECV], 0);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(splice_that_would_block_before_a_known_fin_is_followed_by_recv)
{
	open_rig(RELAY_SPLICE, PLENTY);
	shutdown(rig.sender, SHUT_WR);
	relay_rig_wait(&rig, POLLRDHUP);
	fault.splice_in_errno = EAGAIN; /* as at an urgent mark; no edge would follow */
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_DONE);
	expect_fin(rig.receiver);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(short_splice_into_the_receiver_is_followed_by_another)
{
	open_rig(RELAY_SPLICE, PLENTY);
	relay_rig_feed(&rig, 0, 10000);
	fault.splice_out_max = 1000;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert(!rig.relay.blocked);
	expect_pattern(rig.receiver, 0, 10000);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(bytes_left_in_the_pipe_go_before_anything_new)
{
	open_rig(RELAY_SPLICE, PLENTY);
	relay_rig_feed(&rig, 0, 1000);
	fault.splice_out_errno = EAGAIN;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert(rig.relay.blocked);
	ck_assert_uint_eq(rig.relay.pipe->filled, 1000);
	rig.mode = RELAY_COPY;
	relay_rig_feed(&rig, 1000, 1000);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert_ptr_null(rig.relay.pipe);
	expect_pattern(rig.receiver, 0, 2000);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(failed_splice_into_the_receiver_fails_it_and_frees_the_pipe)
{
	open_rig(RELAY_SPLICE, PLENTY);
	relay_rig_feed(&rig, 0, 1000);
	fault.splice_out_errno = ECONNRESET;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_TO_FAILED);
	ck_assert_int_eq(rig.to.error, ECONNRESET);
	ck_assert_uint_eq(rig.relay.bytes, 1000);
	ck_assert_uint_eq(rig.relay.sent_bytes, 0);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(urgent_byte_that_is_not_taken_stays_where_it_is)
{
	open_rig(RELAY_COPY, PLENTY);
	ck_assert_int_eq(send(rig.sender, &(uint8_t){pattern_byte(0)}, 1, MSG_OOB), 1);
	relay_rig_wait(&rig, POLLPRI);
	relay_rig_arrived(&rig, 1);
	fault.send_errno = EAGAIN;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert(rig.relay.blocked && rig.from.urgent && rig.from.readable);
	ck_assert_uint_eq(rig.relay.bytes, 0);
	rig.relay.blocked = false;
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert_uint_eq(rig.relay.bytes, 1);
	ck_assert_int_eq(last_send_flags & MSG_OOB, MSG_OOB);
	wait_for_events(rig.receiver, POLLPRI);
	expect_pattern(rig.receiver, 0, 1);
	relay_rig_close(&rig);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		byte_budget_of_an_event_is_spent_exactly_and_the_rest_comes_later,
		interrupted_recv_is_tried_again,
		interrupted_send_is_tried_again_since_no_event_would_follow,
		blocked_send_keeps_everything_that_was_read,
		rest_that_is_sent_in_pieces_stays_one_chunk,
		at_the_cap_only_what_was_sent_is_consumed,
		at_the_cap_fin_waits_for_the_data_before_it,
		only_the_last_data_is_sent_with_more_to_come,
		without_memory_for_a_rest_the_source_fails,
		errors_of_either_side_are_kept_where_they_happened,
		first_error_of_a_leg_is_the_one_that_is_kept,
		interrupted_splices_are_tried_again,
		splice_that_the_kernel_refuses_is_not_tried_again,
		pipe_that_the_receiver_does_not_take_from_is_copied,
		pipe_that_is_copied_keeps_its_order_while_the_receiver_stalls,
		splice_that_would_block_waits_for_the_next_edge,
		splice_that_would_block_before_a_known_fin_is_followed_by_recv,
		short_splice_into_the_receiver_is_followed_by_another,
		bytes_left_in_the_pipe_go_before_anything_new,
		failed_splice_into_the_receiver_fails_it_and_frees_the_pipe,
		urgent_byte_that_is_not_taken_stays_where_it_is,
	};

	return run_tests("relay_fault", tests, COUNT(tests));
}
