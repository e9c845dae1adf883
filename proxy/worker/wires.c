/* SPDX-License-Identifier: Apache-2.0
 *
 * The eventfds by which threads wake each other. Happy path: opened once, before any worker, and
 * never closed while one runs; a worker that takes an fd table of its own keeps them in it. The
 * only failure is to have no fd or no memory, at start.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/pool_state.h"
#include "proxy/worker.h"

int worker_wires_open(unsigned count, struct worker_wires *ret_wires)
{
	struct worker_wires wires = {.count = count, .outlier_fd = -1};
	int err;

	wires.mailboxes = calloc(count, sizeof(*wires.mailboxes));
	if (!wires.mailboxes)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		pool_mailbox_init(&wires.mailboxes[i], -1);
	for (unsigned i = 0; i < count; i++) {
		wires.mailboxes[i].event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (wires.mailboxes[i].event_fd < 0)
			goto fail;
	}
	wires.outlier_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (wires.outlier_fd < 0)
		goto fail;
	*ret_wires = wires;
	return 0;
fail:
	err = -errno;
	worker_wires_close(&wires);
	return err;
}

void worker_wires_close(struct worker_wires *wires)
{
	if (!wires->mailboxes)
		return;
	for (unsigned i = 0; i < wires->count; i++) {
		if (wires->mailboxes[i].event_fd >= 0)
			close(wires->mailboxes[i].event_fd);
		pool_mailbox_fini(&wires->mailboxes[i]);
	}
	free(wires->mailboxes);
	wires->mailboxes = NULL;
	if (wires->outlier_fd >= 0)
		close(wires->outlier_fd);
	wires->outlier_fd = -1;
}
