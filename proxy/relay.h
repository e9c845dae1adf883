/* SPDX-License-Identifier: Apache-2.0
 *
 * Move bytes one way between two stream sockets: a direction-neutral shovel, two per session with
 * their ends swapped. Half-close lives here: OPEN -> DRAINING (EOF read, a rest still to be sent)
 * -> SHUT (FIN passed on); a session is done when both of its relays are shut.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/base/loop.h"
#include "proxy/model.h"

struct chunk;
struct pipe;
struct pipe_cache;
struct slab;
struct worker_counts;

/* One socket of a session, and what its edge-triggered events have told so far. */
struct leg {
	struct loop_source source;
	int error;           /* errno that ended it: ECONNRESET, EPIPE, ETIMEDOUT...; 0: none */
	bool registered : 1; /* in epoll */
	bool readable : 1;   /* an edge said so, and no short read has said otherwise since */
	bool rdhup : 1;      /* the peer's FIN is here, and neither ERR nor HUP came with it */
	bool last_words : 1; /* ERR or HUP: read on to the end, a short read proves nothing */
	bool urgent : 1;     /* out-of-band data: read byte-exactly up to EAGAIN, never splice */
	bool user_timeout_lifted : 1; /* TCP_USER_TIMEOUT is 0 while its window is closed */
	struct addr peer;
	struct addr local;
};

enum relay_state { RELAY_OPEN, RELAY_DRAINING, RELAY_SHUT };

struct relay {
	uint64_t bytes;      /* taken from the source socket for good */
	uint64_t sent_bytes; /* accepted by the destination socket */
	uint64_t spliced_bytes;
	uint64_t whole_bytes; /* EOF before them is not yet the end: sockets that were joined */
	struct chunk *rest;   /* read, but not taken by send(2) yet */
	struct pipe *pipe;    /* borrowed while bytes are in it */
	enum relay_state state;
	bool blocked : 1;   /* the destination took less than offered; waits for EPOLLOUT */
	bool bulk : 1;      /* the last event moved enough that splicing pays */
	bool is_last : 1;   /* the other way is shut: close(2) will send the FIN, soon */
	bool no_splice : 1; /* the kernel refused it for this pair of sockets */
};

/* What a worker lends to every relay it runs. */
struct relay_kit {
	uint8_t *buffer; /* one per worker */
	size_t buffer_size;
	struct slab *slab;
	struct pipe_cache *pipes;
	struct worker_counts *counts;
	uint64_t now_us;
};

enum relay_result {
	RELAY_WAITS,       /* for the next event on either socket */
	RELAY_AGAIN,       /* the byte budget of this event is spent; more is there */
	RELAY_DONE,        /* FIN passed on, or it had been before */
	RELAY_FROM_FAILED, /* from->error is set, and all it sent before was taken over */
	RELAY_TO_FAILED,   /* to->error is set */
};

/* Move what can be moved now. Never blocks; call again on the next edge or turn. */
enum relay_result relay_run(struct relay *relay, struct leg *from, struct leg *to,
			    enum relay_mode mode, const struct relay_kit *kit);

/* Send bytes of our own (at most SLAB_CHUNK_MAX) ahead of everything that is relayed; what is not
 * taken at once is the first of the rest. `more`: relay_run() follows, with bytes for the same
 * segment. A socket that fails is noted in to->error. 0, or -ENOMEM at the `buffers` cap. */
int relay_precede(struct relay *relay, struct leg *to, const void *bytes, size_t len, bool more,
		  const struct relay_kit *kit);

/* Whether bytes are on their way through this process. */
bool relay_is_holding(const struct relay *relay);

/* Whether relay_run() could do anything now. */
bool relay_has_work(const struct relay *relay, const struct leg *from);

/* Give back the chunk and the pipe with whatever is in them. */
void relay_drop(struct relay *relay, const struct relay_kit *kit);
