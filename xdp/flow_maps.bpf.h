/* SPDX-License-Identifier: Apache-2.0
 *
 * What the programs of flow splice share with user space: the tables of flows, figures, and the
 * ring of events.
 *
 * Failure modes: a ring that is full loses events, which is counted; whoever reads them looks at
 * the flows themselves from time to time.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "xdp/abi.h"

/* --- maps: sizes are set by user space before they are made --- */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, struct flow_key4);
	__type(value, __u32);
} flow_index4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, struct flow_key6);
	__type(value, __u32);
} flow_index6 SEC(".maps");

/* Mapped into the proxy, which sets states and reads figures without a system call. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FLOW_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} flow_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} flow_events SEC(".maps");

static __always_inline void count(__u32 which)
{
	__u64 *counter = bpf_map_lookup_elem(&flow_counters, &which);

	if (counter)
		(*counter)++;
}

static __always_inline void tell(const struct flow *flow, __u32 index, __u32 kind, __u32 detail)
{
	struct flow_event *event = bpf_ringbuf_reserve(&flow_events, sizeof(*event), 0);

	if (!event) {
		count(FLOW_COUNT_EVENTS_LOST);
		return;
	}
	event->index = index;
	event->serial = flow->serial;
	event->kind = kind;
	event->detail = detail;
	bpf_ringbuf_submit(event, 0);
}
