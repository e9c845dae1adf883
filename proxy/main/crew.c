/* SPDX-License-Identifier: Apache-2.0
 *
 * Main's side of the conversation with the workers. Happy path: an order goes out to all of them,
 * each answers within a turn of its loop, and main has waited for the last. A worker that does not
 * answer within 10 s is stuck, and the order fails with -ETIMEDOUT.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/main/binding.h"
#include "proxy/main/supervisor.h"
#include "proxy/session_info.h"

#define ANSWER_US (10 * US_PER_SEC)

/* Other answers to the same op cannot be under way: every order is waited for. */
static int await_answer(struct worker *worker, uint32_t op, struct worker_message *ret_answer)
{
	uint64_t deadline = clock_us() + ANSWER_US;

	for (;;) {
		struct pollfd poll_fd = {.fd = worker_fd(worker), .events = POLLIN};
		int got = worker_receive(worker, ret_answer);

		if (got < 0)
			return got;
		if (got && ret_answer->op == op)
			return ret_answer->err;
		if (clock_us() > deadline)
			return -ETIMEDOUT;
		if (!got)
			poll(&poll_fd, 1, 1000);
	}
}

static int tell(struct supervisor *sv, const struct worker_message *message, const int *fds,
		unsigned fd_count)
{
	struct worker_message answer;
	int first = 0;

	for (unsigned i = 0; i < sv->worker_count; i++) {
		int err =
			worker_send(sv->workers[i], message, fds ? fds[fd_count == 1 ? 0 : i] : -1);

		if (!err)
			err = await_answer(sv->workers[i], message->op, &answer);
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
	struct worker *owner = sv->workers[(id - 1) % sv->worker_count]; /* session_env::next_id */
	int err = worker_send(owner, &message, -1);

	return err ? err : await_answer(owner, WORKER_KILL, &answer);
}

int crew_list_sessions(struct supervisor *sv, const struct session_query *query,
		       struct session_info **ret_sessions, size_t *ret_count)
{
	size_t most = (size_t)query->limit * sv->worker_count, count = 0;
	struct session_info *infos = calloc(most + 1, sizeof(*infos));
	int err = infos ? 0 : -ENOMEM;

	for (unsigned i = 0; i < sv->worker_count && !err; i++) {
		struct worker_message answer,
			message = {.op = WORKER_SESSIONS, .query = query, .infos = infos + count};

		err = worker_send(sv->workers[i], &message, -1);
		if (!err)
			err = await_answer(sv->workers[i], WORKER_SESSIONS, &answer);
		if (!err)
			count += answer.info_count;
	}
	if (err) {
		if (err != -ETIMEDOUT) /* a stuck worker may still come back and write there */
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
