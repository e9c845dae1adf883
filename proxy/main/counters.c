/* SPDX-License-Identifier: Apache-2.0
 *
 * The counters as one JSON line on stdout, on SIGUSR2 and at exit.
 * Failure mode: a line that finds no room is dropped, as any other.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/flowlog.h"
#include "proxy/main/supervisor.h"
#include "proxy/stats.h"

void supervisor_sum(struct supervisor *sv, struct stats_sum *ret_sum)
{
	stats_sum(sv->counts, sv->worker_count, ret_sum);
}

/* Whether the flow log shares stdout: then its writer must write this line too. */
static bool shares_stdout(const struct supervisor *sv)
{
	return sv->flowlog && !sv->snapshot->config->flow.path;
}

static void write_all(const char *text, size_t len)
{
	while (len) {
		ssize_t written = write(STDOUT_FILENO, text, len);

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
	line = stats_json(&sum, sv->snapshot, sv->worker_count, clock_us() - sv->started_us);
	if (!line)
		return;
	if (!shares_stdout(sv)) {
		write_all(line, strlen(line));
		write_all("\n", 1);
	} else if (!flowlog_line(sv->flowlog, line)) {
		log_event(LOG_WARN, "counters_dropped", "reason=log_full");
	}
	free(line);
}
