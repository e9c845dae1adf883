/* SPDX-License-Identifier: Apache-2.0
 *
 * The counters as one JSON line on stdout, on SIGUSR2 and at exit.
 * Failure mode: a line that finds no room is dropped, as any other.
 */
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/flowlog.h"
#include "proxy/main/supervisor.h"
#include "proxy/netlink.h"
#include "proxy/stats.h"

#define WRITE_MS 1000

void supervisor_sum(struct supervisor *sv, struct stats_sum *ret_sum)
{
	stats_sum(sv->counts, sv->worker_count, ret_sum);
}

/* Whether the flow log shares stdout: then its writer must write this line too. */
static bool shares_stdout(const struct supervisor *sv)
{
	return sv->flowlog && !sv->snapshot->config->flow.path;
}

/* Piece by piece, each no longer than a pipe takes at once (pipe(7), PIPE_BUF), so that a reader
 * who stands still costs us the rest of the line and not the exit. */
static void write_patiently(const char *text, size_t len)
{
	struct pollfd stdout_poll = {.fd = STDOUT_FILENO, .events = POLLOUT};

	while (len && poll(&stdout_poll, 1, WRITE_MS) == 1) {
		ssize_t written = write(STDOUT_FILENO, text, len < PIPE_BUF ? len : PIPE_BUF);

		if (written <= 0)
			return;
		text += written;
		len -= (size_t)written;
	}
}

/* The range, once per source address, less what is in use or in TIME_WAIT towards the target. */
static int32_t ports_left(const struct supervisor *sv, const struct pool *pool,
			  const struct target *target)
{
	size_t sources = pool->conf->source_count ? pool->conf->source_count : 1;
	int64_t left = (int64_t)sources * (sv->limits.port_high - sv->limits.port_low + 1);
	unsigned inuse, time_wait;

	if (target->addr.family == AF_UNIX || netlink_count_to(&target->addr, &inuse, &time_wait))
		return -1;
	left -= (int64_t)inuse + time_wait;
	return left > 0 ? (int32_t)left : 0;
}

static void refresh_ports_left(struct supervisor *sv)
{
	for (size_t i = 0; i < sv->snapshot->config->pool_count; i++) {
		const struct pool *pool = &sv->snapshot->pools[i];

		for (size_t j = 0; j < pool->target_count; j++)
			atomic_store(&pool->targets[j]->source_ports_left,
				     ports_left(sv, pool, pool->targets[j]));
	}
}

void counters_print(struct supervisor *sv)
{
	struct stats_sum sum;
	char *line;

	supervisor_sum(sv, &sum);
	refresh_ports_left(sv);
	line = stats_json(&sum, sv->snapshot, sv->worker_count, clock_us() - sv->started_us);
	if (!line)
		return;
	if (!shares_stdout(sv)) {
		write_patiently(line, strlen(line));
		write_patiently("\n", 1);
	} else if (!flowlog_line(sv->flowlog, line)) {
		log_event(LOG_WARN, "counters_dropped", "reason=log_full");
	}
	free(line);
}
