/* SPDX-License-Identifier: Apache-2.0
 *
 * What bounds connections on this host: queues, ports, memory of TCP, connection tracking, and what
 * balancers in front forget.
 */
#include "proxy/doctor/rules.h"

#define SOMAXCONN_LEAST   4096 /* what Linux has since 5.4 */
#define SYN_BACKLOG_LEAST 1024
#define PORTS_USUAL       28232  /* of the default range */
#define TCP_PAGES_LEAST   32768  /* 128 MiB: some 15,000 proxied connections */
#define TRACKED_LEAST     262144 /* two entries for each session */
#define NLB_IDLE_S        350

static void judge_least(int64_t number, int64_t least, const char *what, struct doctor_finding *ret)
{
	if (number != FACT_UNKNOWN)
		doctor_say(ret, number < least ? DOCTOR_WARN : DOCTOR_OK, "%lld %s",
			   (long long)number, what);
}

static void judge_somaxconn(const struct doctor_facts *facts, const struct doctor_nic *nic,
			    struct doctor_finding *ret)
{
	judge_least(facts->numbers[FACT_SOMAXCONN], SOMAXCONN_LEAST,
		    "connections may wait to be accepted", ret);
}

static void judge_backlog(const struct doctor_facts *facts, const struct doctor_nic *nic,
			  struct doctor_finding *ret)
{
	judge_least(facts->numbers[FACT_SYN_BACKLOG], SYN_BACKLOG_LEAST,
		    "handshakes may be unfinished", ret);
}

static void judge_cookies(const struct doctor_facts *facts, const struct doctor_nic *nic,
			  struct doctor_finding *ret)
{
	switch (facts->numbers[FACT_SYNCOOKIES]) {
	case FACT_UNKNOWN:
		break;
	case 0:
		doctor_say(ret, DOCTOR_WARN, "0: a flood of SYNs keeps everybody out");
		break;
	case 1:
		doctor_say(ret, DOCTOR_OK, "1: when the queue is full");
		break;
	default:
		doctor_say(ret, DOCTOR_OK, "2: always, as cookies at the door need it");
	}
}

static void judge_ports(const struct doctor_facts *facts, const struct doctor_nic *nic,
			struct doctor_finding *ret)
{
	int64_t low = facts->numbers[FACT_PORT_LOW];
	int64_t high = facts->numbers[FACT_PORT_HIGH];

	if (low == FACT_UNKNOWN || high == FACT_UNKNOWN)
		return;
	doctor_say(ret, high - low + 1 < PORTS_USUAL ? DOCTOR_WARN : DOCTOR_OK,
		   "%lld-%lld: %lld connections to one target from one address", (long long)low,
		   (long long)high, (long long)high - (long long)low + 1);
}

static void judge_time_wait(const struct doctor_facts *facts, const struct doctor_nic *nic,
			    struct doctor_finding *ret)
{
	int64_t most = facts->numbers[FACT_TIME_WAIT_MAX];
	int64_t now = facts->time_wait;

	if (most == FACT_UNKNOWN || now == FACT_UNKNOWN)
		return;
	doctor_say(ret, now > most / 4 * 3 ? DOCTOR_WARN : DOCTOR_OK, "%lld of at most %lld now",
		   (long long)now, (long long)most);
}

/* 2 is for loopback alone. */
static void judge_reuse(const struct doctor_facts *facts, const struct doctor_nic *nic,
			struct doctor_finding *ret)
{
	int64_t reuse = facts->numbers[FACT_TIME_WAIT_REUSE];
	bool many = facts->time_wait > PORTS_USUAL / 2;

	if (reuse == FACT_UNKNOWN)
		return;
	if (reuse == 1)
		doctor_say(ret, DOCTOR_OK, "1: a port in TIME_WAIT is taken again after a second");
	else
		doctor_say(ret, many ? DOCTOR_WARN : DOCTOR_OK,
			   "%lld: a port rests for a minute, and %s do", (long long)reuse,
			   many ? "many" : "few");
}

static void judge_memory(const struct doctor_facts *facts, const struct doctor_nic *nic,
			 struct doctor_finding *ret)
{
	int64_t pages = facts->numbers[FACT_TCP_MEM_PRESSURE];

	if (pages != FACT_UNKNOWN)
		doctor_say(ret, pages < TCP_PAGES_LEAST ? DOCTOR_WARN : DOCTOR_OK,
			   "%lld pages until buffers are cut, %lld at most", (long long)pages,
			   (long long)facts->numbers[FACT_TCP_MEM_MAX]);
}

static void judge_conntrack(const struct doctor_facts *facts, const struct doctor_nic *nic,
			    struct doctor_finding *ret)
{
	int64_t most = facts->numbers[FACT_CONNTRACK_MAX];
	int64_t now = facts->numbers[FACT_CONNTRACK_COUNT];

	if (most == FACT_UNKNOWN)
		doctor_say(ret, DOCTOR_OK, "not loaded");
	else
		doctor_say(ret,
			   most < TRACKED_LEAST || now > most / 4 * 3 ? DOCTOR_WARN : DOCTOR_OK,
			   "loaded: %lld of at most %lld entries, two for each session",
			   (long long)(now == FACT_UNKNOWN ? 0 : now), (long long)most);
}

/* What all interfaces have in common; their own may be stricter (rules_nic.c). */
static void judge_rp_filter(const struct doctor_facts *facts, const struct doctor_nic *nic,
			    struct doctor_finding *ret)
{
	int64_t strict = facts->numbers[FACT_RP_FILTER];

	for (size_t i = 0; i < facts->nic_count; i++)
		if (facts->nics[i].rp_filter == 1 && strict != 2)
			strict = 1;
	if (strict == FACT_UNKNOWN)
		return;
	if (strict == 1 && facts->nic_count > 1)
		doctor_say(ret, DOCTOR_WARN,
			   "1 with %zu interfaces: packets that come in where "
			   "their answer would not leave are dropped",
			   facts->nic_count);
	else
		doctor_say(ret, DOCTOR_OK, "%lld", (long long)strict);
}

static void judge_keepalive(const struct doctor_facts *facts, const struct doctor_nic *nic,
			    struct doctor_finding *ret)
{
	int64_t seconds = facts->keepalive_s;

	if (seconds == FACT_UNKNOWN)
		return;
	if (!seconds)
		doctor_say(ret, DOCTOR_WARN,
			   "off somewhere: an NLB forgets what is quiet for 350 "
			   "s, and a vanished peer is not noticed");
	else
		doctor_say(ret, seconds < NLB_IDLE_S ? DOCTOR_OK : DOCTOR_WARN,
			   "%lld s of quiet until a probe; an NLB forgets after 350 s",
			   (long long)seconds);
}

static const struct doctor_rule rules[] = {
	{"somaxconn", "/proc/sys/net/core/somaxconn", judge_somaxconn,
	 "sysctl -w net.core.somaxconn=65535, then restart"},
	{"syn-backlog", "/proc/sys/net/ipv4/tcp_max_syn_backlog", judge_backlog,
	 "sysctl -w net.ipv4.tcp_max_syn_backlog=8192"},
	{"syncookies", "/proc/sys/net/ipv4/tcp_syncookies", judge_cookies,
	 "sysctl -w net.ipv4.tcp_syncookies=1"},
	{"source-ports", "/proc/sys/net/ipv4/ip_local_port_range", judge_ports,
	 "sysctl -w net.ipv4.ip_local_port_range='1024 65535', or several `source:` addresses"},
	{"time-wait", "/proc/self/net/sockstat", judge_time_wait,
	 "sysctl -w net.ipv4.tcp_max_tw_buckets=1048576; find out who closes first"},
	{"time-wait-reuse", "/proc/sys/net/ipv4/tcp_tw_reuse", judge_reuse,
	 "sysctl -w net.ipv4.tcp_tw_reuse=1"},
	{"tcp-memory", "/proc/sys/net/ipv4/tcp_mem", judge_memory,
	 "sysctl -w net.ipv4.tcp_mem='262144 524288 1048576', or a larger host"},
	{"conntrack", "/proc/sys/net/netfilter/nf_conntrack_max", judge_conntrack,
	 "leave the proxy's ports untracked (nft: `notrack` in a raw chain), or sysctl -w "
	 "net.netfilter.nf_conntrack_max=1048576"},
	{"rp-filter", "/proc/sys/net/ipv4/conf/all/rp_filter", judge_rp_filter,
	 "sysctl -w net.ipv4.conf.all.rp_filter=2"},
	{"keepalive", "sluice.yaml: tcp.keepalive.idle", judge_keepalive,
	 "tcp: { keepalive: { idle: 60s } }, for the root and wherever it is said otherwise"},
};

const struct doctor_chapter doctor_network = {
	.name = "network", .rules = rules, .count = sizeof(rules) / sizeof(rules[0])};
