/* SPDX-License-Identifier: Apache-2.0
 *
 * The flow log: one line per finished session. A worker copies a plain record into its own bounded
 * single-producer ring; one writer thread formats and writes. Nothing here ever blocks a worker: a
 * full ring drops the record and counts it, and a stalled reader of the log stalls only the writer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/model.h"
#include "proxy/reason.h"

/* Of one leg, read at its end from TCP_INFO (tcp(7)); all 0 for a Unix socket. */
struct flow_leg {
	struct addr local;
	struct addr peer;
	uint32_t rtt_us;
	uint32_t retransmits;   /* segments */
	uint64_t delivery_rate; /* bytes per second */
};

/* Times are microseconds; 0 in an offset means it never happened. Fixed-size text is NUL-ended. */
struct flow_record {
	uint64_t accepted_wall_us; /* since the epoch */
	uint32_t connect_us;       /* from accept to the backend's handshake done */
	uint32_t client_first_us;  /* from accept to the first byte from the client */
	uint32_t backend_first_us; /* from accept to the first byte from the backend */
	uint64_t duration_us;      /* from accept to the end */
	uint64_t client_bytes;     /* client to backend */
	uint64_t backend_bytes;    /* backend to client */
	uint64_t spliced_bytes;    /* of both */
	uint64_t offloaded_bytes;  /* of both, which the kernel carried by itself */
	struct flow_leg client;
	struct flow_leg backend;
	struct addr proxy_source; /* the client, as its PROXY header said; family 0: it did not */
	struct addr proxy_destination;
	uint64_t id; /* unique in this process */
	uint32_t worker;
	enum reason reason;
	uint8_t retries;
	bool joined; /* it carried them between sockets of ours (sockmap) */
	char listener[32];
	char pool[32];
	char target[64];
	char vpce[64]; /* AWS VPC endpoint id, of the header too; "": none */
};

struct flow_ring;
struct flowlog;

/* A ring of `capacity` records (a power of two). NULL without memory. */
struct flow_ring *flow_ring_new(uint32_t capacity);
void flow_ring_free(struct flow_ring *ring);

/* Worker side: false when the ring is full (the caller counts). Wakes the writer (a futex: it needs
 * no descriptor in the worker's own table) only when half full; otherwise the writer looks by
 * itself ten times a second. Paths of Unix sockets are not kept: they may not outlive the record.
 */
bool flow_ring_push(struct flow_ring *ring, const struct flow_record *record);

/* Start the writer over `count` rings. `fd` is an open, blocking-or-not descriptor that the writer
 * owns from now on (never closed if it is STDOUT_FILENO). 0 or -errno. */
int flowlog_start(struct flow_ring *const *rings, unsigned count, enum flow_format format, int fd,
		  struct flowlog **ret_log);

/* Hand over a reopened file (SIGUSR1) or a new format (reload); the old fd is closed by the writer
 * after what it had begun. */
void flowlog_switch(struct flowlog *log, enum flow_format format, int fd);

/* One extra line, e.g. the counters as JSON; copied. False when there is no room. */
bool flowlog_line(struct flowlog *log, const char *line);

/* Write what is queued for at most `timeout_ms`, then end the thread and free `log`; the rings may
 * be freed afterwards. No worker pushes any more. Returns how many records were lost in doing so.
 */
uint64_t flowlog_stop(struct flowlog *log, unsigned timeout_ms);

/* Format one record as a line with its newline. Returns the length, never more than `size`. */
int flow_format_text(const struct flow_record *record, char *buf, int size);
int flow_format_json(const struct flow_record *record, char *buf, int size);
#define FLOW_LINE_MAX 3072
