/* SPDX-License-Identifier: Apache-2.0
 *
 * Hooks: tcx links where the kernel has them (6.6), else filters of a clsact qdisc; XDP links; and
 * the link to our cgroup, through which sockets are looked at.
 *
 * A link dies with its last reference, so it is pinned if it should outlive us. A filter of clsact
 * stays by itself, until somebody removes it; its program is pinned in place of the link, to say
 * where it is. libbpf 1.1 has no call for tcx, hence the raw bpf(2).
 */
#include "xdp/flow/attach.h"
#include <linux/bpf.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "flow.skel.h"
#include "xdp/flow/internal.h"
#include "xdp/quiet.h"

/* include/uapi/linux/bpf.h of 6.6 */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47

#define FILTER_PRIORITY 0x534c
#define UNPINNED_HANDLE 1 /* the next one replaces what nobody could find */

/* --- the cgroup --- */

static int find_line(const char *file, bool (*is_it)(char *line, char *ret, size_t size), char *ret,
		     size_t size)
{
	char line[PATH_MAX + 512];
	FILE *in = fopen(file, "re");
	bool found = false;

	if (!in)
		return -errno;
	while (!found && fgets(line, sizeof(line), in))
		found = is_it(line, ret, size);
	fclose(in);
	return found ? 0 : -ENOENT;
}

/* `36 35 98:0 /root /mount options - cgroup2 source ...`, proc_pid_mountinfo(5). */
static bool is_cgroup2(char *line, char *ret, size_t size)
{
	const char *kind = strstr(line, " - cgroup2 ");
	char mount[PATH_MAX];

	if (!kind || sscanf(line, "%*d %*d %*s %*s %4095s", mount) != 1)
		return false;
	return (size_t)snprintf(ret, size, "%s", mount) < size;
}

static bool is_unified(char *line, char *ret, size_t size)
{
	if (strncmp(line, "0::", 3) != 0)
		return false;
	line[strcspn(line, "\n")] = '\0';
	return (size_t)snprintf(ret, size, "%s", line + 3) < size;
}

static int own_cgroup(char *ret_path, size_t size)
{
	char mount[PATH_MAX];
	char group[PATH_MAX];
	int err = find_line("/proc/self/mountinfo", is_cgroup2, mount, sizeof(mount));

	if (!err)
		err = find_line("/proc/self/cgroup", is_unified, group, sizeof(group));
	if (!err && (size_t)snprintf(ret_path, size, "%s%s", mount, group) >= size)
		err = -ENAMETOOLONG;
	return err;
}

int attach_snapshots(struct flow_engine *engine, const char *cgroup)
{
	char path[2 * PATH_MAX];
	int err = 0;
	int fd;

	if (!cgroup)
		err = own_cgroup(path, sizeof(path));
	if (err)
		return err;
	fd = open(cgroup ? cgroup : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	engine->snapshots =
		bpf_program__attach_cgroup(engine->skeleton->progs.flow_snapshot_socket, fd);
	if (!engine->snapshots)
		err = -errno;
	close(fd);
	return err;
}

/* --- links --- */

static bool link_path(const struct flow_engine *engine, const struct flow_port *port,
		      const char *side, char *ret_path, size_t size)
{
	if (!engine->pin_path[0])
		return false;
	return (size_t)snprintf(ret_path, size, "%s/%s-%u-%s", engine->pin_path,
				flow_hook_names[port->interface.hook], port->interface.ifindex,
				side) < size;
}

static int create(int program, unsigned ifindex, int attach_type, unsigned flags)
{
	union bpf_attr attr;
	long fd;

	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (__u32)program;
	attr.link_create.target_fd = ifindex;
	attr.link_create.attach_type = (__u32)attach_type;
	attr.link_create.flags = flags;
	fd = syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	return fd < 0 ? -errno : (int)fd;
}

/* A link that somebody before us pinned, if it still is attached, with our program in it. */
static int take_over(const char *path, int program)
{
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return -errno;
	if (!bpf_link_update(fd, program, NULL))
		return fd;
	close(fd); /* its interface is gone, or there was a filter */
	unlink(path);
	return -ENOENT;
}

static int link_program(struct flow_engine *engine, const struct flow_port *port, const char *side,
			int program, int attach_type, unsigned flags)
{
	char path[320];
	bool pinned = link_path(engine, port, side, path, sizeof(path));
	int fd = pinned ? take_over(path, program) : -ENOENT;

	if (fd >= 0)
		return fd;
	fd = create(program, port->interface.ifindex, attach_type, flags);
	if (fd >= 0 && pinned && bpf_obj_pin(fd, path)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* --- clsact --- */

/* Several processes may have filters on one interface: each that finds no flow of its own leaves
 * the packet to the next. They are told apart by the map of flows, which a successor takes over. */
__u32 attach_handle(int flows_fd, bool pinned)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	if (!pinned || bpf_obj_get_info_by_fd(flows_fd, &info, &len))
		return UNPINNED_HANDLE;
	return info.id;
}

static int filter(unsigned ifindex, enum bpf_tc_attach_point point, __u32 handle, int program)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
			    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program, .handle = handle,
			    .priority = FILTER_PRIORITY, .flags = BPF_TC_F_REPLACE);
	libbpf_print_fn_t before = libbpf_set_print(be_silent); /* of one that was there */
	int err = bpf_tc_hook_create(&hook);

	hook.attach_point = point;
	if (!err || err == -EEXIST)
		err = bpf_tc_attach(&hook, &opts);
	libbpf_set_print(before);
	return err;
}

static void unfilter(unsigned ifindex, enum bpf_tc_attach_point point, __u32 handle)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = point);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = handle, .priority = FILTER_PRIORITY);
	libbpf_print_fn_t before = libbpf_set_print(be_silent); /* of one that was not */

	bpf_tc_detach(&hook, &opts);
	libbpf_set_print(before);
}

void attach_remove_filters(unsigned ifindex, __u32 handle)
{
	unfilter(ifindex, BPF_TC_INGRESS, handle);
	unfilter(ifindex, BPF_TC_EGRESS, handle);
}

static int filter_and_pin(struct flow_engine *engine, const struct flow_port *port,
			  const char *side, enum bpf_tc_attach_point point, int program)
{
	char path[320];
	int err = filter(port->interface.ifindex, point, engine->filter_handle, program);

	if (!err && link_path(engine, port, side, path, sizeof(path)) && bpf_obj_pin(program, path))
		err = -errno;
	return err;
}

/* --- one interface --- */

static int attach_tc_side(struct flow_engine *engine, const struct flow_port *port,
			  const char *side, bool ingress, int *ret_fd)
{
	int program = bpf_program__fd(ingress ? engine->skeleton->progs.flow_ingress
					      : engine->skeleton->progs.flow_egress);
	int fd = link_program(engine, port, side, program,
			      ingress ? ATTACH_TCX_INGRESS : ATTACH_TCX_EGRESS, 0);

	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	if (fd != -EINVAL)
		return fd;
	return filter_and_pin(engine, port, side, ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS,
			      program);
}

static int attach_xdp(struct flow_engine *engine, struct flow_port *port)
{
	unsigned flags = port->interface.hook == FLOW_HOOK_XDP_NATIVE ? XDP_FLAGS_DRV_MODE
								      : XDP_FLAGS_SKB_MODE;
	int fd = link_program(engine, port, "in", bpf_program__fd(engine->skeleton->progs.flow_xdp),
			      BPF_XDP, flags);

	if (fd < 0)
		return fd;
	port->ingress_fd = fd;
	return 0;
}

/* By XDP too the packets of flows that are not settled go by tc. */
int attach_port(struct flow_engine *engine, struct flow_port *port)
{
	bool tc = port->interface.hook == FLOW_HOOK_TC;
	int err = attach_tc_side(engine, port, "out", false, &port->egress_fd);

	if (err)
		return err;
	if (tc)
		err = attach_tc_side(engine, port, "in", true, &port->ingress_fd);
	else
		err = attach_tc_side(engine, port, "late", true, &port->late_fd);
	if (!err && !tc)
		err = attach_xdp(engine, port);
	if (err)
		detach_port(engine, port, false);
	return err;
}

static void drop_link(struct flow_engine *engine, const struct flow_port *port, const char *side,
		      int *fd, bool leave)
{
	char path[320];

	if (!leave && link_path(engine, port, side, path, sizeof(path)))
		unlink(path);
	if (*fd < 0)
		return;
	close(*fd);
	*fd = -1;
}

void detach_port(struct flow_engine *engine, struct flow_port *port, bool leave)
{
	bool tc = port->interface.hook == FLOW_HOOK_TC;

	if (!leave && (tc ? port->ingress_fd : port->late_fd) < 0)
		unfilter(port->interface.ifindex, BPF_TC_INGRESS, engine->filter_handle);
	if (!leave && port->egress_fd < 0)
		unfilter(port->interface.ifindex, BPF_TC_EGRESS, engine->filter_handle);
	drop_link(engine, port, "in", &port->ingress_fd, leave);
	drop_link(engine, port, "late", &port->late_fd, leave);
	drop_link(engine, port, "out", &port->egress_fd, leave);
}
