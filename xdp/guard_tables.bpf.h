/* SPDX-License-Identifier: Apache-2.0
 *
 * What the guard knows: maps, and how they are asked. User space fills those of the generation that
 * is not in force, and then changes guard_generation, so a packet meets the old rules or the new
 * ones and never a mixture.
 *
 * Failure modes: none; what is not in a map has no gate, no rule, no bucket yet.
 */
#pragma once

#include "xdp/guard_packet.bpf.h"

#define LIST_BITS 32

__u32 guard_generation;
__u32 guard_all_dry; /* for packets whose listener cannot be told */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GUARD_GENERATIONS * 65536);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct guard_port);
} guard_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GUARD_GENERATIONS *GUARD_GATES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct guard_gate);
} guard_gates SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GUARD_GATES);
	__type(key, __u32);
	__type(value, struct guard_pulse);
} guard_pulses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GUARD_GENERATIONS *GUARD_GATES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct guard_bind);
	__type(value, __u32);
} guard_binds SEC(".maps");

/* Two tries of each family instead of a map of maps: to make a map later takes a capability that
 * the proxy has given up by then. */
#define RULES(name, key_type)                                                                      \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_LPM_TRIE);                                               \
		__uint(max_entries, 1 << 20);                                                      \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                              \
		__type(key, key_type);                                                             \
		__type(value, __u32);                                                              \
	} name SEC(".maps")

RULES(guard_rules4_0, struct guard_rule4);
RULES(guard_rules4_1, struct guard_rule4);
RULES(guard_rules6_0, struct guard_rule6);
RULES(guard_rules6_1, struct guard_rule6);

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct guard_source);
	__type(value, __u64);
} guard_sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, GUARD_LISTENERS);
	__type(key, __u32);
	__type(value, struct guard_counts);
} guard_counters SEC(".maps");

static __always_inline void count(__u32 listener, __u32 verdict, bool dry_run)
{
	struct guard_counts *counts = bpf_map_lookup_elem(&guard_counters, &listener);

	if (!counts)
		return;
	if (dry_run)
		counts->dry[verdict & 15]++;
	else
		counts->packets[verdict & 15]++;
}

/* The listener of exactly this address, else that of the wildcard. */
static __always_inline struct guard_gate *
find_gate(__u32 generation, const struct guard_packet *packet, __u32 *ret_index)
{
	__u32 place = generation << 16 | bpf_ntohs(packet->destination_port);
	/* Volatile, or the compiler makes an array index of `ipv6`, which the verifier can't bound.
	 */
	volatile struct guard_port *port = bpf_map_lookup_elem(&guard_ports, &place);
	__u32 index, index6;

	if (!port)
		return NULL;
	index = port->any4;
	index6 = port->any6;
	if (packet->ipv6)
		index = index6;
	if (port->exact) {
		struct guard_bind bind = {.port = packet->destination_port,
					  .generation = generation};
		__u32 *exact;

		__builtin_memcpy(bind.address, packet->destination, 16);
		exact = bpf_map_lookup_elem(&guard_binds, &bind);
		if (exact)
			index = *exact;
	}
	if (!index || index >= GUARD_GATES)
		return NULL;
	*ret_index = index;
	index += generation * GUARD_GATES;
	return bpf_map_lookup_elem(&guard_gates, &index);
}

/* enum guard_rule, or 0. */
static __always_inline __u32 find_rule(__u32 list, const struct guard_packet *packet)
{
	__u32 generation = guard_generation & 1;
	__u32 *rule;

	if (packet->ipv6) {
		struct guard_rule6 key = {.prefix = LIST_BITS + 128, .list = list};

		__builtin_memcpy(key.address, packet->source, 16);
		rule = generation ? bpf_map_lookup_elem(&guard_rules6_1, &key)
				  : bpf_map_lookup_elem(&guard_rules6_0, &key);
	} else {
		struct guard_rule4 key = {
			.prefix = LIST_BITS + 32, .list = list, .address = packet->source[3]};

		rule = generation ? bpf_map_lookup_elem(&guard_rules4_1, &key)
				  : bpf_map_lookup_elem(&guard_rules4_0, &key);
	}
	return rule ? *rule : 0;
}
