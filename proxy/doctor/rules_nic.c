/* SPDX-License-Identifier: Apache-2.0
 *
 * What matters of an interface. The fast path by tc works on any; the rules on XDP matter to who
 * asks for it.
 */
#include <string.h>

#include "proxy/doctor/rules.h"

#define FEW_CPUS 2

/* Drivers with native XDP that can also send what another device redirects. */
static const struct {
	const char *driver;
	int64_t mtu; /* the largest that XDP takes; 0: the driver's own business */
	bool half;   /* XDP needs send queues of its own: half of the channels */
} natives[] = {
	{"ena", 3498, true},     {"virtio_net", 0, false}, {"veth", 0, false},
	{"mlx5_core", 0, false}, {"i40e", 0, false},       {"ice", 0, false},
	{"ixgbe", 0, false},     {"ixgbevf", 0, false},    {"igb", 0, false},
	{"igc", 0, false},       {"bnxt_en", 0, false},    {"mlx4_en", 0, false},
	{"nfp", 0, false},       {"qede", 0, false},       {"sfc", 0, false},
	{"gve", 0, false},       {"hv_netvsc", 0, false},  {"mana", 0, false},
};

static void judge_driver(const struct doctor_facts *facts, const struct doctor_nic *nic,
			 struct doctor_finding *ret)
{
	doctor_say(ret, DOCTOR_OK, "%s, MTU %lld, %lld receive queue%s",
		   nic->driver[0] ? nic->driver : "a virtual device", (long long)nic->mtu,
		   (long long)nic->receive_queues, nic->receive_queues == 1 ? "" : "s");
}

static void judge_native(const struct doctor_nic *nic, size_t which, struct doctor_finding *ret)
{
	int64_t mtu = natives[which].mtu;

	if (mtu && nic->mtu > mtu) {
		doctor_say(ret, DOCTOR_WARN, "%s takes XDP up to an MTU of %lld, and has %lld",
			   nic->driver, (long long)mtu, (long long)nic->mtu);
		return;
	}
	if (natives[which].half && nic->channels_max != FACT_UNKNOWN &&
	    nic->channels > nic->channels_max / 2) {
		doctor_say(ret, DOCTOR_WARN,
			   "%s takes XDP with %lld of its %lld channels, and "
			   "uses %lld",
			   nic->driver, (long long)(nic->channels_max / 2),
			   (long long)nic->channels_max, (long long)nic->channels);
		ret->remedy = "ethtool -L DEV combined with half of the maximum, or stay with "
			      "`hook: tc`, the default";
		return;
	}
	doctor_say(ret, DOCTOR_OK, "%s has native XDP", nic->driver);
}

static void judge_xdp(const struct doctor_facts *facts, const struct doctor_nic *nic,
		      struct doctor_finding *ret)
{
	for (size_t i = 0; i < sizeof(natives) / sizeof(natives[0]); i++)
		if (strcmp(natives[i].driver, nic->driver) == 0) {
			judge_native(nic, i, ret);
			return;
		}
	doctor_say(ret, DOCTOR_UNKNOWN, "whether %s has native XDP; tc, the default, needs none",
		   nic->driver[0] ? nic->driver : "a virtual device");
}

static void judge_switch(int64_t on, const char *good, const char *bad, struct doctor_finding *ret)
{
	if (on != FACT_UNKNOWN)
		doctor_say(ret, on ? DOCTOR_OK : DOCTOR_WARN, "%s", on ? good : bad);
}

static void judge_gro(const struct doctor_facts *facts, const struct doctor_nic *nic,
		      struct doctor_finding *ret)
{
	judge_switch(nic->gro, "on", "off: each packet is received, and translated, by itself",
		     ret);
}

static void judge_gso(const struct doctor_facts *facts, const struct doctor_nic *nic,
		      struct doctor_finding *ret)
{
	judge_switch(nic->gso, "on", "off: data is cut into packets early", ret);
}

static void judge_tso(const struct doctor_facts *facts, const struct doctor_nic *nic,
		      struct doctor_finding *ret)
{
	judge_switch(nic->tso, "on", "off: the CPU cuts data into packets", ret);
}

static void judge_threaded(const struct doctor_facts *facts, const struct doctor_nic *nic,
			   struct doctor_finding *ret)
{
	if (nic->threaded == FACT_UNKNOWN)
		return;
	if (nic->threaded)
		doctor_say(ret, DOCTOR_OK, "on");
	else if (facts->cpus != FACT_UNKNOWN && facts->cpus <= FEW_CPUS)
		doctor_say(ret, DOCTOR_WARN,
			   "off: on %lld CPUs a single bulk session by tc loses a tenth of its "
			   "speed",
			   (long long)facts->cpus);
	else
		doctor_say(ret, DOCTOR_OK, "off, which matters on few CPUs only");
}

static const struct doctor_rule rules[] = {
	{"interface", "/sys/class/net/DEV", judge_driver, ""},
	{"xdp", "/sys/class/net/DEV/device/driver", judge_xdp,
	 "ip link set dev DEV mtu 3498, or stay with `hook: tc`, the default, which has no such "
	 "limit"},
	{"gro", "ethtool -k DEV", judge_gro, "ethtool -K DEV gro on"},
	{"gso", "ethtool -k DEV", judge_gso, "ethtool -K DEV gso on"},
	{"tso", "ethtool -k DEV", judge_tso, "ethtool -K DEV tso on"},
	{"threaded-napi", "/sys/class/net/DEV/threaded", judge_threaded,
	 "echo 1 > /sys/class/net/DEV/threaded"},
};

const struct doctor_chapter doctor_nics = {.name = "interfaces",
					   .rules = rules,
					   .count = sizeof(rules) / sizeof(rules[0]),
					   .each_nic = true};
