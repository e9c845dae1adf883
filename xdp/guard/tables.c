/* SPDX-License-Identifier: Apache-2.0
 *
 * Doors, as the program looks them up: gates by port and address, rules by list and source. Always
 * written to the generation that no packet meets.
 *
 * Failure modes: a table is full (-E2BIG, -ENOSPC), memory; the generation in force knows nothing
 * of it.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "guard.skel.h"
#include "xdp/guard/internal.h"

#define PORTS      65536
#define SECOND_NS  UINT64_C(1000000000)
#define LIST_BITS  32
#define WINDOW     64240 /* 44 segments of Ethernet's size, as the kernel offers first */
#define FLOOD_PART 2     /* of a second's SYNs may come at once */

static uint32_t next_generation(const struct guard *guard)
{
	return !guard->skeleton->bss->guard_generation;
}

static int rules_fd(const struct guard *guard, uint32_t generation, bool ipv6)
{
	struct bpf_map *const maps[2][2] = {
		{guard->skeleton->maps.guard_rules4_0, guard->skeleton->maps.guard_rules6_0},
		{guard->skeleton->maps.guard_rules4_1, guard->skeleton->maps.guard_rules6_1},
	};

	return bpf_map__fd(maps[generation][ipv6]);
}

/* --- what was there two generations ago --- */

static void empty_rules(int fd)
{
	union {
		struct guard_rule4 rule4;
		struct guard_rule6 rule6;
	} key;

	while (!bpf_map_get_next_key(fd, NULL, &key))
		if (bpf_map_delete_elem(fd, &key))
			return;
}

static void empty_binds(int fd, uint32_t generation)
{
	struct guard_bind key, next;
	int end = bpf_map_get_next_key(fd, NULL, &next);

	while (!end) {
		key = next;
		end = bpf_map_get_next_key(fd, &key, &next);
		if (key.generation == generation)
			bpf_map_delete_elem(fd, &key);
	}
}

static void empty(struct guard *guard, uint32_t generation)
{
	memset(&guard->ports[generation * PORTS], 0, PORTS * sizeof(guard->ports[0]));
	memset(&guard->gates[generation * GUARD_GATES], 0, GUARD_GATES * sizeof(guard->gates[0]));
	empty_binds(bpf_map__fd(guard->skeleton->maps.guard_binds), generation);
	empty_rules(rules_fd(guard, generation, false));
	empty_rules(rules_fd(guard, generation, true));
	guard->gate_count = 0;
}

/* --- rules --- */

static int add_entry(struct guard *guard, uint32_t generation, uint32_t list,
		     const struct guard_entry *entry)
{
	__u32 rule = entry->deny ? GUARD_RULE_DENY : GUARD_RULE_ALLOW;
	const struct addr *base = &entry->block.base;
	struct guard_rule4 key4 = {.prefix = LIST_BITS + entry->block.bits, .list = list};
	struct guard_rule6 key6 = {.prefix = LIST_BITS + entry->block.bits, .list = list};
	bool ipv6 = base->family == AF_INET6;

	if (ipv6)
		memcpy(key6.address, &base->v6, sizeof(key6.address));
	else
		key4.address = base->v4.s_addr;
	if (bpf_map_update_elem(rules_fd(guard, generation, ipv6),
				ipv6 ? (const void *)&key6 : (const void *)&key4, &rule, BPF_ANY))
		return -errno;
	return 0;
}

static int add_entries(struct guard *guard, uint32_t generation, const struct guard_door *door)
{
	int err = 0;

	for (size_t i = 0; i < door->entry_count && !err; i++)
		err = add_entry(guard, generation, door->slot, &door->entries[i]);
	return err;
}

/* --- gates --- */

static uint16_t window_of(const struct guard_door *door)
{
	uint32_t half = door->receive_buffer / 2;

	return (uint16_t)(half && half < WINDOW ? half : WINDOW);
}

static struct guard_gate gate_of(const struct guard_door *door)
{
	static const __u8 flags[] = {[GUARD_OFF] = 0,
				     [GUARD_UNDER_FLOOD] = GUARD_COOKIES_AUTO,
				     [GUARD_ALWAYS] = GUARD_COOKIES_ALWAYS};
	struct guard_gate gate = {.listener = door->slot,
				  .list = door->slot,
				  .window = window_of(door),
				  .window_scale = GUARD_NO_SCALE,
				  .mss = door->mss,
				  .flags = flags[door->cookies]};

	if (door->syn_rate) {
		gate.syn_interval_ns = SECOND_NS / door->syn_rate;
		gate.syn_tolerance_ns =
			gate.syn_interval_ns * (door->syn_burst ? door->syn_burst : 1);
	}
	if (door->flood_rate) {
		gate.flood_interval_ns = SECOND_NS / door->flood_rate;
		gate.flood_tolerance_ns =
			gate.flood_interval_ns * (door->flood_rate / FLOOD_PART + 1);
	}
	if (door->cookies != GUARD_OFF)
		gate.window_scale = surroundings_window_scale(door->receive_buffer);
	if (door->dry_run)
		gate.flags |= GUARD_DRY_RUN;
	if (door->entry_count)
		gate.flags |= GUARD_HAS_RULES;
	return gate;
}

static bool is_any(const struct addr *addr)
{
	return addr->family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&addr->v6)
					: addr->v4.s_addr == htonl(INADDR_ANY);
}

static int bind_exactly(struct guard *guard, uint32_t generation, const struct addr *addr,
			uint16_t port, uint32_t gate)
{
	struct guard_bind key = {.port = htons(port), .generation = (__u16)generation};

	if (addr->family == AF_INET6) {
		memcpy(key.address, &addr->v6, sizeof(key.address));
	} else {
		key.address[2] = htonl(0xffff);
		key.address[3] = addr->v4.s_addr;
	}
	guard->ports[generation * PORTS + port].exact = 1;
	return bpf_map_update_elem(bpf_map__fd(guard->skeleton->maps.guard_binds), &key, &gate,
				   BPF_ANY)
		       ? -errno
		       : 0;
}

static int add_gate(struct guard *guard, uint32_t generation, const struct guard_door *door,
		    uint16_t number, const struct guard_gate *gate)
{
	struct guard_port *port = &guard->ports[generation * PORTS + number];
	struct addr addr = addr_unmap(&door->bind);
	uint32_t index = guard->gate_count + 1;

	if (index >= GUARD_GATES)
		return -E2BIG;
	guard->gate_count = index;
	guard->gates[generation * GUARD_GATES + index] = *gate;
	if (!is_any(&addr))
		return bind_exactly(guard, generation, &addr, number, index);
	if (addr.family == AF_INET6)
		port->any6 = (__u16)index;
	if (addr.family == AF_INET || (!door->v6_only && !port->any4))
		port->any4 = (__u16)index;
	return 0;
}

static int add_door(struct guard *guard, uint32_t generation, const struct guard_door *door)
{
	struct guard_gate gate = gate_of(door);
	int err = add_entries(guard, generation, door);

	for (uint32_t port = door->bind.port; port <= door->port_end && !err; port++)
		err = add_gate(guard, generation, door, (uint16_t)port, &gate);
	return err;
}

int guard_fill(struct guard *guard, const struct guard_door *doors, size_t count)
{
	uint32_t generation = next_generation(guard);
	int err = 0;

	empty(guard, generation);
	for (size_t i = 0; i < count && !err; i++)
		if (doors[i].bind.family == AF_INET || doors[i].bind.family == AF_INET6)
			err = add_door(guard, generation, &doors[i]);
	return err;
}
