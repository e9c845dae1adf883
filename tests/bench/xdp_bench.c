/* SPDX-License-Identifier: Apache-2.0
 *
 * What the programs of flow splice cost: nanoseconds for one packet, by XDP and by tc, of a flow
 * (translated) and of none (passed), as the kernel itself measures them (BPF_PROG_TEST_RUN). XDP
 * should need no more than 120 ns for a packet of a flow, and 60 ns for any other.
 *
 * Happy path: the program is in a driver meanwhile, a veth's of a namespace of its own; else the
 * kernel would rewrite its XDP dispatcher for each call, wait a grace period, and measure what has
 * gone cold. Each run of a call begins with the packet that the last one left, so the flow makes it
 * a packet of itself, and a call has no more runs than the packet has hops.
 * Failure modes: no root, or a kernel without the programs: it says so, exit 1.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <flow.skel.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proxy/base/panic.h"
#include "xdp/abi.h"
#include "xdp/qualify/internal.h"

#define CALLS        201
#define REPEAT       250 /* hops */
#define ETHERNET     14
#define OPTION_BYTES 12
#define OUT_MSS      1460
#define FAR          1000 /* an interface that nothing is sent to */

enum family { V4, V6, FAMILIES };

static const char *const family_names[] = {"IPv4", "IPv6"};

struct bench {
	struct flow_bpf *skeleton;
	struct flow *flows;
	struct rig rig;
	struct bpf_link *link; /* keeps the program in the dispatcher */
};

/* --- a flow from itself to itself --- */

static void fill(struct flow *flow, enum family family, enum flow_exit way)
{
	memset(flow, 0, sizeof(*flow));
	for (unsigned i = 0; i < (family == V6 ? 4 : 1); i++) {
		flow->source[i] = htonl(0x0a000001);
		flow->destination[i] = htonl(0x0a000002);
	}
	flow->source_port = htons(1111);
	flow->destination_port = htons(2222);
	flow->exit_ifindex = FAR;
	flow->exit = (__u8)way;
	flow->out_mss = OUT_MSS;
	flow->state = FLOW_ACTIVE;
	flow->flags = FLOW_TIMESTAMPS | (family == V6 ? FLOW_IPV6 : 0);
	flow->window_in = flow->window_out = 7;
	flow->edge = 65535;
}

static void insert(struct bench *bench, enum family family)
{
	struct flow_key4 key4 = {.source_port = htons(1111), .destination_port = htons(2222)};
	struct flow_key6 key6 = {.source_port = htons(1111), .destination_port = htons(2222)};
	__u32 index = 0;
	int err;

	for (unsigned i = 0; i < 4; i++) {
		key6.source[i] = htonl(0x0a000001);
		key6.destination[i] = htonl(0x0a000002);
	}
	key4.source = key6.source[0];
	key4.destination = key6.destination[0];
	if (family == V4)
		err = bpf_map_update_elem(bpf_map__fd(bench->skeleton->maps.flow_index4), &key4,
					  &index, BPF_ANY);
	else
		err = bpf_map_update_elem(bpf_map__fd(bench->skeleton->maps.flow_index6), &key6,
					  &index, BPF_ANY);
	must(!err);
}

static void give_up(const char *why)
{
	fprintf(stderr, "xdp_bench: %s; is this root?\n", why);
	exit(1);
}

static void load(struct bench *ret)
{
	ret->skeleton = flow_bpf__open();
	if (!ret->skeleton || flow_bpf__load(ret->skeleton))
		give_up("the kernel refuses the programs");
	if (rig_open(&ret->rig))
		give_up(ret->rig.problem);
	ret->link = bpf_program__attach_xdp(ret->skeleton->progs.flow_xdp, (int)ret->rig.ifindex);
	if (!ret->link)
		give_up("no driver takes the program");
	ret->flows = mmap(NULL, 2 * sizeof(struct flow), PROT_READ | PROT_WRITE, MAP_SHARED,
			  bpf_map__fd(ret->skeleton->maps.flows), 0);
	must(ret->flows != MAP_FAILED);
}

/* --- a frame of it, with Linux's timestamps --- */

static void put16(unsigned char *at, unsigned value)
{
	at[0] = (unsigned char)(value >> 8);
	at[1] = (unsigned char)value;
}

static void put_addresses(unsigned char *at, size_t words)
{
	static const unsigned char source[] = {10, 0, 0, 1}, destination[] = {10, 0, 0, 2};

	for (size_t i = 0; i < words; i++) {
		memcpy(at + 4 * i, source, 4);
		memcpy(at + 4 * (words + i), destination, 4);
	}
}

/* Its sums are wrong, which nobody looks at: they are only ever updated. Returns its length. */
static size_t build(enum family family, bool hit, unsigned payload, unsigned char *frame)
{
	static const unsigned char clock[] = {1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 1, 0};
	unsigned ip_bytes = family == V6 ? 40 : 20;
	unsigned segment = 20 + OPTION_BYTES + payload;
	unsigned char *ip = frame + ETHERNET;
	unsigned char *tcp = ip + ip_bytes;

	memset(frame, 0, ETHERNET + ip_bytes + segment);
	put16(frame + 12, family == V6 ? 0x86dd : 0x0800);
	ip[0] = family == V6 ? 0x60 : 0x45;
	put16(ip + (family == V6 ? 4 : 2), family == V6 ? segment : segment + 20);
	ip[family == V6 ? 6 : 9] = IPPROTO_TCP;
	ip[family == V6 ? 7 : 8] = 255;
	put_addresses(ip + (family == V6 ? 8 : 12), family == V6 ? 4 : 1);
	put16(tcp, hit ? 1111 : 1112);
	put16(tcp + 2, 2222);
	tcp[12] = (20 + OPTION_BYTES) << 2;
	tcp[13] = 0x10;
	put16(tcp + 14, 500);
	memcpy(tcp + 20, clock, sizeof(clock));
	return ETHERNET + ip_bytes + segment;
}

/* --- measuring --- */

static int compare(const void *a, const void *b)
{
	__u32 one = *(const __u32 *)a;
	__u32 other = *(const __u32 *)b;

	return (one > other) - (one < other);
}

/* Nanoseconds: the median of many calls. */
static __u32 measure(const struct bpf_program *program, const unsigned char *frame, size_t length)
{
	static __u32 took[CALLS];

	for (int call = 0; call < CALLS; call++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
			    .data_size_in = (__u32)length, .repeat = REPEAT);

		must(!bpf_prog_test_run_opts(bpf_program__fd(program), &opts));
		took[call] = opts.duration;
	}
	qsort(took, CALLS, sizeof(took[0]), compare);
	return took[CALLS / 2];
}

static __u32 measure_one(const struct bench *bench, bool xdp, bool hit, enum family family,
			 unsigned payload)
{
	const struct bpf_program *program =
		xdp ? bench->skeleton->progs.flow_xdp : bench->skeleton->progs.flow_ingress;
	unsigned char frame[2048];
	size_t length = build(family, hit, payload, frame);

	for (unsigned i = 0; i < 2; i++)
		fill(&bench->flows[i], family, xdp ? FLOW_EXIT_MAC : FLOW_EXIT_NEIGHBOUR);
	return measure(program, frame, length);
}

int main(void)
{
	struct bench bench;

	load(&bench);
	printf("%-4s %-5s %-12s %8s\n", "hook", "", "packet", "ns");
	for (enum family family = V4; family < FAMILIES; family++) {
		insert(&bench, family);
		for (int i = 0; i < 8; i++) {
			bool xdp = !(i & 4);
			bool hit = !(i & 2);
			unsigned payload = i & 1 ? 1400 : 0;

			printf("%-4s %-5s %-4s %5u B %8u\n", xdp ? "xdp" : "tc",
			       family_names[family], hit ? "hit" : "miss", payload,
			       measure_one(&bench, xdp, hit, family, payload));
		}
	}
	bpf_link__destroy(bench.link);
	rig_close(&bench.rig);
	munmap(bench.flows, 2 * sizeof(struct flow));
	flow_bpf__destroy(bench.skeleton);
	return 0;
}
