/* SPDX-License-Identifier: Apache-2.0
 *
 * The operational log: one event a line on stderr, `TIME LEVEL EVENT key=value ...`. It is not the
 * flow log (proxy/flowlog.h).
 *
 * Happy path: a caller formats into its own stack, the line goes to stderr directly until
 * log_start() was called, and from then on through a bounded queue to the log's own thread, so a
 * worker never blocks on a stalled reader. When the queue is full the line is dropped and counted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_LEVELS };

extern const char *const log_level_names[LOG_LEVELS];

void log_set_level(enum log_level level);
void log_set_level_name(const char *name); /* one of log_level_names; else nothing changes */
bool log_enabled(enum log_level level);

/* Called first on the log's own thread, to give up privileges there; set before log_start(). */
void log_on_thread_start(void (*hook)(void));

/* Write through the log's own thread from now on. 0 or -errno. */
int log_start(void);

/* Flush for at most `timeout_ms`, end the thread; later lines are written directly again. */
void log_stop(unsigned timeout_ms);

/* Lines lost since start because the queue was full. */
uint64_t log_dropped(void);

/* `event` is one snake_case word; `format` continues the line and gives key=value pairs. */
void log_event(enum log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* At most one line per second and call site, for whatever a client can provoke. The line that
 * follows a silence says how many were suppressed. `limit` is static storage of the call site. */
struct log_limit {
	_Atomic uint64_t next_us;
	_Atomic uint64_t suppressed;
};

void log_limited(struct log_limit *limit, enum log_level level, const char *event,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));
