/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the logs go: main opens every file, the writer threads own what they are given.
 * Failure mode: a log file that cannot be opened is an error at start; later (SIGUSR1, reload) the
 * old one is kept and the operational log says why.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/sandbox.h"
#include "proxy/flowlog.h"
#include "proxy/main/supervisor.h"

#define RING_RECORDS 2048

/* An open fd, or -errno. */
static int open_log(const struct flow_conf *flow)
{
	int fd;

	if (!flow->path)
		return STDOUT_FILENO;
	fd = open(flow->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	return fd < 0 ? -errno : fd;
}

static int open_rings(struct supervisor *sv)
{
	sv->rings = calloc(sv->limits.workers, sizeof(struct flow_ring *));
	if (!sv->rings)
		return -ENOMEM;
	for (unsigned i = 0; i < sv->limits.workers; i++) {
		sv->rings[i] = flow_ring_new(RING_RECORDS);
		if (!sv->rings[i])
			return -ENOMEM;
	}
	return 0;
}

/* On the operational log's thread. Where there is no seccomp it writes without. */
static void enter_writer(void)
{
	sandbox_enter(SANDBOX_WRITER);
}

int logs_start(struct supervisor *sv)
{
	const struct flow_conf *flow = &sv->config->config->flow;
	int err = open_rings(sv);
	int fd;

	if (err)
		return err;
	fd = open_log(flow);
	if (fd < 0) {
		log_event(LOG_ERROR, "log_unusable", "path=%s error=\"%s\"", flow->path,
			  strerror(-fd));
		return fd;
	}
	err = flowlog_start(sv->rings, sv->limits.workers, flow->format, fd, &sv->flowlog);
	if (err)
		return err;
	log_on_thread_start(enter_writer);
	return log_start();
}

void logs_reopen(struct supervisor *sv)
{
	const struct flow_conf *flow = &sv->snapshot->config->flow;
	int fd = open_log(flow);

	if (fd < 0) {
		log_event(LOG_ERROR, "log_unusable", "path=%s error=\"%s\" kept=the_old_one",
			  flow->path, strerror(-fd));
		return;
	}
	flowlog_switch(sv->flowlog, flow->format, fd);
	log_event(LOG_INFO, "log_reopened", "path=%s", flow->path ? flow->path : "stdout");
}
