/* SPDX-License-Identifier: Apache-2.0
 *
 * One end of one checked connection, for pump alone. Happy path: peer_on_event() finishes the
 * connect, sends or receives the header, then sends and checks both streams a chunk an event,
 * passes on a FIN when all is sent, and counts the session as exact when the other FIN has come
 * just where it was due. Anything else is a failure: counted, told, and answered with a reset.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/pattern.h"

#define MAGIC UINT64_C(0x736c756963653031)

struct header {
	uint64_t magic;
	uint64_t seed;
	uint64_t up;
	uint64_t down;
};

struct peer {
	int fd;
	bool serving; /* the accepting end: waits for a header before anything else */
	bool connected;
	bool fin_sent;
	bool fin_seen;
	uint32_t events; /* what epoll watches now */
	uint64_t slot;   /* in waiting[], until the barrier opens */
	struct header header;
	size_t header_done;
	uint64_t sent;
	uint64_t received;
};

static struct {
	uint64_t up, down;
	uint64_t connections; /* open at once */
	uint64_t total;       /* 0: until SIGTERM */
	uint64_t seed;
	uint64_t deadline_s;
	uint64_t chunk;
	uint64_t barrier; /* load starts when all are connected */
	uint64_t vary;    /* lengths are drawn from 1 to up, 1 to down */
} options = {.connections = 1, .total = 1, .seed = 1, .deadline_s = 60, .chunk = CHUNK_MAX};

static struct {
	uint64_t opened, exact, failed, connect_failed, bytes;
	unsigned open, connected;
} tally;

static uint8_t scratch[CHUNK_MAX];
static int epoll_fd;
static struct peer **waiting; /* options.connections of them, with a barrier */

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* The stream of one direction, from `offset` on; CHUNK_MAX bytes are contiguous. */
static const uint8_t *stream_at(const struct peer *peer, bool up, uint64_t offset)
{
	return pattern_at(peer->header.seed * 2 + up, offset);
}

static uint64_t bytes_to_send(const struct peer *peer)
{
	return peer->serving ? peer->header.down : peer->header.up;
}

static uint64_t bytes_to_receive(const struct peer *peer)
{
	return peer->serving ? peer->header.up : peer->header.down;
}

static void peer_end(struct peer *peer, const char *problem, int error)
{
	struct linger linger = {.l_onoff = 1};

	if (problem) {
		tally.failed++;
		if (tally.failed <= 5)
			fprintf(stderr, "%s %llx: %s (%s), sent %llu/%llu received %llu/%llu\n",
				peer->serving ? "server" : "client",
				(unsigned long long)peer->header.seed, problem, strerror(error),
				(unsigned long long)peer->sent,
				(unsigned long long)bytes_to_send(peer),
				(unsigned long long)peer->received,
				(unsigned long long)bytes_to_receive(peer));
		setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	} else {
		tally.exact++;
	}
	if (waiting && !peer->serving)
		waiting[peer->slot] = NULL;
	close(peer->fd);
	tally.open--;
	tally.connected -= peer->connected;
	free(peer);
}

static void peer_watch(struct peer *peer, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = peer};

	if (events == peer->events)
		return;
	if (epoll_ctl(epoll_fd, peer->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, peer->fd, &event))
		die("epoll_ctl");
	peer->events = events;
}

/* 0 to go on, or an errno; EAGAIN is nothing to report. */
static int peer_send_header(struct peer *peer)
{
	ssize_t n = send(peer->fd, (char *)&peer->header + peer->header_done,
			 sizeof(peer->header) - peer->header_done, MSG_NOSIGNAL);

	if (n < 0)
		return errno;
	peer->header_done += (size_t)n;
	return 0;
}

static int peer_send(struct peer *peer)
{
	uint64_t left = bytes_to_send(peer) - peer->sent;
	size_t len = random_chunk(options.chunk);
	ssize_t n;

	if (!peer->serving && peer->header_done < sizeof(peer->header))
		return peer_send_header(peer);
	if (!left) {
		peer->fin_sent = true;
		return shutdown(peer->fd, SHUT_WR) ? errno : 0;
	}
	n = send(peer->fd, stream_at(peer, !peer->serving, peer->sent), len < left ? len : left,
		 MSG_NOSIGNAL);
	if (n < 0)
		return errno;
	peer->sent += (uint64_t)n;
	tally.bytes += (uint64_t)n;
	return 0;
}

static int peer_receive_header(struct peer *peer)
{
	ssize_t n = recv(peer->fd, (char *)&peer->header + peer->header_done,
			 sizeof(peer->header) - peer->header_done, 0);

	if (n < 0)
		return errno;
	if (!n)
		return EPIPE;
	peer->header_done += (size_t)n;
	if (peer->header_done == sizeof(peer->header) && peer->header.magic != MAGIC)
		return EBADMSG;
	return 0;
}

static int peer_receive(struct peer *peer)
{
	ssize_t n;

	if (peer->serving && peer->header_done < sizeof(peer->header))
		return peer_receive_header(peer);
	n = recv(peer->fd, scratch, random_chunk(options.chunk), 0);
	if (n < 0)
		return errno;
	if (!n) {
		peer->fin_seen = true;
		return peer->received == bytes_to_receive(peer) ? 0 : EPIPE;
	}
	if (peer->received + (uint64_t)n > bytes_to_receive(peer) ||
	    memcmp(scratch, stream_at(peer, peer->serving, peer->received), (size_t)n) != 0)
		return EBADMSG;
	peer->received += (uint64_t)n;
	return 0;
}

static bool peer_may_send(const struct peer *peer)
{
	if (peer->fin_sent)
		return false;
	if (peer->serving)
		return peer->header_done == sizeof(peer->header);
	return peer->header_done < sizeof(peer->header) || !options.barrier;
}

static void peer_rewatch(struct peer *peer)
{
	peer_watch(peer, (peer->fin_seen ? 0u : EPOLLIN) | (peer_may_send(peer) ? EPOLLOUT : 0u));
}

static void peer_on_event(struct peer *peer, uint32_t events)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (!peer->connected) {
		getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			tally.connect_failed++;
			peer_end(peer, "connect", error);
			return;
		}
		peer->connected = true;
		tally.connected++;
	}
	if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) && !peer->fin_seen)
		error = peer_receive(peer);
	if (error && error != EAGAIN) {
		peer_end(peer, "receive", error);
		return;
	}
	error = (events & EPOLLOUT) && peer_may_send(peer) ? peer_send(peer) : 0;
	if (error && error != EAGAIN) {
		peer_end(peer, "send", error);
		return;
	}
	if (peer->fin_sent && peer->fin_seen)
		peer_end(peer, NULL, 0);
	else
		peer_rewatch(peer);
}

static struct peer *peer_new(int fd, bool serving)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		die("calloc");
	peer->fd = fd;
	peer->serving = serving;
	tally.open++;
	return peer;
}
