/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the guard share: engine.c loads and closes, tables.c fills, hook.c attaches
 * and takes over, pins.c keeps, surroundings.c asks what the kernel is set to.
 */
#pragma once

#include "xdp/guard.h"

#define PIN_NAME 64

struct guard_bpf; /* the generated skeleton */
struct bpf_program;

struct guard_attached {
	struct guard_hook hook;
	unsigned ifindex;
	int link_fd;
	char pin[PIN_NAME]; /* its name in the directory; "": not pinned */
};

struct guard {
	struct guard_bpf *skeleton;
	struct bpf_program *program;
	struct guard_port *ports; /* mapped, of both generations */
	struct guard_gate *gates; /* likewise */
	bool keep;
	char pin_path[256];
	int pin_dir_fd; /* -1: there is none */
	struct guard_attached attached[GUARD_INTERFACES];
	struct guard_hook hooks[GUARD_INTERFACES]; /* the same, to be shown */
	size_t attached_count;
	uint32_t gate_count; /* of the generation being filled */
};

/* Write "what: error"; returns `err`. */
int guard_say(char *problem, size_t size, int err, const char *what);

/* --- tables.c --- */

/* Fill the generation that is not in force. 0 or -errno. */
int guard_fill(struct guard *guard, const struct guard_door *doors, size_t count);

/* --- hook.c --- */

/* Attach to one interface, or take over; 0 or -errno, with a sentence. */
int hook_attach(struct guard *guard, const struct guard_hook *hook, char *problem, size_t size);
void hook_detach(struct guard *guard, struct guard_attached *attached);

/* --- pins.c --- */

/* The directory, made if something is to be kept. 0 or -errno, with a sentence. */
int pins_open(struct guard *guard, const struct guard_conf *conf, char *problem, size_t size);

/* The link that is pinned in `path` and has `program` at this interface: its fd, or -ENOENT. */
int pins_find(const char *path, unsigned ifindex, __u32 program, char ret_name[PIN_NAME]);

/* Pin it, or make the pin that it has ours. 0 or -errno. */
int pins_put(struct guard *guard, struct guard_attached *attached);
void pins_drop(const struct guard *guard, struct guard_attached *attached);

/* --- surroundings.c --- */

/* A number of /proc/sys, or -1. */
int surroundings_sysctl(const char *path);

/* The kernel can make cookies here. */
bool surroundings_have_cookies(void);

/* What the kernel would take for the window scale of a listener; GUARD_NO_SCALE if that cannot be
 * found out. */
uint8_t surroundings_window_scale(uint32_t receive_buffer);

/* One of a pair of virtual devices: what is answered from within its driver arrives only if the
 * other end has an XDP program too (veth_xdp_flush() of the kernel). */
bool surroundings_is_veth(const char *interface);

/* What may be sent to us by this interface. */
void surroundings_mss(const char *interface, struct guard_interface *ret_mss);
