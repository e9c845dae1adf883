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

void counters_print(struct supervisor *sv)
{
	struct stats_sum sum;
	char *line;

	supervisor_sum(sv, &sum);
	source_ports_now(sv);
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
