/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard in front of an interface: a link of its own, which the kernel drops with its last
 * reference. A pin is one, so what is pinned stays when we die.
 *
 * Happy path: nothing is there, a link is made. Or a guard is there already, of a process that died
 * (`keep`) or that we are about to replace: its link gets our program between two packets. The
 * other process then finds, when it goes, that the link leads to a program that is not its own, and
 * leaves the pin.
 * Failure modes: somebody else's XDP program, a driver without XDP, no such interface, no bpffs;
 * each is said with the remedy.
 */
#include "xdp/guard/hook.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guard.skel.h"
#include "xdp/guard/internal.h"

#define PROGRAM_PREFIX "guard_xdp" /* of both programs */

int hook_view_link(int fd, struct link_view *ret_view)
{
	struct bpf_link_info info = {0};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	if (info.type != BPF_LINK_TYPE_XDP)
		return -EINVAL;
	*ret_view = (struct link_view){info.xdp.ifindex, info.prog_id};
	return 0;
}

__u32 hook_program_at(unsigned ifindex)
{
	__u32 id = 0;

	return bpf_xdp_query_id((int)ifindex, 0, &id) ? 0 : id;
}

bool hook_leads_to(int fd, unsigned ifindex, __u32 program)
{
	struct link_view view = {0};

	return !hook_view_link(fd, &view) && view.ifindex == ifindex && view.program == program;
}

/* Whether the program with this id is a guard of ours. */
static bool is_guard(__u32 id)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);
	bool is = false;

	if (fd < 0)
		return false;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len))
		is = !strncmp(info.name, PROGRAM_PREFIX, strlen(PROGRAM_PREFIX));
	close(fd);
	return is;
}

/* Of all links of this machine, which takes CAP_SYS_ADMIN. */
static int find_any(unsigned ifindex, __u32 program)
{
	__u32 id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		int fd = bpf_link_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (hook_leads_to(fd, ifindex, program))
			return fd;
		close(fd);
	}
	return -ENOENT;
}

static int make_link(const struct guard *guard, unsigned ifindex, enum guard_mode mode)
{
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, opts,
			    .flags =
				    mode == GUARD_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	int fd = bpf_link_create(bpf_program__fd(guard->program), (int)ifindex, BPF_XDP, &opts);

	return fd < 0 ? -errno : fd;
}

static enum guard_mode mode_at(unsigned ifindex)
{
	DECLARE_LIBBPF_OPTS(bpf_xdp_query_opts, opts);

	if (bpf_xdp_query((int)ifindex, 0, &opts))
		return GUARD_AUTO;
	return opts.attach_mode == XDP_ATTACHED_SKB ? GUARD_GENERIC : GUARD_NATIVE;
}

/* Of a guard that is there; -ENOENT without one, -EBUSY if it is somebody else's program. */
static int take_over(struct guard *guard, struct guard_attached *attached)
{
	__u32 program = hook_program_at(attached->ifindex);
	int fd = -ENOENT;
	int err;

	if (!program)
		return -ENOENT;
	if (guard->pin_path[0])
		fd = pins_find(guard->pin_path, attached->ifindex, program, attached->pin);
	if (fd < 0 && is_guard(program))
		fd = find_any(attached->ifindex, program);
	if (fd < 0)
		return -EBUSY;
	err = bpf_link_update(fd, bpf_program__fd(guard->program), NULL) ? -errno : 0;
	if (!err && attached->hook.mode != GUARD_AUTO &&
	    attached->hook.mode != mode_at(attached->ifindex)) {
		bpf_link_detach(fd); /* its mode is its own for life */
		err = -ENOENT;
	}
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static int link_of(struct guard *guard, struct guard_attached *attached)
{
	int fd = take_over(guard, attached);

	if (fd != -ENOENT)
		return fd;
	if (attached->hook.mode == GUARD_AUTO && surroundings_is_veth(attached->hook.name))
		attached->hook.mode = GUARD_GENERIC;
	if (attached->hook.mode != GUARD_GENERIC)
		fd = make_link(guard, attached->ifindex, GUARD_NATIVE);
	if (fd < 0 && attached->hook.mode != GUARD_NATIVE && fd != -EBUSY && fd != -EPERM)
		fd = make_link(guard, attached->ifindex, GUARD_GENERIC);
	return fd;
}

static int explain(const struct guard_hook *hook, int err, char *problem, size_t size)
{
	const char *why = "its driver has no XDP, or not with this MTU or these queues";
	const char *remedy = "mode: generic for this interface";

	if (err == -EBUSY || err == -EEXIST) {
		why = "another XDP program is attached there";
		remedy = "detach that one, e.g. `ip link set dev NAME xdp off`";
	} else if (err == -EPERM) {
		why = "that is not allowed";
		remedy = "start as root, or with CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON";
	}
	snprintf(problem, size, "the guard cannot be attached to %s: %s (%s); remedy: %s",
		 hook->name, why, strerror(-err), remedy);
	return err;
}

int hook_attach(struct guard *guard, const struct guard_hook *hook, char *problem, size_t size)
{
	struct guard_attached *attached = &guard->attached[guard->attached_count];
	struct guard_interface mss;
	int err = 0;

	*attached = (struct guard_attached){.hook = *hook, .ifindex = if_nametoindex(hook->name)};
	if (!attached->ifindex) {
		snprintf(problem, size,
			 "the guard cannot be attached to %s: there is no such interface; "
			 "remedy: `ip link` names them, guard.interfaces lists them",
			 hook->name);
		return -ENODEV;
	}
	surroundings_mss(hook->name, &mss);
	if (bpf_map_update_elem(bpf_map__fd(guard->skeleton->maps.guard_interfaces),
				&attached->ifindex, &mss, BPF_ANY))
		return guard_say(problem, size, -errno, "the guard's table of interfaces");
	attached->link_fd = link_of(guard, attached);
	if (attached->link_fd < 0)
		return explain(hook, attached->link_fd, problem, size);
	if (guard->keep)
		err = pins_put(guard, attached);
	else
		pins_drop(guard, attached); /* of one that died and did keep: or it outlived us */
	attached->hook.mode = mode_at(attached->ifindex);
	guard->hooks[guard->attached_count++] = attached->hook;
	return err ? guard_say(problem, size, err, "the guard's link cannot be pinned") : 0;
}

void hook_detach(struct guard *guard, struct guard_attached *attached)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);
	struct link_view view = {0};
	int program = bpf_program__fd(guard->program);
	bool ours = !hook_view_link(attached->link_fd, &view) &&
		    !bpf_obj_get_info_by_fd(program, &info, &len) && view.program == info.id;

	if (ours)
		pins_drop(guard, attached);
	close(attached->link_fd);
}
