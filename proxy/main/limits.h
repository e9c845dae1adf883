/* SPDX-License-Identifier: Apache-2.0
 *
 * What this machine and its rlimits allow, found out once at start and printed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct config;

struct limits {
	unsigned cpus;     /* allowed by the affinity mask */
	double quota_cpus; /* of the cgroup; 0: none */
	unsigned workers;  /* min(cpus, ceil(quota)) unless configured */
	bool pinned;       /* one worker per allowed CPU, and no quota */
	uint64_t fds;      /* RLIMIT_NOFILE, raised to the hard limit */
	bool own_fds;      /* each worker can have an fd table of its own */
	uint32_t pipes;    /* per worker */
	uint32_t sessions; /* per worker: what fds and memory allow */
	uint64_t memory;   /* bytes: the smaller of MemAvailable and the cgroup's room */
	uint16_t port_low; /* net.ipv4.ip_local_port_range */
	uint16_t port_high;
};

/* Fill `ret_limits` from the system and the configuration. Raises RLIMIT_NOFILE. */
void limits_derive(const struct config *config, struct limits *ret_limits);

/* The CPU for worker `index`, or -1 when workers are not pinned. */
int limits_cpu(const struct limits *limits, unsigned index);

/* Read the range of source ports again; whether it is another one. */
bool limits_refresh_ports(struct limits *limits);
