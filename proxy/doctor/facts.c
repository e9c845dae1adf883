/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a host's files once. Happy path: each is a line of numbers, or has a line that begins with
 * a name. Failure modes: a file that is not there, or not as expected, leaves its fact unknown.
 */
#include "proxy/doctor/facts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/cgroup.h"
#include "proxy/base/slurp.h"

#define FILE_MAX 65536 /* mountinfo of a host with many containers */

static const struct {
	const char *path;
	unsigned field;
} files[FACTS] = {
	[FACT_UNPRIVILEGED_BPF] = {"/proc/sys/kernel/unprivileged_bpf_disabled", 0},
	[FACT_BPF_JIT] = {"/proc/sys/net/core/bpf_jit_enable", 0},
	[FACT_SOMAXCONN] = {"/proc/sys/net/core/somaxconn", 0},
	[FACT_SYN_BACKLOG] = {"/proc/sys/net/ipv4/tcp_max_syn_backlog", 0},
	[FACT_SYNCOOKIES] = {"/proc/sys/net/ipv4/tcp_syncookies", 0},
	[FACT_TCP_MEM_PRESSURE] = {"/proc/sys/net/ipv4/tcp_mem", 1},
	[FACT_TCP_MEM_MAX] = {"/proc/sys/net/ipv4/tcp_mem", 2},
	[FACT_PORT_LOW] = {"/proc/sys/net/ipv4/ip_local_port_range", 0},
	[FACT_PORT_HIGH] = {"/proc/sys/net/ipv4/ip_local_port_range", 1},
	[FACT_TIME_WAIT_REUSE] = {"/proc/sys/net/ipv4/tcp_tw_reuse", 0},
	[FACT_TIME_WAIT_MAX] = {"/proc/sys/net/ipv4/tcp_max_tw_buckets", 0},
	[FACT_RP_FILTER] = {"/proc/sys/net/ipv4/conf/all/rp_filter", 0},
	[FACT_CONNTRACK_MAX] = {"/proc/sys/net/netfilter/nf_conntrack_max", 0},
	[FACT_CONNTRACK_COUNT] = {"/proc/sys/net/netfilter/nf_conntrack_count", 0},
	[FACT_PIPE_PAGES] = {"/proc/sys/fs/pipe-user-pages-soft", 0},
};

bool doctor_read(const char *root, const char *path, char *ret_text, size_t size)
{
	char whole[PATH_MAX];
	ssize_t got;
	int fd;

	if ((size_t)snprintf(whole, sizeof(whole), "%s%s", root, path) >= sizeof(whole))
		return false;
	fd = open(whole, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = slurp(fd, ret_text, size - 1);
	close(fd);
	if (got < 0)
		return false;
	ret_text[got] = '\0';
	return true;
}

static int64_t number_at(const char *text, unsigned field)
{
	for (;; field--) {
		char *end;
		int64_t number;

		text += strspn(text, " \t");
		number = strtoll(text, &end, 10);
		if (end == text)
			return FACT_UNKNOWN;
		if (!field)
			return number;
		text = end;
	}
}

int64_t doctor_read_number(const char *root, const char *path, unsigned field)
{
	char text[256];

	return doctor_read(root, path, text, sizeof(text)) ? number_at(text, field) : FACT_UNKNOWN;
}

/* What stands behind `name` at the beginning of a line; NULL: no such line. */
static const char *find_line(const char *text, const char *name)
{
	size_t length = strlen(name);

	while (text && strncmp(text, name, length)) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return text ? text + length : NULL;
}

static void read_kernel(const char *root, struct doctor_facts *facts)
{
	char path[PATH_MAX];

	if (doctor_read(root, "/proc/sys/kernel/osrelease", facts->release, sizeof(facts->release)))
		facts->release[strcspn(facts->release, "\n")] = '\0';
	if (sscanf(facts->release, "%u.%u", &facts->kernel[0], &facts->kernel[1]) != 2)
		facts->release[0] = '\0';
	snprintf(path, sizeof(path), "%s/sys/kernel/btf/vmlinux", root);
	facts->btf = access(path, R_OK) == 0;
}

/* "0-3,6": 5 */
static int64_t count_cpus(const char *list)
{
	int64_t count = 0;

	for (;;) {
		char *end;
		long first = strtol(list, &end, 10), last = first;

		if (end == list || first < 0)
			return FACT_UNKNOWN;
		if (*end == '-') {
			list = end + 1;
			last = strtol(list, &end, 10);
			if (end == list || last < first)
				return FACT_UNKNOWN;
		}
		count += last - first + 1;
		if (*end != ',')
			return count;
		list = end + 1;
	}
}

static void read_process(const char *root, struct doctor_facts *facts, char *text)
{
	const char *found;

	if (!doctor_read(root, "/proc/self/status", text, FILE_MAX))
		return;
	found = find_line(text, "CapEff:\t");
	facts->capabilities_known = found && sscanf(found, "%" SCNx64, &facts->capabilities) == 1;
	found = find_line(text, "Cpus_allowed_list:\t");
	facts->cpus = found ? count_cpus(found) : FACT_UNKNOWN;
}

/* The second of "soft hard units". */
static int64_t hard_limit(const char *text, const char *name)
{
	const char *found = find_line(text, name);
	char word[32];

	if (!found || sscanf(found, "%*s %31s", word) != 1)
		return FACT_UNKNOWN;
	return strcmp(word, "unlimited") ? number_at(word, 0) : FACT_NO_END;
}

static void read_limits(const char *root, struct doctor_facts *facts, char *text)
{
	if (!doctor_read(root, "/proc/self/limits", text, FILE_MAX))
		return;
	facts->open_files = hard_limit(text, "Max open files ");
	facts->locked_memory = hard_limit(text, "Max locked memory ");
}

static void read_mounts(const char *root, struct doctor_facts *facts, char *text)
{
	char *rest, *line;

	if (!doctor_read(root, "/proc/self/mountinfo", text, FILE_MAX))
		return;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *mount = NULL;

		if (strstr(line, " - bpf "))
			mount = facts->bpffs;
		else if (strstr(line, " - cgroup2 "))
			mount = facts->cgroup2;
		if (mount && !*mount)
			sscanf(line, "%*d %*d %*s %*s %63s", mount);
	}
}

/* "TCP: inuse 5 orphan 0 tw 12 alloc 7 mem 1" */
static void read_sockets(const char *root, struct doctor_facts *facts, char *text)
{
	const char *found;

	if (!doctor_read(root, "/proc/self/net/sockstat", text, FILE_MAX))
		return;
	found = find_line(text, "TCP: ");
	if (!found || sscanf(found, "inuse %*d orphan %*d tw %" SCNd64, &facts->time_wait) != 1)
		facts->time_wait = FACT_UNKNOWN;
}

void doctor_gather(const char *root, struct doctor_facts *ret_facts)
{
	struct doctor_facts facts = {.open_files = FACT_UNKNOWN,
				     .locked_memory = FACT_UNKNOWN,
				     .time_wait = FACT_UNKNOWN,
				     .cpus = FACT_UNKNOWN,
				     .keepalive_s = FACT_UNKNOWN};
	char *text = malloc(FILE_MAX);

	for (unsigned i = 0; i < FACTS; i++)
		facts.numbers[i] = doctor_read_number(root, files[i].path, files[i].field);
	read_kernel(root, &facts);
	if (text) {
		read_process(root, &facts, text);
		read_limits(root, &facts, text);
		read_mounts(root, &facts, text);
		read_sockets(root, &facts, text);
	}
	free(text);
	for (unsigned i = 0; i < QUALIFY_PATHS; i++)
		facts.tried[i].verdict = QUALIFY_UNTRIED;
	facts.quota_cpus = cgroup_quota_cpus(root);
	doctor_gather_nics(root, &facts);
	*ret_facts = facts;
}

void doctor_try(struct doctor_facts *facts)
{
	for (unsigned i = 0; i < QUALIFY_PATHS; i++)
		qualify((enum qualify_path)i, &facts->tried[i]);
}
