/* SPDX-License-Identifier: Apache-2.0
 *
 * What a configuration costs others: API calls a minute, of this node and of its fleet, and health
 * checks a second for each target; and by how much intervals have to be stretched so that the whole
 * fleet stays within `control.api_rate`. It knows no clock, file or network.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct settings;

#define ESTIMATE_TARGETS 100 /* assumed of each source */

struct estimate {
	const struct settings *settings;
	const uint32_t *calls_x100; /* of one fetch, a hundredth of a call being 1; by source */
	uint32_t fleet_size;        /* at least 1 */
};

/* Of the interval of one source, at least 1. Calls that share a quota of AWS are added up, those of
 * one place and service; others don't suffer with them. */
double estimate_stretch(const struct estimate *estimate, size_t index);

/* For people, one line a source and one a pool. */
void estimate_print(const struct estimate *estimate, FILE *out);

/* As the environment of ECS and Kubernetes tells. */
bool estimate_in_container(void);

/* Whether instances or tasks are looked for from within a container, where every copy of the
 * workload asks for itself; then `buf` says what that costs and what would be cheaper. */
bool estimate_warns(const struct estimate *estimate, bool in_container, char *buf, size_t size);
