/* SPDX-License-Identifier: Apache-2.0
 *
 * One bound address of a listener: a port of its range, with one SO_REUSEPORT socket per worker,
 * or a Unix socket that all workers share.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proxy/base/addr.h"
#include "proxy/base/list.h"

struct listener_conf;

struct binding {
	struct list link;   /* struct supervisor::bindings or ::drained */
	struct addr bound;  /* as configured, with this binding's port */
	struct addr actual; /* as bound: 0.0.0.0 for [::] on a host without IPv6 */
	struct addr local;  /* for sessions to log; family 0 on a wildcard */
	uint64_t key;
	char name[32]; /* of its listener, for the log; cut to fit */
	char *path;    /* of a Unix socket; what the addresses borrow */
	dev_t dev;     /* of that path as we made it */
	ino_t ino;
	int *fds; /* until they are handed over */
	unsigned fd_count;
	int steer_fd; /* while new connections are steered away from a predecessor; -1 */
	uint64_t drain_deadline_us;
	bool paused;  /* by an operator: nothing is accepted for now */
	bool settled; /* nobody was in a handshake when last looked */
};

/* What went wrong, for a person; fits one line of the log. */
#define BINDING_WHY 512

/* Bind one socket per worker, without listening yet. Unless `shared`, an address that another
 * process listens on is refused even if SO_REUSEPORT would let us in beside it. 0, or -errno with
 * the reason in `why`. */
int binding_open(const struct listener_conf *conf, uint16_t port, unsigned workers, bool shared,
		 struct binding **ret_binding, char *why);

/* listen(2) with the longest backlog (net.core.somaxconn), and steer. 0 or -errno, `why` filled. */
int binding_listen(struct binding *binding, const struct listener_conf *conf, char *why);

/* New connections to this address all go to its own sockets, not to those of the process that is
 * being replaced: `before` is how many sockets were listening when ours joined. */
void binding_take_over(struct binding *binding, unsigned before);
void binding_end_take_over(struct binding *binding, const struct listener_conf *conf);

/* Close main's copies of the fds. */
void binding_close_fds(struct binding *binding);

/* No new client can find a Unix socket any more; nothing for TCP. */
void binding_unlink(struct binding *binding);

void binding_free(struct binding *binding); /* accepts NULL */
