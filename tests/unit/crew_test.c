/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders to workers that answer late, or not at all.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=worker_send,--wrap=worker_receive,--wrap=worker_fd */
#include <sys/eventfd.h>
#include <time.h>

#include "proxy/main/crew.c"
#include "tests/unit/core_rig.h"

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_worker_send(struct worker *worker, const struct worker_message *message, int fd);
int __wrap_worker_receive(struct worker *worker, struct worker_message *ret_message);
int __wrap_worker_fd(const struct worker *worker);

/* A worker that is told by the test when to come back. */
static struct {
	struct supervisor sv;
	struct worker *workers[1];
	struct snapshot snapshot; /* nothing but its count is looked at */
	struct target *target;
	struct worker_message orders[4];
	size_t sent;
	size_t answered;
	bool stuck;
	int err;    /* of the answer to the newest order */
	int always; /* readable */
	time_t ahead_s;
} rig;

/* While the worker is stuck, a second passes whenever somebody looks. */
int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
	int r = __real_clock_gettime(id, now);

	if (rig.stuck)
		rig.ahead_s++;
	now->tv_sec += rig.ahead_s;
	return r;
}

/* No listener is handed out here. */
void binding_close_fds(struct binding *binding)
{
}

int __wrap_worker_fd(const struct worker *worker)
{
	return rig.always;
}

int __wrap_worker_send(struct worker *worker, const struct worker_message *message, int fd)
{
	rig.orders[rig.sent++] = *message;
	return 0;
}

int __wrap_worker_receive(struct worker *worker, struct worker_message *ret_message)
{
	if (rig.stuck || rig.answered == rig.sent)
		return 0;
	*ret_message = rig.orders[rig.answered++];
	if (ret_message->query && ret_message->query->limit) {
		ret_message->infos[0].id = 77; /* a worker writes there, however late it is */
		ret_message->info_count = 1;
	}
	ret_message->err = rig.answered == rig.sent ? rig.err : 0;
	return 1;
}

static void open_crew(void)
{
	struct addr addr = addr_of("10.0.0.1:80");

	memset(&rig, 0, sizeof(rig));
	rig.always = eventfd(1, 0);
	rig.sv.workers = rig.workers;
	rig.sv.worker_count = 1;
	atomic_init(&rig.snapshot.refs, 1);
	rig.target = target_new("t", &addr, 1);
}

static void close_crew(void)
{
	ck_assert_uint_eq(rig.answered, rig.sent);
	ck_assert_uint_eq(rig.snapshot.refs, 1);
	ck_assert_uint_eq(rig.target->refs, 1);
	target_put(rig.target);
	close(rig.always);
	memset(&rig, 0, sizeof(rig));
}

START_TEST(late_answer_does_not_pass_for_that_of_the_next_order)
{
	struct worker_message order = {.op = WORKER_VIEW, .snapshot = &rig.snapshot};

	open_crew();
	rig.stuck = true;
	ck_assert_int_eq(crew_tell(&rig.sv, &order), -ETIMEDOUT);
	rig.stuck = false;
	rig.err = -ENOMEM;
	ck_assert_int_eq(crew_tell(&rig.sv, &order), -ENOMEM);
	rig.err = 0;
	ck_assert_int_eq(crew_tell(&rig.sv, &order), 0);
	close_crew();
}
END_TEST

START_TEST(what_an_order_points_at_is_kept_until_it_is_answered)
{
	struct worker_message order = {
		.op = WORKER_CLOSE_TARGET, .snapshot = &rig.snapshot, .target = NULL};

	open_crew();
	order.target = rig.target;
	rig.stuck = true;
	ck_assert_int_eq(crew_tell(&rig.sv, &order), -ETIMEDOUT);
	ck_assert_uint_eq(rig.snapshot.refs, 2);
	ck_assert_uint_eq(rig.target->refs, 2);
	rig.stuck = false;
	ck_assert_int_eq(crew_tell(&rig.sv, &(struct worker_message){.op = WORKER_PORTS}), 0);
	close_crew();
}
END_TEST

START_TEST(list_of_sessions_may_come_when_nobody_waits_for_it)
{
	struct session_info *infos;
	char pool[] = "web";
	struct session_query query = {.pool = pool, .limit = 3};
	size_t count;

	open_crew();
	query.target = rig.target;
	rig.stuck = true;
	ck_assert_int_eq(crew_list_sessions(&rig.sv, &query, &infos, &count), -ETIMEDOUT);
	ck_assert_uint_eq(rig.target->refs, 2);
	memset(pool, 'x', 3);
	ck_assert_str_eq(rig.orders[0].query->pool, "web");
	rig.stuck = false;
	ck_assert_int_eq(crew_list_sessions(&rig.sv, &query, &infos, &count), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(infos[0].id, 77);
	free(infos);
	close_crew();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		late_answer_does_not_pass_for_that_of_the_next_order,
		what_an_order_points_at_is_kept_until_it_is_answered,
		list_of_sessions_may_come_when_nobody_waits_for_it,
	};

	return run_tests("crew", tests, COUNT(tests));
}
