/* SPDX-License-Identifier: Apache-2.0
 *
 * Admin's own thread: its loop, its doors, and who comes through them. HTTP itself is
 * libmicrohttpd's, driven by our loop instead of a thread of its own, so that the thread has its
 * seccomp filter before the first byte of a stranger.
 */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/admin/request.h"
#include "proxy/admin/watch.h"
#include "proxy/base/loop.h"
#include "proxy/base/thread.h"

#define TRANSPORT_BODY_MAX (4u << 20)
#define TRANSPORT_BODIES   (32u << 20) /* of all requests that are being read */
#define TRANSPORT_HEADERS  64          /* of one request */
#define TRANSPORT_MEMORY   (32u << 10) /* for request line and headers of one connection */
#define TRANSPORT_VISITORS 128         /* connections of one door ... */
#define TRANSPORT_PER_HOST 64          /* ... and of one address to it */

#define TRANSPORT_HEAD_MS   10000 /* until a request's headers are there, idle time before it too */
#define TRANSPORT_IDLE_MS   60000 /* the same, between two requests */
#define TRANSPORT_BODY_MS   30000
#define TRANSPORT_SEND_MS   60000
#define TRANSPORT_PREFIX_MS 5000  /* for a PROXY header */
#define TRANSPORT_MAIN_MS   20000 /* for main's answer */
#define TRANSPORT_SLOW_MS   60000 /* the same, of what is slow */
#define TRANSPORT_READY_MS  2000  /* the same, of /readyz */
#define TRANSPORT_POLL_MS   50    /* how exactly a long poll ends */

enum door_kind { DOOR_SOCKET, DOOR_HTTP, DOOR_PROBE, DOORS };

struct transport;

/* An address and those who came by it. */
struct door {
	enum door_kind kind;
	int fd; /* bound; -1: there is none, or it is closed */
	struct transport *transport;
	struct MHD_Daemon *daemon;  /* NULL: not started */
	struct loop_source source;  /* the daemon's epoll fd */
	struct loop_source callers; /* DOOR_PROBE: the listening socket */
	unsigned waiting;           /* DOOR_PROBE: callers whose header is not read yet */
};

struct transport {
	struct loop loop;
	struct door doors[DOORS];
	struct request_queue *inbox; /* to main */
	struct request_queue done;   /* from main */
	struct loop_source done_source;
	struct loop_task again; /* the library wants to be run once more at once */
	struct timer tick;
	struct timer poll_tick; /* while there are long polls */
	struct watch *watch;
	struct list visitors; /* struct visitor::link */
	struct list callers;  /* struct caller::link */
	size_t body_bytes;
	bool stuck; /* as last said in the log */
	bool yielded;
	_Atomic bool yielding;
	_Atomic bool stopping;
	struct thread thread;
};

/* `doors[].fd` are bound and listen. 0 or -errno. */
int transport_start(struct transport *transport);
void transport_stop(struct transport *transport);

/* --- visitor.c: one connection, one request at a time --- */

struct visitor {
	struct list link; /* struct transport::visitors */
	struct door *door;
	struct MHD_Connection *connection;
	struct timer timer;
	struct admin_request *request; /* being read, or answered, or away at main */
	char *body;
	size_t body_size;
	size_t body_capacity;
	int fd;
	uid_t uid;
	pid_t pid;
	bool away;   /* suspended while main has the request */
	bool late;   /* main took too long */
	bool served; /* it has had an answer */
};

enum MHD_Result visitor_handle(void *door, struct MHD_Connection *connection, const char *url,
			       const char *method, const char *version, const char *upload,
			       size_t *upload_size, void **marker);
void visitor_notify(void *door, struct MHD_Connection *connection, void **context,
		    enum MHD_ConnectionNotificationCode code);
void visitor_completed(void *door, struct MHD_Connection *connection, void **marker,
		       enum MHD_RequestTerminationCode code);

/* Main has answered; takes the request over. */
void visitor_answered(struct admin_request *request);

/* Main will not answer: say so. */
void visitor_give_up(struct visitor *visitor);

/* --- probe.c: callers with or without a PROXY header --- */

void probe_accept(struct loop_source *source, uint32_t events);
void probe_close(struct transport *transport);
