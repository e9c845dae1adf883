/* SPDX-License-Identifier: Apache-2.0
 *
 * A program's own HTTP API: its doors, and who comes through them. HTTP itself is libmicrohttpd's,
 * driven by the loop of whoever has the lobby instead of a thread of its own, so that a seccomp
 * filter is there before the first byte of a stranger.
 *
 *   door -> visitor -> lobby.route() -> body -> lobby.submit() -> answer
 *                                                    |
 *                                                    +-> later, visitor_answered() -> answer
 *
 * Everything here is of one thread, that of the loop.
 */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/http/request.h"
#include "proxy/base/loop.h"

#define DOOR_BODY_MAX (4u << 20)
#define DOOR_BODIES   (32u << 20) /* of all requests that are being read */
#define DOOR_HEADERS  64          /* of one request */
#define DOOR_MEMORY   (32u << 10) /* for request line and headers of one connection */
#define DOOR_VISITORS 128         /* connections of one door ... */
#define DOOR_PER_HOST 64          /* ... and of one address to it */

#define DOOR_HEAD_MS 10000 /* until a request's headers are there, idle time before it too */
#define DOOR_IDLE_MS 60000 /* the same, between two requests */
#define DOOR_BODY_MS 30000
#define DOOR_SEND_MS 60000

enum door_kind {
	DOOR_SOCKET, /* a Unix socket: who comes by it may change things */
	DOOR_HTTP,   /* an address: may read, and must mean us */
	DOOR_PROBE,  /* connections are brought to it by door_bring(): may read */
	DOORS
};

struct door;

/* What the doors of one API have in common. Set before a door is opened: `loop` and the calls. */
struct lobby {
	struct loop *loop;
	struct list visitors; /* struct visitor::link */
	size_t body_bytes;
	_Atomic bool leaving; /* every answer ends its connection; any thread may set it */

	/* The headers are there: find the request's way, or answer. */
	void (*route)(struct door *door, struct request *request);

	/* The request is whole. 0: it is answered. Else it is the callee's until it comes back by
	 * visitor_answered(), and the visitor waits so many milliseconds for that. */
	uint64_t (*submit)(struct door *door, struct request *request);
};

/* An address and those who came by it. */
struct door {
	enum door_kind kind;
	int fd; /* bound and listening; -1: there is none, or it is closed */
	struct lobby *lobby;
	struct MHD_Daemon *daemon; /* NULL: not open */
	struct loop_source source; /* the daemon's epoll fd */
	struct loop_task again;    /* the daemon wants to be run once more at once */
};

void lobby_init(struct lobby *lobby, struct loop *loop);

/* Whether somebody is being answered. */
bool lobby_is_busy(const struct lobby *lobby);

/* Those who wait for an answer are told that there will be none. */
void lobby_give_up(struct lobby *lobby);

/* Libraries open files when they are used first, which a sandbox may forbid by then. */
void lobby_prepare_libraries(void);

void door_init(struct door *door, enum door_kind kind, struct lobby *lobby);

/* Let people in, by `fd` unless it is a DOOR_PROBE. 0 or -errno. */
int door_open(struct door *door);

/* Somebody who was accepted elsewhere; the descriptor is the door's, whatever comes of it. */
void door_bring(struct door *door, int fd, const struct sockaddr *peer, socklen_t len);

/* Do what is due; the loop does so by itself. */
void door_run(struct door *door);

/* Nobody new; those who are in, or wait to be let in, are served. Not of a DOOR_PROBE. */
void door_quiesce(struct door *door);

/* Open connections end with it; none of its visitors may wait for an answer any more
 * (lobby_give_up()). So does the listening socket, unless it was given back before. */
void door_close(struct door *door);

/* --- visitor.c: one connection, one request at a time --- */

struct visitor {
	struct list link; /* struct lobby::visitors */
	struct door *door;
	struct MHD_Connection *connection;
	struct timer timer;
	struct request *request; /* being read, or answered, or away at the desk */
	char *body;
	size_t body_size;
	size_t body_capacity;
	int fd;
	uid_t uid;
	pid_t pid;
	bool away;   /* suspended while the desk has the request */
	bool late;   /* the desk took too long */
	bool served; /* it has had an answer */
};

enum MHD_Result visitor_handle(void *door, struct MHD_Connection *connection, const char *url,
			       const char *method, const char *version, const char *upload,
			       size_t *upload_size, void **marker);
void visitor_notify(void *door, struct MHD_Connection *connection, void **context,
		    enum MHD_ConnectionNotificationCode code);
void visitor_completed(void *door, struct MHD_Connection *connection, void **marker,
		       enum MHD_RequestTerminationCode code);

/* It is answered; takes the request over. */
void visitor_answered(struct request *request);

/* There will be no answer: say so. */
void visitor_give_up(struct visitor *visitor);
