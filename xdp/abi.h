/* SPDX-License-Identifier: Apache-2.0
 *
 * The only types that kernel programs (xdp/, *.bpf.c) and user side share: keys and values of maps,
 * records of ring buffers, answers of the private socket option. Addresses and ports are in
 * network order, as on the wire; everything else is in the host's.
 *
 * Maps outlive the process that made them, so ABI_VERSION is part of where they are pinned: a
 * process that knows another layout leaves them alone.
 */
#pragma once

#include <linux/types.h>

#define ABI_VERSION 2

/* --- flows: two of them are a session, `index` and `index ^ 1` --- */

/* A packet's addresses as it arrives. */
struct flow_key4 {
	__be32 source;
	__be32 destination;
	__be16 source_port;
	__be16 destination_port;
};

struct flow_key6 {
	__be32 source[4];
	__be32 destination[4];
	__be16 source_port;
	__be16 destination_port;
};

enum flow_state {
	FLOW_FREE,    /* the packet is the kernel's, as if there were no entry */
	FLOW_HOLD,    /* what carries data, FIN or RST is dropped, and will be sent again */
	FLOW_ACTIVE,  /* translated and sent on */
	FLOW_YIELDED, /* it was over, and a new connection has one of its tuples: as FLOW_FREE */
};

enum flow_flag {
	FLOW_IPV6 = 1 << 0,
	FLOW_TIMESTAMPS = 1 << 1, /* both legs have them: translate */
	/* The kernel still waits for acknowledgements of what it sent on this leg, up to
	 * `kernel_end`: those are passed up. */
	FLOW_KERNEL_PENDING = 1 << 3,
};

/* How a translated packet leaves. */
enum flow_exit {
	FLOW_EXIT_NEIGHBOUR, /* bpf_redirect_neigh(): the kernel knows the next hop's MAC */
	FLOW_EXIT_UP,        /* from loopback to loopback: rewritten, then received as usual */
	FLOW_EXIT_INGRESS,   /* to a backend on this host: received on `exit_ifindex` */
	FLOW_EXIT_MAC,       /* XDP: redirect with the MACs below, kept fresh by user space */
};

/* User space's own notes, of the session's first flow: for who finds it after a crash. */
enum flow_mark {
	FLOW_MARK_NONE,
	FLOW_MARK_REVIVED, /* sockets that speak were made: the flow does not know what they say */
	FLOW_MARK_TOLD,    /* it is over, and whoever counts and logs that knows */
};

/* One direction: what arrives on one leg and leaves on the other. Written by user space before it
 * is found by a key; later only by the program, but for state, flags, the kernel_* marks and the
 * MACs. */
struct flow {
	/* What the packet becomes. */
	__be32 source[4]; /* IPv4: the first alone */
	__be32 destination[4];
	__be16 source_port;
	__be16 destination_port;
	__u32 seq_delta; /* added to seq */
	__u32 ack_delta; /* added to ack and to the edges of SACK blocks */
	__u32 tsval_delta;
	__u32 tsecr_delta;
	__u32 exit_ifindex;
	__u32 kernel_end; /* FLOW_KERNEL_PENDING: in this leg's sequence space, as acknowledged */
	__u32 kernel_seq; /* and what the kernel expects next: it believes no ACK from beyond */
	__u16 out_mss;    /* payload and options of one segment that the other leg takes */
	__u8 state;       /* enum flow_state */
	__u8 flags;       /* enum flow_flag */
	__u8 exit;        /* enum flow_exit */
	__u8 window_in;   /* the shift of the windows that arrive */
	__u8 window_out;  /* and of those that leave */
	__u8 fin_seen;    /* a FIN arrived on this leg, 1: the session's first, 2: its second */
	__u8 rst_seen;
	__u8 peer_fin; /* a FIN left on this leg: peer_fin_end is behind it, as acknowledged */
	__u8 peer_fin_acked; /* and was acknowledged */
	__u8 mark;           /* enum flow_mark */
	__u8 mac_destination[6];
	__u8 mac_source[6];
	__u32 serial; /* of the session that has this slot, so that an event can be told from one of
			 the slot's next tenant */

	/* What happened: the program's alone. */
	__u32 peer_fin_end;
	__u32 last_ack;     /* the highest that arrived */
	__u32 seq_end;      /* the highest that arrived, FIN included */
	__u32 last_window;  /* as arrived, scaled: what this leg's peer offers */
	__u32 edge;         /* what this leg's peer may send up to, as it was told */
	__u32 mtu_seen;     /* of an ICMP "fragmentation needed", 0: none */
	__u32 clock_sent;   /* the highest TSval that left, 0: none */
	__u32 told_ack;     /* FLOW_KERNEL_PENDING: the highest acknowledgement that was sent on */
	__u32 kernel_clock; /* likewise: the highest TSval that the kernel sent where this leaves */
	__u64 last_ns;      /* bpf_ktime_get_ns() of the last packet */
	__u64 packets;
	__u64 bytes; /* how far seq_end went, roughly: see flow_look() */
	__u64 held;  /* packets dropped while FLOW_HOLD */
} __attribute__((aligned(64)));

enum flow_event_kind {
	FLOW_EVENT_FIN,    /* the first FIN of this direction */
	FLOW_EVENT_CLOSED, /* both FINs are acknowledged */
	FLOW_EVENT_RST,
	FLOW_EVENT_SYN, /* a SYN, which is the kernel's; if the flow was over, it has yielded */
	FLOW_EVENT_MTU, /* ICMP said the path takes less: ask it back */
	FLOW_EVENT_ODD, /* a packet that cannot be translated (IP options, fragment, oversized, no
			   hop) */
};

struct flow_event {
	__u32 index;
	__u32 serial;
	__u32 kind; /* enum flow_event_kind */
	__u32 detail;
};

enum flow_count {
	FLOW_COUNT_REDIRECTED,
	FLOW_COUNT_LOCAL,
	FLOW_COUNT_HELD,
	FLOW_COUNT_PASSED_ACKS, /* FLOW_KERNEL_PENDING: moved to where the kernel expects them */
	FLOW_COUNT_COPIED_ACKS, /* likewise, while the packet itself went on */
	FLOW_COUNT_PASSED_SYN,
	FLOW_COUNT_GUARDED, /* dropped on egress: the kernel's own, of an active flow */
	FLOW_COUNT_SLOW_OPTIONS,
	FLOW_COUNT_OVERSIZED,
	FLOW_COUNT_TTL,
	FLOW_COUNT_MALFORMED,
	FLOW_COUNT_EVENTS_LOST,
	FLOW_COUNTS
};

/* --- a socket as it stands, under its lock: getsockopt(SNAPSHOT_LEVEL, SNAPSHOT_NAME) --- */

#define SNAPSHOT_LEVEL 0x534c /* no protocol has it */
#define SNAPSHOT_NAME  1

struct snapshot_tcp {
	__u32 tcp_state; /* TCP_ESTABLISHED is 1 */
	__u32 snd_una;
	__u32 snd_nxt;
	__u32 write_seq;
	__u32 rcv_nxt;
	__u32 copied_seq;
	__u32 ts_recent;
	__u32 ts_now; /* what the next TSval would be */
	__u32 snd_wnd;
	__u32 rcv_wnd;
	__u16 advmss;    /* what we told the peer */
	__u16 mss_clamp; /* what the peer told us */
	__u16 mss_cache;
	__u8 snd_wscale;
	__u8 rcv_wscale;
	__u8 timestamps;
	__u8 sack;
	__u8 wscale;
	__u8 ecn;
	__u8 microseconds; /* timestamps of that clock are not translated */
	__u8 out_of_order; /* data behind a gap is queued */
	__u8 signed_;      /* TCP-MD5 or TCP-AO */
	__u8 reserved;
	__u32 packets_out;
	__u32 segs_in;
};

/* An address as a PROXY header gave it. */
struct flow_note_address {
	__be32 words[4];
	__be16 port;
	__u8 version; /* 4 or 6; 0: none */
	__u8 reserved;
};

/* What is remembered of a session beside its flows, by the index of its first flow: enough for its
 * line in the flow log, and to find its pool, target and limits again after a restart. */
struct flow_note {
	__u64 session_id;
	__u64 accepted_wall_us;
	__u64 client_bytes; /* before promotion */
	__u64 backend_bytes;
	__u64 promoted_ns; /* CLOCK_MONOTONIC */
	struct snapshot_tcp snapshots[2];
	__u32 worker;
	__u32 connect_us; /* these three are offsets from its beginning */
	__u32 client_first_us;
	__u32 backend_first_us;
	__u32 retries;
	__u32 reserved;
	char listener[64];
	char pool[64];
	char target[320]; /* its identity: id and address */
	struct flow_note_address proxy_source;
	struct flow_note_address proxy_destination;
	char vpce[64];
};

/* --- the guard at the door: what arrives for our listeners, and nothing else, is looked at --- */

#define GUARD_GENERATIONS 2    /* one is in force, the other is filled by a reload */
#define GUARD_GATES       8192 /* ports of listeners; 0 is none */
#define GUARD_LISTENERS   1025 /* 0: a packet so broken that its listener cannot be told */
#define GUARD_INTERFACES  32
#define GUARD_NO_SCALE    0xff

enum guard_verdict {
	GUARD_PASSED,     /* of a connection, or what none of these is about */
	GUARD_SYN_PASSED, /* within its source's rate */
	GUARD_ALLOWED,    /* from a source that no limit is for */
	GUARD_DENIED,
	GUARD_RATE_LIMITED,
	GUARD_COOKIE_SENT,    /* a SYN answered by us, without a trace in the kernel */
	GUARD_COOKIE_PROVED,  /* the answer to that, passed to the kernel, which opens from it */
	GUARD_VOUCHED,        /* the same made a SYN again: the kernel trusts cookies only then */
	GUARD_COOKIE_REFUSED, /* an acknowledgement of what nobody sent */
	GUARD_STRAY,          /* likewise, but passed, for the kernel to answer with RST */
	GUARD_UNANSWERABLE,   /* a SYN amid a flood that cannot be answered: IP options and such */
	GUARD_MALFORMED,
	GUARD_VERDICTS
};

enum guard_flag {
	GUARD_DRY_RUN = 1 << 0,        /* count, and pass everything */
	GUARD_COOKIES_AUTO = 1 << 1,   /* while SYNs come faster than the gate's flood rate */
	GUARD_COOKIES_ALWAYS = 1 << 2, /* for each SYN */
	GUARD_HAS_RULES = 1 << 3,      /* its list is not empty */
};

/* A gate is one port of a listener. Rates are intervals, tolerances how far ahead of them one may
 * be (GCRA, ITU-T I.371: a token bucket in one number). */
struct guard_gate {
	__u64 syn_interval_ns; /* of one source; 0: unlimited */
	__u64 syn_tolerance_ns;
	__u64 flood_interval_ns; /* of all */
	__u64 flood_tolerance_ns;
	__u32 listener;    /* slot of its counters */
	__u32 list;        /* which rules */
	__u16 window;      /* in answers of ours */
	__u8 window_scale; /* that the kernel will take for granted; GUARD_NO_SCALE: it has none */
	__u8 flags;        /* enum guard_flag */
	__u16 mss;         /* at most, in answers of ours; 0: what fits the interface */
	__u16 reserved;
};

/* By port number: the gates of wildcard listeners, and whether there are others. */
struct guard_port {
	__u16 any4;
	__u16 any6;
	__u16 exact;
	__u16 reserved;
};

struct guard_bind {
	__be32 address[4]; /* IPv4: mapped into IPv6 */
	__be16 port;
	__u16 generation;
};

/* Rules: the most specific one of a list counts. `prefix` covers `list` too. */
struct guard_rule4 {
	__u32 prefix;
	__u32 list;
	__be32 address;
};

struct guard_rule6 {
	__u32 prefix;
	__u32 list;
	__be32 address[4];
};

enum guard_rule { GUARD_RULE_ALLOW = 1, GUARD_RULE_DENY = 2 };

/* Who has a bucket: an IPv4 address, or an IPv6 /64, towards one listener. */
struct guard_source {
	__u64 prefix;
	__u32 listener;
	__u32 family; /* 4 or 6 */
};

/* What a gate lives through; the program's alone. */
struct guard_pulse {
	__u64 flood_ns;         /* theoretical arrival of the next SYN, of any source */
	__u64 cookies_until_ns; /* 0: no flood */
	__u64 vouch_ns;         /* when the next who proves himself asks the kernel */
	__u64 stray_ns;         /* theoretical arrival of the next stray */
} __attribute__((aligned(64)));

struct guard_counts {
	__u64 packets[16]; /* by enum guard_verdict */
	__u64 dry[16];     /* what they would have been */
};

/* Of an interface: what our answers say may be sent to us. */
struct guard_interface {
	__u16 mss4;
	__u16 mss6;
};

/* --- sockmap: two sockets that the kernel joins, each way (`index`, and `index ^ 1` back) --- */

/* Handed on to a socket, and more than that presses: user space closes the windows, and lets the
 * gates fall in the quiet that follows. Bytes that its peer has not acknowledged; buffers that wait
 * to be written; and memory that what is written takes up. */
#define JOINT_LIMIT   (2 * 1024 * 1024)
#define JOINT_WAITING 1024
#define JOINT_QUEUED  (12 * 1024 * 1024)

/* Above these the socket that receives takes no more until the gates have fallen: its peer's
 * segments are dropped before they are acknowledged, and sent again. */
#define JOINT_BRAKE         (16 * 1024 * 1024)
#define JOINT_BRAKE_WAITING 8192

/* And above these, if a window was offered that is larger than what lies between, the gate falls at
 * once. */
#define JOINT_HARD_LIMIT   (24 * 1024 * 1024)
#define JOINT_HARD_WAITING 12288

/* Bytes beyond its receive buffer that a socket whose gate fell at once may have unread. */
#define JOINT_UNREAD (64 * 1024 * 1024)

/* Why bytes had to be dropped, so that neither leg may end well any more. */
enum joint_loss {
	JOINT_KEPT,
	JOINT_GAP,       /* some before these never reached the program */
	JOINT_UNTRIMMED, /* what is not due could not be taken off: no memory */
	JOINT_OVERFULL,  /* more than JOINT_UNREAD: who writes, or who reads, had no CPU */
	JOINT_LOSSES,
};

/* One way, from the socket it is named after to the other one. Set up by user space before either
 * socket is in a map; from then on the program's alone, but for `gated`. */
struct joint_way {
	__u64 passed;  /* bytes handed on */
	__u64 last_ns; /* bpf_ktime_get_ns() of the last of them */
	__u32 base;    /* the other socket's write_seq before the first of them */
	__u16 based;
	__u16 begun; /* `next` is known */
	__u32 gated; /* for good: what arrives now is read by user space, `passed` is final */
	__u32 serial;
	__u32 lost;           /* enum joint_loss */
	__u32 pressed;        /* the gate is to fall */
	__u32 next;           /* the sequence number that is due on the socket that receives */
	__u32 mark;           /* where `passed` stood */
	__u32 waiting;        /* buffers handed on since then */
	__u32 waiting_before; /* and those before it that may not be written */
	__u32 unread;         /* bytes, when it was lost */
	__u32 braked;         /* takes no more until it is gated */
} __attribute__((aligned(64)));

/* The gate fell, or is to fall. */
struct joint_event {
	__u32 index;
	__u32 serial;
};

_Static_assert(sizeof(struct flow_note_address) == 20, "no hidden padding");
_Static_assert(sizeof(struct guard_gate) == 48, "no hidden padding");
_Static_assert(sizeof(struct guard_bind) == 20, "no hidden padding");
_Static_assert(sizeof(struct guard_source) == 16, "no hidden padding");
_Static_assert(GUARD_VERDICTS <= 16, "guard_counts has room for all");
_Static_assert(sizeof(struct joint_way) == 64, "one cache line");
