/* SPDX-License-Identifier: Apache-2.0
 *
 * A cellar is a thread that owns a table of fds and does nothing but take pairs of sockets into it
 * and close them on order, which it gets by a socket pair of its own.
 *
 * Happy path: an order to keep goes off with both sockets and needs no answer; so does one to
 * close, unless somebody must know when that is done: orders are obeyed in turn, so the answer to a
 * later one tells. Failure modes: no tables of their own, from the kernel or under ThreadSanitizer
 * (all share one, which may be full): the pair is closed, and nobody keeps its place. Whoever ends
 * the process ends these threads too, and sockets in repair die silently.
 */
#include "proxy/offload/cellar.h"

#include <errno.h>
#include <linux/close_range.h>
#include <poll.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/sandbox.h"
#include "proxy/base/thread.h"
#include "proxy/offload/packet.h"

#define CELLARS_MAX 32
#define OWN_FDS     16 /* the three of the process, the pair's, and what is on its way */
#define STD_FDS     3

enum cellar_op { CELLAR_KEEP, CELLAR_CLEAR, CELLAR_ANSWER };

struct cellar_order {
	uint32_t op; /* enum cellar_op */
	uint32_t row;
};

struct cellar {
	struct thread thread;
	sem_t *ready;
	int order_fd; /* the keeper's end */
	int obey_fd;  /* the thread's */
	int (*pairs)[2];
	bool own_table;
	bool is_started;
	bool is_behind; /* something was to be closed since it last answered */
};

struct cellars {
	struct cellar list[CELLARS_MAX];
	unsigned count;
	uint32_t rows;       /* of each */
	uint32_t *free_rows; /* a stack, over all */
	uint32_t free_count;
	sem_t ready;
};

/* --- the thread --- */

static void close_pair(int pair[2])
{
	for (unsigned leg = 0; leg < 2; leg++) {
		if (pair[leg] >= 0)
			close(pair[leg]);
		pair[leg] = -1;
	}
}

static int leave_table(unsigned first)
{
#ifdef __SANITIZE_THREAD__
	/* It knows one table to a process, where the same number is the same file. */
	(void)first;
	return -1;
#else
	return close_range(first, ~0U, CLOSE_RANGE_UNSHARE);
#endif
}

/* Nothing but the pair's end stays open here: what others close is to be closed. */
static void take_table(struct cellar *cellar)
{
	unsigned own = (unsigned)cellar->obey_fd;

	cellar->own_table = !leave_table(own + 1);
	if (cellar->own_table && own > STD_FDS)
		close_range(STD_FDS, own - 1, 0);
}

static void obey(struct cellar *cellar, const struct cellar_order *order, const int fds[2])
{
	int *pair = cellar->pairs[order->row];

	switch (order->op) {
	case CELLAR_KEEP:
		pair[0] = fds[0];
		pair[1] = fds[1];
		break;
	case CELLAR_CLEAR:
		close_pair(pair);
		break;
	default:
		packet_send(cellar->obey_fd, order, sizeof(*order), NULL, 0);
	}
}

static void run(void *arg)
{
	struct cellar *cellar = arg;
	struct cellar_order order;
	int fds[2];

	take_table(cellar);
	sandbox_enter(SANDBOX_CELLAR);
	sem_post(cellar->ready);
	while (packet_receive(cellar->obey_fd, &order, sizeof(order), fds, 0) > 0)
		obey(cellar, &order, fds);
}

/* --- the keeper's side --- */

static struct cellar *cellar_of(struct cellars *cellars, uint32_t row, uint32_t *ret_own_row)
{
	*ret_own_row = row % cellars->rows;
	return &cellars->list[row / cellars->rows];
}

static int send_order(struct cellar *cellar, enum cellar_op op, uint32_t row, const int fds[2])
{
	struct cellar_order order = {.op = op, .row = row};
	int err;

	/* No more may be on their way than a table takes, whoever sends them (unix(7)). */
	while ((err = packet_send(cellar->order_fd, &order, sizeof(order), fds, 0)) ==
	       -ETOOMANYREFS)
		poll(NULL, 0, 1);
	return err;
}

uint32_t cellars_keep(struct cellars *cellars, const int fds[2])
{
	uint32_t row = CELLAR_NOWHERE;

	if (cellars->free_count) {
		uint32_t own;
		struct cellar *cellar;

		row = cellars->free_rows[--cellars->free_count];
		cellar = cellar_of(cellars, row, &own);
		if (send_order(cellar, CELLAR_KEEP, own, fds)) {
			cellars->free_rows[cellars->free_count++] = row;
			row = CELLAR_NOWHERE;
		}
	}
	close(fds[0]);
	close(fds[1]);
	return row;
}

void cellars_clear(struct cellars *cellars, uint32_t row)
{
	struct cellar *cellar;
	uint32_t own;

	if (row == CELLAR_NOWHERE)
		return;
	cellar = cellar_of(cellars, row, &own);
	send_order(cellar, CELLAR_CLEAR, own, NULL);
	cellar->is_behind = true;
	cellars->free_rows[cellars->free_count++] = row;
}

void cellars_wait(struct cellars *cellars)
{
	struct cellar_order answer;
	int none[2];

	for (unsigned i = 0; i < cellars->count; i++)
		if (cellars->list[i].is_behind)
			send_order(&cellars->list[i], CELLAR_ANSWER, 0, NULL);
	for (unsigned i = 0; i < cellars->count; i++) {
		struct cellar *cellar = &cellars->list[i];

		if (cellar->is_behind)
			packet_receive(cellar->order_fd, &answer, sizeof(answer), none, 0);
		cellar->is_behind = false;
	}
}

uint32_t cellars_room(const struct cellars *cellars)
{
	return cellars->count * cellars->rows;
}

/* --- beginning and end --- */

static int start(struct cellars *cellars, struct cellar *cellar)
{
	int fds[2];
	int err;

	cellar->pairs = malloc(cellars->rows * sizeof(cellar->pairs[0]));
	if (!cellar->pairs)
		return -ENOMEM;
	for (uint32_t row = 0; row < cellars->rows; row++)
		cellar->pairs[row][0] = cellar->pairs[row][1] = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -errno;
	cellar->ready = &cellars->ready;
	cellar->order_fd = fds[0];
	cellar->obey_fd = fds[1];
	err = thread_start(&cellar->thread, "cellar", run, cellar);
	if (err)
		return err;
	cellar->is_started = true;
	while (sem_wait(&cellars->ready)) /* EINTR */
		;
	if (cellar->own_table)
		close(cellar->obey_fd); /* in this table */
	return 0;
}

/* As few tables as will do. */
static int plan(struct cellars *cellars, uint32_t pairs)
{
	struct rlimit files = {.rlim_cur = 0};
	uint32_t most;

	getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < OWN_FDS + 2)
		return -EMFILE;
	most = files.rlim_cur - OWN_FDS > UINT32_MAX ? UINT32_MAX / 2
						     : (uint32_t)(files.rlim_cur - OWN_FDS) / 2;
	cellars->rows = pairs < most ? pairs : most;
	cellars->count = (pairs + cellars->rows - 1) / cellars->rows;
	if (cellars->count > CELLARS_MAX)
		cellars->count = CELLARS_MAX;
	cellars->free_count = cellars_room(cellars);
	cellars->free_rows = malloc(cellars->free_count * sizeof(cellars->free_rows[0]));
	if (!cellars->free_rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < cellars->free_count; i++)
		cellars->free_rows[i] = cellars->free_count - 1 - i; /* the lowest is on top */
	return 0;
}

int cellars_open(uint32_t pairs, struct cellars **ret_cellars)
{
	struct cellars *cellars = calloc(1, sizeof(*cellars));
	int err;

	if (!cellars)
		return -ENOMEM;
	sem_init(&cellars->ready, 0, 0);
	for (unsigned i = 0; i < CELLARS_MAX; i++)
		cellars->list[i].order_fd = cellars->list[i].obey_fd = -1;
	err = plan(cellars, pairs ? pairs : 1);
	for (unsigned i = 0; !err && i < cellars->count; i++)
		err = start(cellars, &cellars->list[i]);
	if (err) {
		cellars_close(cellars);
		return err;
	}
	*ret_cellars = cellars;
	return 0;
}

/* The last of its table closes its sockets; in a shared one that is our part. */
static void stop(struct cellars *cellars, struct cellar *cellar)
{
	if (cellar->is_started) {
		shutdown(cellar->order_fd, SHUT_RDWR);
		thread_join(&cellar->thread);
		for (uint32_t row = 0; !cellar->own_table && row < cellars->rows; row++)
			close_pair(cellar->pairs[row]);
	}
	if (cellar->order_fd >= 0)
		close(cellar->order_fd);
	if (cellar->obey_fd >= 0 && !cellar->own_table)
		close(cellar->obey_fd);
	free(cellar->pairs);
}

void cellars_close(struct cellars *cellars)
{
	if (!cellars)
		return;
	for (unsigned i = 0; i < CELLARS_MAX; i++)
		stop(cellars, &cellars->list[i]);
	sem_destroy(&cellars->ready);
	free(cellars->free_rows);
	free(cellars);
}
