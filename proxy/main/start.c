/* SPDX-License-Identifier: Apache-2.0
 *
 * Bringing the process up and taking it down again. Happy path: user dropped, addresses bound,
 * limits derived and printed, logs and workers started, names resolved, and only then the sockets
 * listen, so nobody is let in before there is somebody to serve. The last line is `ready`.
 *
 * Failure modes: every step says on stderr what failed and what to try, and nothing was accepted.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/congestion.h"
#include "proxy/base/log.h"
#include "proxy/base/sandbox.h"
#include "proxy/base/version.h"
#include "proxy/config.h"
#include "proxy/flowlog.h"
#include "proxy/main/binding.h"
#include "proxy/main/operations.h"
#include "proxy/main/replace.h"
#include "proxy/main/service.h"
#include "proxy/main/supervisor.h"
#include "proxy/options.h"
#include "proxy/resolve.h"

#define LOG_FLUSH_MS 1000

static const struct config *config_of(const struct supervisor *sv)
{
	return sv->config->config;
}

static void obey_signal(struct supervisor *sv, const struct signalfd_siginfo *info)
{
	log_event(LOG_INFO, "signal", "name=SIG%s from_pid=%u from_uid=%u",
		  sigabbrev_np((int)info->ssi_signo), info->ssi_pid, info->ssi_uid);
	switch (info->ssi_signo) {
	case SIGTERM:
	case SIGINT:
		drain_signal(sv, info->ssi_code == SI_QUEUE && info->ssi_int == REPLACE_MAGIC);
		break;
	case SIGHUP:
		reload_on_signal(sv);
		break;
	case SIGUSR1:
		logs_reopen(sv);
		break;
	case SIGUSR2:
		counters_print(sv);
		break;
	}
}

static void on_signal(struct loop_source *source, uint32_t events)
{
	struct supervisor *sv = container_of(source, struct supervisor, signals);
	struct signalfd_siginfo info;

	while (read(source->fd, &info, sizeof(info)) == sizeof(info))
		obey_signal(sv, &info);
}

static void on_names(struct loop_source *source, uint32_t events)
{
	struct supervisor *sv = container_of(source, struct supervisor, names);
	uint64_t count;

	if (read(source->fd, &count, sizeof(count)) == sizeof(count) && sv->phase == PHASE_SERVING)
		reload_names(sv);
}

static int open_sources(struct supervisor *sv)
{
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN); /* as a container's PID 1, whose orphans then leave no zombies */
	sv->signals = (struct loop_source){.on_event = on_signal,
					   .fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)};
	sv->names = (struct loop_source){.on_event = on_names,
					 .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	if (sv->signals.fd < 0 || sv->names.fd < 0)
		return -errno;
	err = loop_add(&sv->loop, &sv->signals, EPOLLIN);
	return err ? err : loop_add(&sv->loop, &sv->names, EPOLLIN);
}

static void print_limits(const struct supervisor *sv)
{
	const struct limits *limits = &sv->limits;
	uint64_t sessions = (uint64_t)limits->sessions * limits->workers;
	char quota[24] = "none";

	if (limits->quota_cpus > 0)
		snprintf(quota, sizeof(quota), "%.2f", limits->quota_cpus);
	if (sv->total_limit && sv->total_limit < sessions)
		sessions = sv->total_limit;
	log_event(LOG_INFO, "limits",
		  "workers=%u pinned=%s cpus=%u quota_cpus=%s max_connections=%llu "
		  "per_worker=%u fds=%llu fd_tables=%s buffers=%llu source_ports=%u-%u",
		  limits->workers, limits->pinned ? "yes" : "no", limits->cpus, quota,
		  (unsigned long long)sessions, limits->sessions, (unsigned long long)limits->fds,
		  limits->own_fds ? "own" : "shared", (unsigned long long)config_of(sv)->buffers,
		  limits->port_low, limits->port_high);
}

static struct worker_conf worker_conf_for(struct supervisor *sv, unsigned index)
{
	const struct limits *limits = &sv->limits;

	return (struct worker_conf){
		.index = index,
		.count = limits->workers,
		.cpu = limits_cpu(limits, index),
		.max_sessions = limits->sessions,
		.max_pipes = limits->pipes,
		.buffers = config_of(sv)->buffers / limits->workers,
		.busy_poll_us = config_of(sv)->busy_poll_us,
		.port_low = limits->port_low,
		.port_high = limits->port_high,
		.snapshot = sv->snapshot,
		.ring = sv->rings[index],
		.total_open = &sv->total_open,
		.total_limit = sv->total_limit,
		.own_fds = limits->own_fds,
		.wires = &sv->wires,
		.offload = sv->offload,
	};
}

static int start_workers(struct supervisor *sv)
{
	sv->workers = calloc(sv->limits.workers, sizeof(struct worker *));
	sv->counts = calloc(sv->limits.workers, sizeof(struct worker_counts *));
	if (!sv->workers || !sv->counts)
		return -ENOMEM;
	for (unsigned i = 0; i < sv->limits.workers; i++) {
		struct worker_conf conf = worker_conf_for(sv, i);
		int err = worker_start(&conf, &sv->workers[i]);

		if (err) {
			log_event(LOG_ERROR, "worker_failed", "worker=%u error=\"%s\"", i,
				  strerror(-err));
			return err;
		}
		sv->counts[sv->worker_count++] = worker_counts(sv->workers[i]);
	}
	return 0;
}

static int init(struct supervisor *sv, struct options *options, struct config *config)
{
	int err;

	mallopt(M_ARENA_MAX, 1); /* trimming another would read a file, which workers may not */
	*sv = (struct supervisor){.options = options, .started_us = clock_us(), .zone_wake.fd = -1};
	list_init(&sv->bindings);
	list_init(&sv->drained);
	list_init(&sv->predecessors);
	sv->config = config_ref_new(config, config_free);
	if (!sv->config)
		return -ENOMEM;
	log_set_level_name(config->log_level);
	service_open();
	err = loop_init(&sv->loop);
	if (err)
		return err;
	drain_init(sv);
	source_ports_init(sv);
	return open_sources(sv);
}

/* The user is changed before anything is bound: sockets that share a port must have one owner
 * (socket(7), SO_REUSEPORT), and a later process binds as that user too. */
static int become_user(const struct config *config)
{
	int err = sandbox_drop_user(config->user, SANDBOX_KEEP_PORTS | SANDBOX_KEEP_OFFLOAD);

	if (err)
		log_event(LOG_ERROR, "user_not_changed", "user=%s error=\"%s\"", config->user,
			  strerror(-err));
	return err;
}

static int serve(struct supervisor *sv, struct list *bindings)
{
	const struct config *config = config_of(sv);
	int err = logs_start(sv);

	if (!err)
		err = reload_resolver(sv, config);
	if (!err)
		err = publish_start(sv);
	if (!err)
		err = checks_start(sv);
	if (!err)
		err = publish_configure(sv, config);
	if (!err)
		inherit_sources(sv); /* before zones have a thread that uses libcurl */
	if (!err)
		err = zones_configure(sv, config);
	if (!err)
		err = publish_targets(sv, sv->config);
	if (!err)
		err = start_workers(sv);
	if (!err)
		err = operations_start(sv);
	if (!err)
		err = sandbox_enter(SANDBOX_MAIN);
	if (!err && config->reload_ports_unprivileged)
		err = sandbox_drop_net_bind();
	return err ? err : listeners_listen(sv, config, bindings);
}

int supervisor_start(struct supervisor *sv, struct options *options, struct config *config)
{
	struct list bindings;
	int err = init(sv, options, config);

	if (err)
		return err;
	list_init(&bindings);
	sv->total_limit = config->max_connections;
	err = replace_find(sv); /* while we may still look into other users' processes */
	if (!err)
		err = guarding_start(sv, config);
	if (!err) {
		fastpath_qualify(sv, config); /* while we may make network namespaces */
		err = become_user(config);
	}
	if (!err) {
		limits_derive(config, &sv->limits);
		congestion_learn();
		fastpath_start(sv, config);
		err = listeners_bind(sv, config, &bindings);
	}
	if (!err)
		err = operations_open(sv);
	if (!err) {
		print_limits(sv);
		err = serve(sv, &bindings);
		if (err)
			log_event(LOG_ERROR, "start_failed", "error=\"%s\"", strerror(-err));
	}
	if (err) {
		guarding_stop(sv); /* what is pinned would stay */
		return err;
	}
	service_ready(sv); /* before a predecessor ends, which would be the end of the service */
	replace_predecessors(sv);
	watch_start(sv);
	log_event(LOG_INFO, "ready", "version=%s pid=%d config=%s listeners=%zu pools=%zu",
		  SLUICE_VERSION, (int)getpid(),
		  sv->options->line.config_file ? sv->options->line.config_file : "none",
		  config->listener_count, config->pool_count);
	return 0;
}

void supervisor_run(struct supervisor *sv)
{
	loop_run(&sv->loop);
}

static void stop_workers(struct supervisor *sv)
{
	struct worker_message message = {.op = WORKER_STOP};

	crew_tell(sv, &message);
	for (unsigned i = 0; i < sv->worker_count; i++)
		worker_join(sv->workers[i]);
	sv->worker_count = 0;
	free(sv->workers);
	free(sv->counts);
}

static void free_bindings(struct list *bindings)
{
	struct list *link;

	while ((link = list_pop_front(bindings))) {
		struct binding *binding = container_of(link, struct binding, link);

		binding_unlink(binding);
		binding_free(binding);
	}
}

void supervisor_finish(struct supervisor *sv)
{
	uint64_t lost;

	replace_fini(sv);
	service_end();
	operations_stop(sv);
	checks_stop(sv);
	free_bindings(&sv->drained);
	free_bindings(&sv->bindings);
	resolver_stop(sv->resolver);
	zones_stop(sv);
	lost = flowlog_stop(sv->flowlog, LOG_FLUSH_MS);
	sv->flowlog = NULL;
	if (lost)
		log_event(LOG_WARN, "flow_lines_lost", "count=%llu", (unsigned long long)lost);
	if (!sv->options->demo)
		counters_print(sv);
	log_event(LOG_INFO, "stopped", "sessions=%llu", (unsigned long long)crew_sessions(sv));
	source_ports_stop(sv);
	stop_workers(sv);
	fastpath_stop(sv);
	guarding_stop(sv);
	for (unsigned i = 0; i < sv->limits.workers; i++)
		flow_ring_free(sv->rings[i]);
	free(sv->rings);
	snapshot_put(sv->snapshot);
	publish_stop(sv);
	config_ref_put(sv->config);
	log_stop(LOG_FLUSH_MS);
	close(sv->signals.fd);
	close(sv->names.fd);
	loop_fini(&sv->loop);
}
