/* SPDX-License-Identifier: Apache-2.0
 *
 * Deriving limits. Happy path: as many workers as CPUs are allowed, never more than the cgroup's
 * quota can run at once; as many sessions as the fds of a worker's table and the memory allow, so
 * that the limit is known at start and not met by accident.
 *
 * Failure modes: a file that is not there (no cgroup, no /proc) means "no limit from here".
 */
#include "proxy/main/limits.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/base/cgroup.h"
#include "proxy/model.h"

#define FDS_KEPT          64         /* per table, for listeners, epoll, logs */
#define SESSION_BYTES     (9 * 1024) /* two kernel sockets and ours, measured idle */
#define MEMORY_SHARE      0.8
#define PIPES_MAX         1024
#define DEFAULT_PORT_LOW  32768
#define DEFAULT_PORT_HIGH 60999

/* The first line of a small file; false if there is none. */
static bool read_line(const char *path, char *buf, int size)
{
	FILE *file = fopen(path, "re");
	bool got;

	if (!file)
		return false;
	got = fgets(buf, size, file) != NULL;
	fclose(file);
	return got;
}

static void take_memory(const char *text, void *arg)
{
	uint64_t *memory = arg;
	char *end;
	uint64_t found = strtoull(text, &end, 10);

	if (end != text && found < *memory)
		*memory = found;
}

static uint64_t available_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	uint64_t memory;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	memory = kib ? kib * 1024 : UINT64_MAX;
	cgroup_each_level("", "memory.max", take_memory, &memory);
	return memory;
}

static uint64_t raise_fds(void)
{
	struct rlimit limit, raised;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 1024;
	raised = limit;
	raised.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &raised) ? limit.rlim_cur : raised.rlim_cur;
}

static void *try_unshare(void *arg)
{
	bool *works = arg;

	*works = !close_range(~0U, ~0U, CLOSE_RANGE_UNSHARE);
	return NULL;
}

/* ThreadSanitizer takes equal fd numbers in two tables for one fd, and sees races between them. */
#ifdef __SANITIZE_THREAD__
#define FD_TABLES_CONFUSE 1
#else
#define FD_TABLES_CONFUSE 0
#endif

/* Whether a thread may leave the shared fd table; tried by one that is thrown away. */
static bool can_own_fds(void)
{
	bool works = false;
	pthread_t thread;

	if (FD_TABLES_CONFUSE || pthread_create(&thread, NULL, try_unshare, &works))
		return false;
	pthread_join(thread, NULL);
	return works;
}

bool limits_refresh_ports(struct limits *limits)
{
	char text[64];
	unsigned low, high;

	if (!read_line("/proc/sys/net/ipv4/ip_local_port_range", text, sizeof(text)) ||
	    sscanf(text, "%u %u", &low, &high) != 2 || !low || low > high || high > UINT16_MAX)
		return false;
	if (limits->port_low == low && limits->port_high == high)
		return false;
	limits->port_low = (uint16_t)low;
	limits->port_high = (uint16_t)high;
	return true;
}

static unsigned allowed_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

static unsigned count_workers(const struct config *config, const struct limits *limits)
{
	unsigned workers = limits->cpus;

	if (config->workers)
		return config->workers;
	if (limits->quota_cpus > 0 && ceil(limits->quota_cpus) < workers)
		workers = (unsigned)ceil(limits->quota_cpus);
	return workers ? workers : 1;
}

static uint32_t sessions_per_worker(const struct limits *limits)
{
	uint64_t table = limits->own_fds ? limits->fds : limits->fds / limits->workers;
	uint64_t kept = FDS_KEPT + 2 * (uint64_t)limits->pipes;
	uint64_t by_fds = table > kept ? (table - kept) / 2 : 1;
	double by_memory = (double)limits->memory * MEMORY_SHARE / SESSION_BYTES / limits->workers;

	if (by_memory < (double)by_fds)
		by_fds = (uint64_t)by_memory;
	return by_fds < UINT32_MAX ? (uint32_t)by_fds : UINT32_MAX;
}

void limits_derive(const struct config *config, struct limits *ret_limits)
{
	struct limits limits = {.cpus = allowed_cpus(),
				.own_fds = can_own_fds(),
				.port_low = DEFAULT_PORT_LOW,
				.port_high = DEFAULT_PORT_HIGH};

	limits.quota_cpus = cgroup_quota_cpus("");
	limits.workers = count_workers(config, &limits);
	limits.pinned = limits.workers == limits.cpus && limits.quota_cpus <= 0;
	limits.fds = raise_fds();
	limits.pipes = (uint32_t)((limits.own_fds ? limits.fds : limits.fds / limits.workers) / 16);
	if (limits.pipes > PIPES_MAX)
		limits.pipes = PIPES_MAX;
	limits.memory = available_memory();
	limits.sessions = sessions_per_worker(&limits);
	limits_refresh_ports(&limits);
	*ret_limits = limits;
}

int limits_cpu(const struct limits *limits, unsigned index)
{
	cpu_set_t set;

	if (!limits->pinned || sched_getaffinity(0, sizeof(set), &set))
		return -1;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && !index--)
			return cpu;
	return -1;
}
