/* SPDX-License-Identifier: Apache-2.0
 *
 * What the doctor knows of a host: plain data. What the kernel says in files is read below a root
 * directory, so that a test can make a host of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xdp/qualify.h"

#define FACT_UNKNOWN INT64_C(-1)
#define FACT_NO_END  INT64_MAX /* "unlimited" */

/* Numbers that stand in files by themselves; facts.c has the table. */
enum doctor_fact {
	FACT_UNPRIVILEGED_BPF,
	FACT_BPF_JIT,
	FACT_SOMAXCONN,
	FACT_SYN_BACKLOG,
	FACT_SYNCOOKIES,
	FACT_TCP_MEM_PRESSURE, /* pages */
	FACT_TCP_MEM_MAX,
	FACT_PORT_LOW,
	FACT_PORT_HIGH,
	FACT_TIME_WAIT_REUSE,
	FACT_TIME_WAIT_MAX,
	FACT_RP_FILTER,
	FACT_CONNTRACK_MAX, /* unknown: not loaded */
	FACT_CONNTRACK_COUNT,
	FACT_PIPE_PAGES,
	FACTS
};

#define DOCTOR_NICS 16

struct doctor_nic {
	char name[16];
	char driver[32]; /* "": a virtual one */
	int64_t mtu;
	int64_t receive_queues;
	int64_t threaded; /* NAPI in threads of its own */
	int64_t rp_filter;
	/* Asked of the driver, so not from a file. */
	int64_t gro;
	int64_t gso;
	int64_t tso;
	int64_t channels; /* in use, receive and send together */
	int64_t channels_max;
};

struct doctor_facts {
	int64_t numbers[FACTS];
	char release[64];   /* of the kernel; "": unknown */
	unsigned kernel[2]; /* 6, 18 */
	bool btf;
	uint64_t capabilities; /* effective, of this process */
	bool capabilities_known;
	char bpffs[64];        /* where it is mounted; "": nowhere */
	char cgroup2[64];      /* likewise */
	int64_t open_files;    /* RLIMIT_NOFILE, the hard one */
	int64_t locked_memory; /* RLIMIT_MEMLOCK, bytes */
	int64_t time_wait;     /* sockets, now */
	int64_t cpus;          /* allowed */
	double quota_cpus;     /* of the cgroup; 0: none */
	int64_t keepalive_s;   /* the longest of the configuration; 0: off somewhere */
	struct doctor_nic nics[DOCTOR_NICS];
	size_t nic_count;
	bool nics_left_out; /* there are more */
	struct qualify_result tried[QUALIFY_PATHS];
};

/* `root` is "" for this host. The keepalive is the caller's to add, and nothing is tried. */
void doctor_gather(const char *root, struct doctor_facts *ret_facts);

/* Try the ways of the fast path, in network namespaces that nobody else sees; seconds. */
void doctor_try(struct doctor_facts *facts);

/* gather_nics.c: those that are up and real; without a real one, all but loopback. */
void doctor_gather_nics(const char *root, struct doctor_facts *facts);

/* All of a small file, ended with a NUL; false if it cannot be read. */
bool doctor_read(const char *root, const char *path, char *ret_text, size_t size);

/* The number in the `field`th place (from 0) of a file; FACT_UNKNOWN if there is none. */
int64_t doctor_read_number(const char *root, const char *path, unsigned field);
