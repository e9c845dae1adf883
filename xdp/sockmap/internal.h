/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of xdp/sockmap/ share: the maps, and which slots of them are free.
 *
 * Happy path: map.c loads, joint.c fills. Failure modes: theirs.
 */
#pragma once

#include <stdint.h>

#include "xdp/sockmap.h"

struct ring_buffer;
struct sockmap_bpf;

struct sockmap {
	struct sockmap_bpf *skeleton;
	struct joint_way *ways; /* mapped, 2 * joints of them */
	struct ring_buffer *events;
	void (*on_gate)(void *context, const struct joint_event *event); /* sockmap_events() */
	void *context;
	uint32_t *free_slots; /* a ring of even indexes: what was freed last is used last */
	uint32_t joints;
	uint32_t free_first;
	uint32_t free_count;
	uint32_t serial;
	int targets_fd;
	int sources_fd;
	int index_fd;
	int brake_fd;
};
