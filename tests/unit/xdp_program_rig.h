/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel programs of flow splice without a network: frames are handed to them by
 * BPF_PROG_TEST_RUN, and what comes out is looked at. One session, its two flows ACTIVE: a client
 * that connected to us, and a backend that we connected to.
 *
 * Needs root, as loading programs does; without it the tests say so and fail.
 */
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <check.h>
#include <errno.h>
#include <flow.skel.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/reference_translate.h"
#include "xdp/abi.h"

enum { CLIENT, BACKEND }; /* legs */
enum hook { HOOK_TC, HOOK_XDP, HOOK_EGRESS, HOOKS };
enum fate { FATE_UP, FATE_DROPPED, FATE_SENT, FATE_LOCAL };

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10
#define URG 0x20

#define EXIT_IFINDEX 77 /* no test sends anything, so it need not exist */
#define FRAME_MAX    2048
#define OUT_MSS      1460

/* include/uapi/linux/bpf.h of 6.11 */
#define TEST_CHECKSUM_COMPLETE (1U << 2)

struct frame {
	uint8_t bytes[FRAME_MAX];
	size_t length;
};

/* A segment as it arrives on a leg, from where that leg's peer stands. */
struct segment {
	unsigned leg;
	bool ipv6;
	uint8_t flags;
	uint8_t ttl;
	uint16_t window;
	uint32_t seq;
	uint32_t ack;
	uint8_t options[40];
	size_t option_bytes;
	size_t payload;
};

/* Where each leg's connection stands: what its peer sent, what we sent. */
struct numbers {
	uint32_t peer[2];
	uint32_t ours[2];
	uint32_t peer_clock[2];
	uint32_t our_clock[2];
	uint8_t peer_shift[2]; /* of windows that arrive */
	uint8_t our_shift[2];  /* of windows that leave */
};

static struct flow_bpf *rig_bpf;
static struct flow *rig_flows;
static struct ring_buffer *rig_ring;
static struct flow_event rig_events[64];
static size_t rig_event_count;
static struct numbers rig_numbers;
static unsigned rig_run_flags; /* TEST_CHECKSUM_COMPLETE */
static uint32_t rig_came_from; /* ifindex: the packet arrived there, and is about to leave */
static uint32_t rig_gso_size;  /* of the skb */

/* --- chance: the same in every run --- */

static uint64_t rig_chance = 0x9e3779b97f4a7c15;

static inline uint32_t chance(void)
{
	rig_chance ^= rig_chance << 13;
	rig_chance ^= rig_chance >> 7;
	rig_chance ^= rig_chance << 17;
	return (uint32_t)(rig_chance >> 16);
}

static inline uint32_t chance_below(uint32_t limit)
{
	return chance() % limit;
}

/* --- the session --- */

static const uint16_t rig_ports[2][2] = {{40000, 80}, {8080, 50000}}; /* [leg]: peer's, ours */

static inline void rig_address(unsigned leg, bool ours, bool ipv6, uint8_t ret[16])
{
	static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, 0xff, 0xfe, 3, 1, 0, 0, 0, 0, 9};

	memset(ret, 0, 16);
	if (ipv6) {
		memcpy(ret, v6, sizeof(v6));
		ret[6] = (uint8_t)leg;
		ret[15] = ours ? 2 : 1;
		return;
	}
	ret[0] = 10;
	ret[1] = 200;
	ret[2] = (uint8_t)leg;
	ret[3] = ours ? 2 : 1;
}

static inline void rig_insert(unsigned leg, bool ipv6)
{
	struct flow_key4 key4 = {.source_port = htobe16(rig_ports[leg][0]),
				 .destination_port = htobe16(rig_ports[leg][1])};
	struct flow_key6 key6 = {.source_port = key4.source_port,
				 .destination_port = key4.destination_port};
	uint8_t peer[16], ours[16];
	__u32 index = leg;
	int err;

	rig_address(leg, false, ipv6, peer);
	rig_address(leg, true, ipv6, ours);
	memcpy(&key4.source, peer, 4);
	memcpy(&key4.destination, ours, 4);
	memcpy(key6.source, peer, 16);
	memcpy(key6.destination, ours, 16);
	err = ipv6 ? bpf_map_update_elem(bpf_map__fd(rig_bpf->maps.flow_index6), &key6, &index, 0)
		   : bpf_map_update_elem(bpf_map__fd(rig_bpf->maps.flow_index4), &key4, &index, 0);
	ck_assert_int_eq(err, 0);
}

static inline void rig_fill(unsigned leg, bool ipv6, uint8_t flags)
{
	const struct numbers *n = &rig_numbers;
	struct flow *flow = &rig_flows[leg];
	unsigned out = !leg;

	memset(flow, 0, sizeof(*flow));
	rig_address(out, true, ipv6, (uint8_t *)flow->source);
	rig_address(out, false, ipv6, (uint8_t *)flow->destination);
	flow->source_port = htobe16(rig_ports[out][1]);
	flow->destination_port = htobe16(rig_ports[out][0]);
	flow->seq_delta = n->ours[out] - n->peer[leg];
	flow->ack_delta = n->peer[out] - n->ours[leg];
	flow->tsval_delta = n->our_clock[out] - n->peer_clock[leg];
	flow->tsecr_delta = n->peer_clock[out] - n->our_clock[leg];
	flow->exit_ifindex = EXIT_IFINDEX;
	flow->kernel_end = n->ours[leg];
	flow->kernel_seq = n->peer[leg];
	flow->out_mss = OUT_MSS;
	flow->state = FLOW_ACTIVE;
	flow->flags = (uint8_t)(flags | (ipv6 ? FLOW_IPV6 : 0));
	flow->exit = FLOW_EXIT_NEIGHBOUR;
	flow->window_in = n->peer_shift[leg];
	flow->window_out = n->our_shift[out];
	flow->serial = 5;
	flow->last_ack = n->ours[leg];
	flow->seq_end = n->peer[leg];
	flow->edge = n->peer[leg] + 65535;
	for (unsigned i = 0; i < 6; i++) {
		flow->mac_destination[i] = (uint8_t)(0x10 + 16 * leg + i);
		flow->mac_source[i] = (uint8_t)(0x50 + 16 * leg + i);
	}
}

/* Both flows anew, and nothing was told yet. */
static inline void rig_session(bool ipv6, uint8_t flags)
{
	rig_insert(CLIENT, ipv6);
	rig_insert(BACKEND, ipv6);
	rig_fill(CLIENT, ipv6, flags);
	rig_fill(BACKEND, ipv6, flags);
	ring_buffer__consume(rig_ring);
	rig_event_count = 0;
}

static inline void rig_usual_numbers(void)
{
	rig_numbers = (struct numbers){
		.peer = {1000000, 77000000},
		.ours = {555000000, 3210000000},
		.peer_clock = {4000000, 123456789},
		.our_clock = {900000000, 4100000000},
		.peer_shift = {7, 9},
		.our_shift = {8, 7},
	};
}

/* `by_helpers`: as on a kernel that does not tell how a packet carries its checksum. */
static inline void rig_load(bool by_helpers)
{
	ck_assert_msg(geteuid() == 0, "needs root");
	rig_bpf = flow_bpf__open();
	ck_assert_ptr_nonnull(rig_bpf);
	rig_bpf->rodata->sums_by_helpers = by_helpers;
	ck_assert_int_eq(flow_bpf__load(rig_bpf), 0);
}

static int rig_on_event(void *context, void *data, size_t size)
{
	(void)context;
	ck_assert_uint_eq(size, sizeof(struct flow_event));
	if (rig_event_count < 64)
		memcpy(&rig_events[rig_event_count++], data, size);
	return 0;
}

static inline void rig_open(bool by_helpers)
{
	rig_load(by_helpers);
	rig_flows = mmap(NULL, 2 * sizeof(struct flow), PROT_READ | PROT_WRITE, MAP_SHARED,
			 bpf_map__fd(rig_bpf->maps.flows), 0);
	ck_assert_ptr_ne(rig_flows, MAP_FAILED);
	rig_ring =
		ring_buffer__new(bpf_map__fd(rig_bpf->maps.flow_events), rig_on_event, NULL, NULL);
	ck_assert_ptr_nonnull(rig_ring);
	rig_usual_numbers();
}

static inline void rig_setup(void)
{
	rig_open(false);
}

static inline void rig_close(void)
{
	ring_buffer__free(rig_ring);
	munmap(rig_flows, 2 * sizeof(struct flow));
	flow_bpf__destroy(rig_bpf);
	rig_run_flags = 0;
	rig_gso_size = 0;
	rig_came_from = 0;
}

/* What a flow's translation is, for the reference. */
static inline struct reference_rules rig_rules(unsigned leg, enum hook hook)
{
	const struct numbers *n = &rig_numbers;
	const struct flow *flow = &rig_flows[leg];
	unsigned out = !leg;
	struct reference_rules rules = {
		.ipv6 = flow->flags & FLOW_IPV6,
		.hop = flow->exit != FLOW_EXIT_UP,
		.mac = hook == HOOK_XDP || flow->exit == FLOW_EXIT_INGRESS,
		.source_port = rig_ports[out][1],
		.destination_port = rig_ports[out][0],
		.seq = n->ours[out] - n->peer[leg],
		.ack = n->peer[out] - n->ours[leg],
		.tsval = n->our_clock[out] - n->peer_clock[leg],
		.tsecr = n->peer_clock[out] - n->our_clock[leg],
		.shift_clock = flow->flags & FLOW_TIMESTAMPS,
		.window_in = n->peer_shift[leg],
		.window_out = n->our_shift[out],
	};

	rig_address(out, true, rules.ipv6, rules.source);
	rig_address(out, false, rules.ipv6, rules.destination);
	memcpy(rules.macs, flow->mac_destination, 6);
	memcpy(rules.macs + 6, flow->mac_source, 6);
	return rules;
}

/* --- frames --- */

/* Nothing new from `leg`: a pure acknowledgement. */
static inline struct segment rig_segment(unsigned leg, bool ipv6)
{
	return (struct segment){
		.leg = leg,
		.ipv6 = ipv6,
		.flags = ACK,
		.ttl = 64,
		.window = 500,
		.seq = rig_numbers.peer[leg],
		.ack = rig_numbers.ours[leg],
	};
}

static inline size_t rig_ip_size(const struct segment *segment)
{
	return segment->ipv6 ? 40 : 20;
}

static inline void rig_write_ip(uint8_t *ip, const struct segment *segment, size_t bytes)
{
	uint8_t address[16];
	size_t size = segment->ipv6 ? 16 : 4;
	uint8_t *at = ip + (segment->ipv6 ? 8 : 12);

	if (segment->ipv6) {
		ip[0] = 0x60;
		write16(ip + 4, (uint16_t)bytes);
		ip[6] = 6;
		ip[7] = segment->ttl;
	} else {
		ip[0] = 0x45;
		write16(ip + 2, (uint16_t)(20 + bytes));
		write16(ip + 6, 0x4000);
		ip[8] = segment->ttl;
		ip[9] = 6;
	}
	rig_address(segment->leg, false, segment->ipv6, address);
	memcpy(at, address, size);
	rig_address(segment->leg, true, segment->ipv6, address);
	memcpy(at + size, address, size);
}

static inline void rig_build(const struct segment *segment, struct frame *ret)
{
	size_t header = 20 + segment->option_bytes;
	size_t bytes = header + segment->payload;
	size_t ip = rig_ip_size(segment);
	uint8_t *tcp = ret->bytes + ETHERNET_SIZE + ip;
	struct reference_frame layout;

	ck_assert_uint_eq(header % 4, 0);
	memset(ret->bytes, 0, sizeof(ret->bytes));
	ret->length = ETHERNET_SIZE + ip + bytes;
	ck_assert_uint_le(ret->length, FRAME_MAX);
	/* The Ethernet header sums up to nothing: a test run does not say that it is in front, so
	 * that a copy's sum over the whole packet (TEST_CHECKSUM_COMPLETE) would be off by it. */
	write16(ret->bytes + 10, (uint16_t) ~(segment->ipv6 ? 0x86dd : 0x0800));
	write16(ret->bytes + 12, segment->ipv6 ? 0x86dd : 0x0800);
	rig_write_ip(ret->bytes + ETHERNET_SIZE, segment, bytes);
	write16(tcp, rig_ports[segment->leg][0]);
	write16(tcp + 2, rig_ports[segment->leg][1]);
	write32(tcp + 4, segment->seq);
	write32(tcp + 8, segment->ack);
	tcp[12] = (uint8_t)(header << 2);
	tcp[13] = segment->flags;
	write16(tcp + 14, segment->window);
	memcpy(tcp + 20, segment->options, segment->option_bytes);
	for (size_t i = 0; i < segment->payload; i++)
		tcp[header + i] = (uint8_t)(i * 7 + 3);
	ck_assert(reference_parse(ret->bytes, ret->length, &layout));
	reference_checksums(ret->bytes, &layout);
}

/* Linux's own layout. */
static inline void rig_add_clock(struct segment *segment, uint32_t value, uint32_t echo)
{
	uint8_t *at = segment->options + segment->option_bytes;

	write32(at, 0x0101080a);
	write32(at + 4, value);
	write32(at + 8, echo);
	segment->option_bytes += 12;
}

static inline void rig_add_sack(struct segment *segment, const uint32_t *edges, size_t blocks)
{
	uint8_t *at = segment->options + segment->option_bytes;

	write32(at, 0x01010500 | (uint32_t)(2 + 8 * blocks));
	for (size_t i = 0; i < 2 * blocks; i++)
		write32(at + 4 + 4 * i, edges[i]);
	segment->option_bytes += 4 + 8 * blocks;
}

/* --- runs --- */

static inline enum fate rig_fate(enum hook hook, __u32 verdict)
{
	if (hook == HOOK_XDP) {
		ck_assert_uint_ge(verdict, 1);
		ck_assert_uint_le(verdict, 4);
		return verdict == 1 ? FATE_DROPPED : verdict == 2 ? FATE_UP : FATE_SENT;
	}
	switch ((int)verdict) {
	case -1:
		return FATE_UP;
	case 0:
		return FATE_LOCAL;
	case 2:
		return FATE_DROPPED;
	default:
		ck_assert_int_eq((int)verdict, 7);
		return FATE_SENT;
	}
}

static inline const struct bpf_program *rig_program(enum hook hook)
{
	return hook == HOOK_XDP      ? rig_bpf->progs.flow_xdp
	       : hook == HOOK_EGRESS ? rig_bpf->progs.flow_egress
				     : rig_bpf->progs.flow_ingress;
}

/* Returns 0 or -errno of the call itself. */
static inline int rig_try(enum hook hook, const struct frame *in, struct frame *out,
			  enum fate *ret_fate)
{
	struct __sk_buff skb = {.gso_size = rig_gso_size, .ingress_ifindex = rig_came_from};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->bytes,
		    .data_size_in = (__u32)in->length, .data_out = out->bytes,
		    .data_size_out = sizeof(out->bytes), .repeat = 1);
	int err;

	if (hook != HOOK_XDP) {
		opts.flags = rig_run_flags;
		opts.ctx_in = &skb;
		opts.ctx_size_in = sizeof(skb);
	}
	err = bpf_prog_test_run_opts(bpf_program__fd(rig_program(hook)), &opts);
	if (err)
		return -errno;
	out->length = opts.data_size_out;
	*ret_fate = rig_fate(hook, opts.retval);
	return 0;
}

static inline enum fate rig_run(enum hook hook, const struct frame *in, struct frame *out)
{
	enum fate fate = FATE_UP;

	ck_assert_int_eq(rig_try(hook, in, out, &fate), 0);
	return fate;
}

static inline enum fate rig_run_segment(enum hook hook, const struct segment *segment,
					struct frame *in, struct frame *out)
{
	rig_build(segment, in);
	return rig_run(hook, in, out);
}

static inline bool rig_is_untouched(const struct frame *in, const struct frame *out)
{
	return in->length == out->length && memcmp(in->bytes, out->bytes, in->length) == 0;
}

/* It is sent on, and is what the reference makes of it. */
static inline void rig_expect_translated(enum hook hook, const struct segment *segment)
{
	struct reference_rules rules = rig_rules(segment->leg, hook);
	struct reference_frame layout;
	struct frame in, out;
	enum fate fate = rig_run_segment(hook, segment, &in, &out);

	ck_assert_int_eq(fate, rules.hop ? FATE_SENT : FATE_LOCAL);
	ck_assert_uint_eq(in.length, out.length);
	ck_assert(reference_parse(in.bytes, in.length, &layout));
	ck_assert_uint_eq(sum_tcp(out.bytes, &layout), 0xffff);
	ck_assert(reference_same(in.bytes, out.bytes, in.length, &layout, &rules));
}

/* Its fate is this, and nothing of it is changed. */
static inline void rig_expect(enum hook hook, const struct segment *segment, enum fate wanted)
{
	struct frame in, out;

	ck_assert_int_eq(rig_run_segment(hook, segment, &in, &out), wanted);
	if (wanted != FATE_DROPPED)
		ck_assert(rig_is_untouched(&in, &out));
}

/* --- what was told --- */

static inline size_t rig_events_of(enum flow_event_kind kind)
{
	size_t count = 0;

	ring_buffer__consume(rig_ring);
	for (size_t i = 0; i < rig_event_count; i++)
		count += rig_events[i].kind == kind;
	return count;
}

static inline size_t rig_all_events(void)
{
	ring_buffer__consume(rig_ring);
	return rig_event_count;
}

static inline uint64_t rig_counted(enum flow_count which)
{
	uint64_t values[1024] = {0};
	uint64_t sum = 0;
	__u32 key = which;

	ck_assert_int_eq(
		bpf_map_lookup_elem(bpf_map__fd(rig_bpf->maps.flow_counters), &key, values), 0);
	for (size_t i = 0; i < 1024; i++)
		sum += values[i];
	return sum;
}

/* Both flows as they are, to be compared with later. */
static inline void rig_copy(struct flow ret_pair[2])
{
	memcpy(ret_pair, rig_flows, 2 * sizeof(struct flow));
}

static inline bool rig_is_unchanged(const struct flow pair[2])
{
	return memcmp(pair, rig_flows, 2 * sizeof(struct flow)) == 0;
}

/* --- the suite --- */

static inline int rig_main_with(const char *name, void (*add)(TCase *tcase), void (*setup)(void))
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, rig_close);
	add(tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static inline int rig_main(const char *name, void (*add)(TCase *tcase))
{
	return rig_main_with(name, add, rig_setup);
}
