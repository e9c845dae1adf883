/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads the guard's program, puts rules in force, reads its figures.
 *
 * Happy path: the program that fits this kernel is loaded, its tables filled before it is attached
 * anywhere, so that no packet meets an empty one; later rules are filled beside those in force and
 * become theirs by one store.
 * Failure modes: each has a sentence with its remedy; nothing stays attached.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guard.skel.h"
#include "xdp/flow.h"
#include "xdp/guard/internal.h"
#include "xdp/quiet.h"

#define SYNCOOKIES "/proc/sys/net/ipv4/tcp_syncookies"
#define TIMESTAMPS "/proc/sys/net/ipv4/tcp_timestamps"

#define PORT_BYTES (GUARD_GENERATIONS * 65536 * sizeof(struct guard_port))
#define GATE_BYTES (GUARD_GENERATIONS * GUARD_GATES * sizeof(struct guard_gate))

int guard_say(char *problem, size_t size, int err, const char *what)
{
	snprintf(problem, size, "%s: %s", what, strerror(-err));
	return err;
}

/* --- can it be had here --- */

static bool want_cookies(const struct guard_door *doors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (doors[i].cookies != GUARD_OFF && !doors[i].dry_run)
			return true;
	return false;
}

int guard_check(const struct guard_door *doors, size_t count, char *ret_problem, size_t size)
{
	int set = surroundings_sysctl(SYNCOOKIES);

	if (!want_cookies(doors, count))
		return 0;
	if (set != 2) {
		snprintf(ret_problem, size,
			 "cookies of the guard are believed by the kernel only with "
			 "net.ipv4.tcp_syncookies=2, and it is %d: "
			 "`sysctl -w net.ipv4.tcp_syncookies=2`, or guard.cookies: off",
			 set);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* --- the program --- */

static int choose_program(struct guard *guard, const struct guard_door *doors, size_t count,
			  char *problem, size_t size)
{
	struct guard_bpf *skeleton = guard->skeleton;
	bool cookies = surroundings_have_cookies();

	if (!cookies && want_cookies(doors, count)) {
		snprintf(problem, size,
			 "cookies of the guard need Linux 6.0: a newer kernel, or "
			 "guard.cookies: off");
		return -EOPNOTSUPP;
	}
	bpf_program__set_autoload(skeleton->progs.guard_xdp, cookies);
	bpf_program__set_autoload(skeleton->progs.guard_xdp_plain, !cookies);
	guard->program = cookies ? skeleton->progs.guard_xdp : skeleton->progs.guard_xdp_plain;
	return 0;
}

static void *map_shared(struct bpf_map *map, size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return at == MAP_FAILED ? NULL : at;
}

static int map_tables(struct guard *guard)
{
	guard->ports = map_shared(guard->skeleton->maps.guard_ports, PORT_BYTES);
	guard->gates = map_shared(guard->skeleton->maps.guard_gates, GATE_BYTES);
	return guard->ports && guard->gates ? 0 : -errno;
}

static int load(struct guard *guard, const struct guard_door *doors, size_t count, char *problem,
		size_t size)
{
	int err;

	guard->skeleton = guard_bpf__open();
	if (!guard->skeleton)
		return guard_say(problem, size, -errno, "the guard's program cannot be read");
	err = choose_program(guard, doors, count, problem, size);
	if (err)
		return err;
	err = guard_bpf__load(guard->skeleton);
	if (err)
		return guard_say(problem, size, err,
				 "the kernel refuses the guard's program (start as root, or with "
				 "CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON)");
	err = map_tables(guard);
	if (err)
		return guard_say(problem, size, err, "the guard's tables cannot be mapped");
	guard->skeleton->bss->guard_plain_clock = surroundings_sysctl(TIMESTAMPS) == 2;
	return 0;
}

static int attach_all(struct guard *guard, const struct guard_conf *conf, char *problem,
		      size_t size)
{
	int err = pins_open(guard, conf, problem, size);

	if (!err && conf->hook_count > GUARD_INTERFACES)
		err = guard_say(problem, size, -E2BIG, "interfaces of the guard");
	for (size_t i = 0; i < conf->hook_count && !err; i++)
		err = hook_attach(guard, &conf->hooks[i], problem, size);
	return err;
}

int guard_open(const struct guard_conf *conf, const struct guard_door *doors, size_t count,
	       struct guard **ret_guard, char *ret_problem, size_t size)
{
	libbpf_print_fn_t before = libbpf_set_print(be_silent);
	struct guard *guard = calloc(1, sizeof(*guard));
	int err = guard ? guard_check(doors, count, ret_problem, size)
			: guard_say(ret_problem, size, -ENOMEM, "the guard");

	if (guard)
		guard->pin_dir_fd = -1;
	if (!err)
		err = load(guard, doors, count, ret_problem, size);
	if (!err)
		err = guard_apply(guard, doors, count, ret_problem, size);
	if (!err)
		err = attach_all(guard, conf, ret_problem, size);
	libbpf_set_print(before);
	if (err) {
		guard_close(guard);
		return err;
	}
	*ret_guard = guard;
	return 0;
}

void guard_close(struct guard *guard)
{
	if (!guard)
		return;
	for (size_t i = 0; i < guard->attached_count; i++)
		hook_detach(guard, &guard->attached[i]);
	if (guard->pin_dir_fd >= 0)
		close(guard->pin_dir_fd);
	if (guard->ports)
		munmap(guard->ports, PORT_BYTES);
	if (guard->gates)
		munmap(guard->gates, GATE_BYTES);
	guard_bpf__destroy(guard->skeleton);
	free(guard);
}

/* --- rules --- */

static bool are_all_dry(const struct guard_door *doors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!doors[i].dry_run)
			return false;
	return true;
}

int guard_apply(struct guard *guard, const struct guard_door *doors, size_t count,
		char *ret_problem, size_t size)
{
	__u32 *generation = &guard->skeleton->bss->guard_generation;
	int err = guard_fill(guard, doors, count);

	if (err == -E2BIG) {
		snprintf(ret_problem, size,
			 "the guard knows %d ports, and listeners have more: leave some without",
			 GUARD_GATES - 1);
		return err;
	}
	if (err)
		return guard_say(ret_problem, size, err,
				 "the guard's tables cannot be filled (before Linux 5.19 that "
				 "takes CAP_BPF, or kernel.unprivileged_bpf_disabled=0)");
	guard->skeleton->bss->guard_all_dry = are_all_dry(doors, count);
	__atomic_store_n(generation, !*generation, __ATOMIC_SEQ_CST);
	flow_grace(); /* the old ones may be overwritten from now on */
	return 0;
}

/* --- figures --- */

const struct guard_hook *guard_hooks(const struct guard *guard, size_t *ret_count)
{
	*ret_count = guard->attached_count;
	return guard->hooks;
}

bool guard_answers_fully(const struct guard *guard)
{
	return guard->skeleton->bss->guard_plain_clock;
}

void guard_read(const struct guard *guard, uint32_t slot, struct guard_counts *ret_counts)
{
	int cpus = libbpf_num_possible_cpus();
	struct guard_counts *values = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*values));
	int fd = bpf_map__fd(guard->skeleton->maps.guard_counters);

	memset(ret_counts, 0, sizeof(*ret_counts));
	if (values && !bpf_map_lookup_elem(fd, &slot, values))
		for (int cpu = 0; cpu < cpus; cpu++)
			for (int i = 0; i < GUARD_VERDICTS; i++) {
				ret_counts->packets[i] += values[cpu].packets[i];
				ret_counts->dry[i] += values[cpu].dry[i];
			}
	free(values);
}

void guard_forget(struct guard *guard, uint32_t slot)
{
	int cpus = libbpf_num_possible_cpus();
	struct guard_counts *zeros = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*zeros));

	if (zeros)
		bpf_map_update_elem(bpf_map__fd(guard->skeleton->maps.guard_counters), &slot, zeros,
				    BPF_ANY);
	free(zeros);
}

int guard_program_fd(const struct guard *guard)
{
	return bpf_program__fd(guard->program);
}
