/* SPDX-License-Identifier: Apache-2.0
 *
 * The limits that cgroups(7) put on this process. `root` is "" for this host; a test has its own.
 */
#pragma once

/* Visit this cgroup's file `name` and those of its parents, version 2: a limit anywhere above binds
 * too. One that is not there is left out. */
void cgroup_each_level(const char *root, const char *name,
		       void (*visit)(const char *text, void *arg), void *arg);

/* The smallest quota, of either version, in CPUs; 0: none. */
double cgroup_quota_cpus(const char *root);

/* "max 100000" or "150000 100000" of cpu.max, in CPUs; 0: no quota. */
double cgroup_parse_cpu_max(const char *text);
