/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of control/serve/ share. Everyone else includes control/serve.h.
 */
#pragma once

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "control/serve.h"
#include "proxy/base/loop.h"

#define SERVE_SEGMENTS 6
#define SERVE_BODY_MAX 4096

enum serve_door_kind { SERVE_SOCKET, SERVE_HTTP, SERVE_DOORS };

struct serve_door {
	struct serve *serve;
	enum serve_door_kind kind;
	int fd;                    /* bound; -1: none, or the library's by now */
	struct MHD_Daemon *daemon; /* NULL: not started */
	struct loop_source source; /* the library's epoll fd */
	struct loop_task again;    /* it wants to be run once more at once */
	struct timer timer;        /* or later */
};

struct serve {
	struct serve_conf conf; /* its texts are ours */
	struct serve_door doors[SERVE_DOORS];
	bool published; /* the socket's path is ours to remove */
	dev_t dev;
	ino_t ino;
	uint64_t started_wall_us;
};

/* One request, from its headers to its answer. */
struct exchange {
	const struct serve_door *door;
	struct MHD_Connection *connection;
	char *url; /* decoded; what the segments point into */
	const char *segments[SERVE_SEGMENTS];
	size_t count;
	bool post; /* else GET or HEAD */
	char body[SERVE_BODY_MAX];
	size_t body_size;

	/* The answer. */
	unsigned status; /* of HTTP; 0: there is none yet */
	json_t *answer;
	char *text; /* instead of `answer`: /metrics */
};

/* Answer; takes `answer` over, NULL becomes 500 for want of memory. */
void exchange_reply(struct exchange *exchange, unsigned status, json_t *answer);
void exchange_refuse(struct exchange *exchange, unsigned status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* For MHD_start_daemon(). */
enum MHD_Result exchange_handle(void *door, struct MHD_Connection *connection, const char *url,
				const char *method, const char *version, const char *upload,
				size_t *upload_size, void **marker);
void exchange_completed(void *door, struct MHD_Connection *connection, void **marker,
			enum MHD_RequestTerminationCode code);

/* "uid 0, pid 17", of who is connected to the socket; `buf` has 64 bytes. */
const char *exchange_who(const struct exchange *exchange, char *buf);

/* Find the way and answer. */
void route(struct exchange *exchange);

/* Prometheus' text form, the caller's to free; NULL without memory. */
char *metrics_text(const struct serve *serve);

/* NULL without memory. */
json_t *describe_discovery(const struct serve *serve);

/* Whether every feed has a set and the proxy has it; if not, `buf` says which has not. */
bool describe_is_ready(const struct serve *serve, char *buf, size_t size);
