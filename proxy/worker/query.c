/* SPDX-License-Identifier: Apache-2.0
 *
 * Which sessions there are, for an operator. Happy path: all sessions are visited, a few each turn,
 * and those asked for are described in main's buffer: the first ones by id, which is also by age,
 * or those that moved the most bytes, for which the buffer is a heap with the least of them on top.
 *
 * The only failure is to have no memory for the walk.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/session/sweep.h"
#include "proxy/session_info.h"
#include "proxy/worker/internal.h"

struct inquiry {
	struct session_sweep sweep;
	struct worker *worker;
	struct worker_message message;
};

static bool is_asked_for(const struct session_query *query, const struct session *session)
{
	if (session->id <= query->after)
		return false;
	if (query->target && session->target != query->target)
		return false;
	if (query->listener && strcmp(session->listener->name, query->listener) != 0)
		return false;
	return !query->pool || !strcmp(session->pool->pool->conf->name, query->pool);
}

static uint64_t bytes_of(const struct session_info *info)
{
	return info->client_bytes + info->backend_bytes;
}

static void swap(struct session_info *a, struct session_info *b)
{
	struct session_info kept = *a;

	*a = *b;
	*b = kept;
}

static void sift_up(struct session_info *infos, uint32_t at)
{
	while (at && bytes_of(&infos[(at - 1) / 2]) > bytes_of(&infos[at])) {
		swap(&infos[(at - 1) / 2], &infos[at]);
		at = (at - 1) / 2;
	}
}

static void sift_down(struct session_info *infos, uint32_t count)
{
	uint32_t at = 0, child;

	while ((child = 2 * at + 1) < count) {
		if (child + 1 < count && bytes_of(&infos[child + 1]) < bytes_of(&infos[child]))
			child++;
		if (bytes_of(&infos[at]) <= bytes_of(&infos[child]))
			return;
		swap(&infos[at], &infos[child]);
		at = child;
	}
}

static void keep_the_most(struct worker_message *message, struct session *session)
{
	struct session_info *infos = message->infos;
	uint32_t limit = message->query->limit;

	if (message->info_count < limit) {
		session_inform(session, &infos[message->info_count]);
		sift_up(infos, message->info_count++);
	} else if (session->to_backend.bytes + session->to_client.bytes > bytes_of(&infos[0])) {
		session_inform(session, &infos[0]);
		sift_down(infos, limit);
	}
}

static bool visit(struct session_sweep *sweep, struct session *session)
{
	struct worker_message *message = &container_of(sweep, struct inquiry, sweep)->message;
	const struct session_query *query = message->query;

	if (!query->limit)
		return false;
	if (!is_asked_for(query, session))
		return true;
	if (query->sort == SESSION_SORT_BYTES) {
		keep_the_most(message, session);
		return true;
	}
	session_inform(session, &message->infos[message->info_count++]);
	return message->info_count < query->limit;
}

static int by_bytes(const void *a, const void *b)
{
	uint64_t x = bytes_of(a), y = bytes_of(b);

	return x < y ? 1 : x > y ? -1 : 0;
}

static void on_done(struct session_sweep *sweep)
{
	struct inquiry *inquiry = container_of(sweep, struct inquiry, sweep);
	struct worker_message *message = &inquiry->message;

	if (message->query->sort == SESSION_SORT_BYTES)
		qsort(message->infos, message->info_count, sizeof(*message->infos), by_bytes);
	worker_answer(inquiry->worker, message, 0);
	free(inquiry);
}

int worker_list_sessions(struct worker *worker, const struct worker_message *message)
{
	struct inquiry *inquiry = calloc(1, sizeof(*inquiry));

	if (!inquiry)
		return -ENOMEM;
	inquiry->worker = worker;
	inquiry->message = *message;
	inquiry->message.info_count = 0;
	inquiry->sweep.visit = visit;
	inquiry->sweep.done = on_done;
	session_sweep_start(&worker->sessions, &inquiry->sweep);
	return 0;
}
