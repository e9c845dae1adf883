/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of flows: figures and events of the program, and notes that survive us.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "xdp/flow/internal.h"

int flow_events(struct flow_engine *engine,
		void (*on_event)(void *context, const struct flow_event *event), void *context)
{
	engine->on_event = on_event;
	engine->context = context;
	return ring_buffer__consume(engine->events);
}

int flow_events_fd(const struct flow_engine *engine)
{
	return ring_buffer__epoll_fd(engine->events);
}

/* How far its sender came since the kernel took its last byte: what is sent again counts once. That
 * difference has 32 bits; the program's own count, which is a little off, says which of them. */
static uint64_t bytes_of(const struct flow *flow)
{
	uint64_t near = __atomic_load_n(&flow->bytes, __ATOMIC_RELAXED);
	uint32_t came = flow->seq_end - flow->kernel_seq;

	if (flow->fin_seen && came)
		came--; /* the FIN has a number too */
	return near + (uint64_t)(int64_t)(int32_t)(came - (uint32_t)near);
}

void flow_look(struct flow_engine *engine, uint32_t index, struct flow_view *ret_view)
{
	const struct flow *pair = &engine->flows[index];
	uint64_t now = clock_us() * 1000;
	uint64_t last = pair[0].last_ns > pair[1].last_ns ? pair[0].last_ns : pair[1].last_ns;
	struct flow_view view = {.quiet_ns = now > last ? now - last : 0};

	for (unsigned leg = 0; leg < 2; leg++) {
		view.bytes[leg] = bytes_of(&pair[leg]);
		view.packets[leg] = __atomic_load_n(&pair[leg].packets, __ATOMIC_RELAXED);
		view.owes[leg] = pair[leg].last_ack != pair[!leg].seq_end + pair[!leg].seq_delta;
		view.fin[leg] = pair[leg].fin_seen;
		view.rst[leg] = pair[leg].rst_seen;
		if (pair[leg].fin_seen == 1)
			view.first_fin = (uint8_t)(1 + leg);
	}
	view.closed = pair[0].peer_fin_acked && pair[1].peer_fin_acked;
	*ret_view = view;
}

void flow_counts(struct flow_engine *engine, uint64_t ret_counts[FLOW_COUNTS])
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*values));

	for (uint32_t which = 0; which < FLOW_COUNTS; which++) {
		ret_counts[which] = 0;
		if (!values || bpf_map_lookup_elem(engine->counters_fd, &which, values))
			continue;
		for (int cpu = 0; cpu < cpus; cpu++)
			ret_counts[which] += values[cpu];
	}
	free(values);
}

int flow_note_write(struct flow_engine *engine, uint32_t index, const struct flow_note *note)
{
	return bpf_map_update_elem(engine->notes_fd, &index, note, BPF_ANY) ? -errno : 0;
}

int flow_note_read(struct flow_engine *engine, uint32_t index, struct flow_note *ret_note)
{
	return bpf_map_lookup_elem(engine->notes_fd, &index, ret_note) ? -errno : 0;
}
