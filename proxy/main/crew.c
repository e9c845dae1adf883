/* SPDX-License-Identifier: Apache-2.0
 *
 * Main's side of the conversation with the workers. Happy path: an order goes out to all of them,
 * each answers within a turn of its loop, and main has waited for the last.
 *
 * Failure mode: a worker that does not answer within 10 s is stuck, and the order fails with
 * -ETIMEDOUT. It may come back (a frozen container does) and carry the order out then: so what an
 * order points at is kept until its answer comes, however late, and an answer is known by its
 * serial, lest it pass for that of the next order.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/main/binding.h"
#include "proxy/main/supervisor.h"
#include "proxy/session_info.h"
#include "proxy/target.h"

#define ANSWER_US (10 * US_PER_SEC)

/* What WORKER_SESSIONS points at. */
struct roll {
	struct session_query query;
	char listener[sizeof(((struct session_info *)0)->listener)];
	char pool[sizeof(((struct session_info *)0)->pool)];
	struct session_info infos[];
};

static struct roll *roll_new(const struct session_query *query)
{
	struct roll *roll = calloc(1, sizeof(*roll) + query->limit * sizeof(roll->infos[0]));

	if (!roll)
		return NULL;
	roll->query = *query;
	if (query->listener) {
		snprintf(roll->listener, sizeof(roll->listener), "%s", query->listener);
		roll->query.listener = roll->listener;
	}
	if (query->pool) {
		snprintf(roll->pool, sizeof(roll->pool), "%s", query->pool);
		roll->query.pool = roll->pool;
	}
	return roll;
}

static void let_go(const struct worker_message *message)
{
	snapshot_put(message->snapshot);
	target_put(message->target);
}

/* To an order that nobody waits for any more. */
static void on_late_answer(const struct worker_message *answer)
{
	let_go(answer);
	if (answer->query)
		free(container_of(answer->query, struct roll, query));
}

static int await_answer(struct worker *worker, uint64_t serial, struct worker_message *ret_answer)
{
	uint64_t deadline = clock_us() + ANSWER_US;

	for (;;) {
		struct pollfd poll_fd = {.fd = worker_fd(worker), .events = POLLIN};
		struct worker_message answer;
		int got = worker_receive(worker, &answer);

		if (got < 0)
			return got;
		if (got && answer.serial == serial) {
			let_go(&answer);
			*ret_answer = answer;
			return answer.err;
		}
		if (got) {
			on_late_answer(&answer);
			continue;
		}
		if (clock_us() > deadline)
			return -ETIMEDOUT;
		poll(&poll_fd, 1, 1000);
	}
}

/* One order to one worker, and its answer. */
static int ask(struct supervisor *sv, struct worker *worker, const struct worker_message *order,
	       int fd, struct worker_message *ret_answer)
{
	struct worker_message message = *order;
	int err;

	message.serial = ++sv->last_order;
	if (message.snapshot)
		snapshot_get(message.snapshot);
	if (message.target)
		target_get(message.target);
	err = worker_send(worker, &message, fd);
	if (!err)
		return await_answer(worker, message.serial, ret_answer);
	let_go(&message);
	return err;
}

static int tell(struct supervisor *sv, const struct worker_message *message, const int *fds,
		unsigned fd_count)
{
	struct worker_message answer;
	int first = 0;

	for (unsigned i = 0; i < sv->worker_count; i++) {
		int err = ask(sv, sv->workers[i], message, fds ? fds[fd_count == 1 ? 0 : i] : -1,
			      &answer);

		if (err && !first)
			first = err;
	}
	return first;
}

int crew_tell(struct supervisor *sv, const struct worker_message *message)
{
	return tell(sv, message, NULL, 0);
}

int crew_kill_session(struct supervisor *sv, uint64_t id, bool reset)
{
	struct worker_message answer,
		message = {.op = WORKER_KILL, .key = id, .wait_ms = CLOSE_WAIT_MS, .rst = reset};

	/* session_env::next_id */
	return ask(sv, sv->workers[(id - 1) % sv->worker_count], &message, -1, &answer);
}

/* One worker's sessions, at `infos`. 0 or -errno. */
static int list_sessions(struct supervisor *sv, struct worker *worker,
			 const struct session_query *query, struct session_info *infos,
			 size_t *ret_count)
{
	struct roll *roll = roll_new(query);
	struct worker_message answer, message = {.op = WORKER_SESSIONS};
	int err;

	if (!roll)
		return -ENOMEM;
	message.query = &roll->query;
	message.infos = roll->infos;
	message.target = (struct target *)query->target;
	err = ask(sv, worker, &message, -1, &answer);
	if (err == -ETIMEDOUT)
		return err; /* it may still come back and write there */
	if (!err) {
		memcpy(infos, roll->infos, answer.info_count * sizeof(*infos));
		*ret_count = answer.info_count;
	}
	free(roll);
	return err;
}

int crew_list_sessions(struct supervisor *sv, const struct session_query *query,
		       struct session_info **ret_sessions, size_t *ret_count)
{
	size_t most = (size_t)query->limit * sv->worker_count, count = 0, more;
	struct session_info *infos = calloc(most + 1, sizeof(*infos));
	int err = infos ? 0 : -ENOMEM;

	for (unsigned i = 0; i < sv->worker_count && !err; i++) {
		err = list_sessions(sv, sv->workers[i], query, infos + count, &more);
		if (!err)
			count += more;
	}
	if (err) {
		free(infos);
		return err;
	}
	*ret_sessions = infos;
	*ret_count = count;
	return 0;
}

int crew_listen(struct supervisor *sv, struct binding *binding)
{
	struct worker_message message = {
		.op = WORKER_LISTEN,
		.key = binding->key,
		.bound = binding->bound,
		.local = binding->local,
		.shared = binding->path != NULL,
	};
	int err = tell(sv, &message, binding->fds, binding->fd_count);

	binding_close_fds(binding);
	return err;
}

uint64_t crew_sessions(struct supervisor *sv)
{
	uint64_t open = 0;

	for (unsigned i = 0; i < sv->worker_count; i++)
		open += count_read(&worker_counts(sv->workers[i])->sessions_open);
	return open;
}

uint64_t crew_clients(struct supervisor *sv)
{
	uint64_t clients = 0;

	for (unsigned i = 0; i < sv->worker_count; i++)
		clients += count_read(&worker_counts(sv->workers[i])->clients);
	return clients;
}
