/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: the process's own path in the unified hierarchy, then upwards, a file at each level.
 * Failure modes: a file that is not there means "no limit from here".
 */
#include "proxy/base/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOUNT     "/sys/fs/cgroup"
#define PATH_ROOM 512

/* The first line of a small file; false if there is none. */
static bool read_line(const char *root, const char *path, char *buf, int size)
{
	char whole[PATH_MAX];
	FILE *file;
	bool got;

	if ((size_t)snprintf(whole, sizeof(whole), "%s%s", root, path) >= sizeof(whole))
		return false;
	file = fopen(whole, "re");
	if (!file)
		return false;
	got = fgets(buf, size, file) != NULL;
	fclose(file);
	return got;
}

double cgroup_parse_cpu_max(const char *text)
{
	double quota, period;

	if (sscanf(text, "%lf %lf", &quota, &period) != 2 || quota <= 0 || period <= 0)
		return 0;
	return quota / period;
}

/* The version 2 path of this process, "" at the root; /proc/self/cgroup. */
static void own_path(const char *root, char buf[PATH_ROOM])
{
	char line[PATH_ROOM];
	FILE *file;

	buf[0] = '\0';
	if ((size_t)snprintf(line, sizeof(line), "%s/proc/self/cgroup", root) >= sizeof(line))
		return;
	file = fopen(line, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "0::", 3))
			continue;
		line[strcspn(line, "\n")] = '\0';
		strcpy(buf, strcmp(line + 3, "/") ? line + 3 : "");
	}
	if (file)
		fclose(file);
}

void cgroup_each_level(const char *root, const char *name,
		       void (*visit)(const char *text, void *arg), void *arg)
{
	char cgroup[PATH_ROOM], path[PATH_ROOM + 64], text[128];
	char *slash;

	own_path(root, cgroup);
	for (;;) {
		snprintf(path, sizeof(path), MOUNT "%s/%s", cgroup, name);
		if (read_line(root, path, text, sizeof(text)))
			visit(text, arg);
		slash = strrchr(cgroup, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

static void take_quota(const char *text, void *arg)
{
	double *quota = arg;
	double found = cgroup_parse_cpu_max(text);

	if (found > 0 && (*quota <= 0 || found < *quota))
		*quota = found;
}

/* Version 1, where there is no unified hierarchy. */
static double quota_v1(const char *root)
{
	char quota[64], period[64];

	if (!read_line(root, MOUNT "/cpu/cpu.cfs_quota_us", quota, sizeof(quota)) ||
	    !read_line(root, MOUNT "/cpu/cpu.cfs_period_us", period, sizeof(period)) ||
	    atof(quota) <= 0 || atof(period) <= 0)
		return 0;
	return atof(quota) / atof(period);
}

double cgroup_quota_cpus(const char *root)
{
	double quota = 0;

	cgroup_each_level(root, "cpu.max", take_quota, &quota);
	return quota > 0 ? quota : quota_v1(root);
}
