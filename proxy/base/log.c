/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the operational log: its level, its bounded queue and the thread that empties it.
 *
 * The happy path is: log_event() formats a whole line on the caller's stack, copies it under a
 * mutex that is only ever held for a copy, and the thread writes it with one write(2), so that
 * lines of several processes on one stderr never mix.
 *
 * Failure modes: nobody reads stderr, then the thread waits, the queue fills, and further lines are
 * dropped, counted, and owned up to once the reader is back; stderr is closed, then lines go
 * nowhere; log_stop() runs out of time, then what is left is dropped, and since stderr is known to
 * be stuck, later lines are written only if that cannot block.
 */
#include "proxy/base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/thread.h"
#include "proxy/base/timestamp.h"

/* A line must fit PIPE_BUF, both to be written atomically and so that POLLOUT on a pipe promises
 * that writing it will not block (pipe(7)). */
#define LINE_MAX_BYTES 1024
#define QUEUE_LINES    256
#define STALL_POLL_MS  50 /* how often a writer that cannot write looks whether to stop */
#define JOIN_GRACE_MS  (2 * STALL_POLL_MS)

struct line {
	uint32_t len;
	char text[LINE_MAX_BYTES];
};

const char *const log_level_names[LOG_LEVELS] = {"error", "warn", "info", "debug"};

static _Atomic int current_level = LOG_INFO;
static _Atomic uint64_t dropped_lines;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct thread thread;
	struct line lines[QUEUE_LINES];
	uint32_t first;
	uint32_t count;
	bool running;            /* lines go to the queue */
	_Atomic bool stuck;      /* a stop gave up: stderr is not to be trusted */
	bool abandoned;          /* and its thread never came back */
	uint64_t dropped_before; /* until log_start() */
	_Atomic uint64_t until;  /* clock_us() at which to give up; 0: not stopping */
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

void log_set_level(enum log_level level)
{
	current_level = level;
}

void log_set_level_name(const char *name)
{
	for (int level = 0; level < LOG_LEVELS; level++)
		if (!strcmp(log_level_names[level], name))
			log_set_level((enum log_level)level);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= current_level;
}

uint64_t log_dropped(void)
{
	return dropped_lines;
}

/* Values may hold anything a peer or a file contained; a line break would forge an event, an
 * escape sequence would drive the operator's terminal. */
static void make_harmless(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
}

static size_t clamp(int printed, size_t room)
{
	if (printed < 0)
		return 0;
	return (size_t)printed < room ? (size_t)printed : room - 1;
}

static void __attribute__((format(printf, 2, 3))) append(struct line *line, const char *format, ...)
{
	size_t room = sizeof(line->text) - line->len;
	va_list args;

	va_start(args, format);
	line->len += clamp(vsnprintf(line->text + line->len, room, format, args), room);
	va_end(args);
}

static void begin(struct line *line, enum log_level level, const char *event)
{
	char time[TIMESTAMP_TEXT];

	line->len = 0;
	append(line, "%s %s %s", timestamp_format(clock_wall_us(), time), log_level_names[level],
	       event);
}

static void __attribute__((format(printf, 2, 0)))
append_values(struct line *line, const char *format, va_list args)
{
	size_t room;

	if (!*format)
		return;
	append(line, " ");
	room = sizeof(line->text) - line->len;
	line->len += clamp(vsnprintf(line->text + line->len, room, format, args), room);
}

static void finish(struct line *line)
{
	make_harmless(line->text, line->len);
	if (line->len == sizeof(line->text) - 1)
		memcpy(line->text + line->len - 3, "...", 3);
	line->text[line->len++] = '\n';
}

/* Gives up, with `stuck` set, when stderr takes nothing until log_stop()'s time is up. */
static void write_line(const struct line *line)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	for (;;) {
		int ready = poll(&out, 1, STALL_POLL_MS);

		if (ready > 0 && write(STDERR_FILENO, line->text, line->len) >= 0)
			return;
		if (ready > 0 && errno != EAGAIN && errno != EINTR)
			return; /* stderr is gone; there is nowhere to say so */
		if (queue.until && clock_us() >= queue.until) {
			dropped_lines++;
			queue.stuck = true;
			return;
		}
	}
}

static void write_directly(const struct line *line, bool may_block)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (!may_block && poll(&out, 1, 0) != 1)
		dropped_lines++;
	else if (write(STDERR_FILENO, line->text, line->len) < 0)
		dropped_lines++;
}

static void push(const struct line *line)
{
	struct line *slot;

	if (queue.count == QUEUE_LINES) {
		dropped_lines++;
		return;
	}
	slot = &queue.lines[(queue.first + queue.count++) % QUEUE_LINES];
	slot->len = line->len;
	memcpy(slot->text, line->text, line->len);
	pthread_cond_signal(&queue.filled);
}

static void emit(struct line *line)
{
	bool queued, stuck;

	finish(line);
	pthread_mutex_lock(&queue.lock);
	queued = queue.running;
	stuck = queue.stuck;
	if (queued)
		push(line);
	pthread_mutex_unlock(&queue.lock);
	if (!queued)
		write_directly(line, !stuck);
}

/* Waits for a line; false when the log is stopping and the queue is empty. */
static bool pop(struct line *ret_line)
{
	bool found;

	pthread_mutex_lock(&queue.lock);
	while (!queue.count && queue.running)
		pthread_cond_wait(&queue.filled, &queue.lock);
	found = queue.count;
	if (found) {
		const struct line *slot = &queue.lines[queue.first];

		ret_line->len = slot->len;
		memcpy(ret_line->text, slot->text, slot->len);
		queue.first = (queue.first + 1) % QUEUE_LINES;
		queue.count--;
	}
	pthread_mutex_unlock(&queue.lock);
	return found;
}

static void (*thread_hook)(void);

void log_on_thread_start(void (*hook)(void))
{
	thread_hook = hook;
}

static void write_queue(void *arg)
{
	uint64_t confessed = *(const uint64_t *)arg;
	struct line line;

	if (thread_hook)
		thread_hook();
	while (!queue.stuck && pop(&line)) {
		uint64_t dropped;

		write_line(&line);
		dropped = dropped_lines;
		if (dropped == confessed || queue.stuck)
			continue;
		begin(&line, LOG_WARN, "log_lines_dropped");
		append(&line, " count=%llu", (unsigned long long)(dropped - confessed));
		finish(&line);
		write_line(&line);
		confessed = dropped;
	}
}

int log_start(void)
{
	int r = 0;

	pthread_mutex_lock(&queue.lock);
	if (queue.running || queue.abandoned)
		r = -EBUSY;
	else
		queue.running = true;
	pthread_mutex_unlock(&queue.lock);
	if (r)
		return r;

	queue.until = 0;
	queue.dropped_before = dropped_lines;
	queue.stuck = false;
	r = thread_start(&queue.thread, "log", write_queue, &queue.dropped_before);
	if (r) {
		pthread_mutex_lock(&queue.lock);
		queue.running = false;
		pthread_mutex_unlock(&queue.lock);
	}
	return r;
}

void log_stop(unsigned timeout_ms)
{
	bool ended;

	pthread_mutex_lock(&queue.lock);
	if (!queue.running) {
		pthread_mutex_unlock(&queue.lock);
		return;
	}
	queue.until = clock_us() + timeout_ms * US_PER_MS;
	queue.running = false;
	pthread_cond_signal(&queue.filled);
	pthread_mutex_unlock(&queue.lock);

	ended = thread_join_within(&queue.thread, timeout_ms + JOIN_GRACE_MS);
	pthread_mutex_lock(&queue.lock);
	queue.abandoned = !ended;
	if (!ended)
		queue.stuck = true;
	dropped_lines += queue.count;
	queue.count = 0;
	pthread_mutex_unlock(&queue.lock);
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
	struct line line;
	va_list args;

	if (!log_enabled(level))
		return;
	begin(&line, level, event);
	va_start(args, format);
	append_values(&line, format, args);
	va_end(args);
	emit(&line);
}

/* One caller per second wins the exchange; whoever loses has been spoken for. */
static bool limit_allows(struct log_limit *limit)
{
	uint64_t now_us = clock_us();
	uint64_t next_us = atomic_load_explicit(&limit->next_us, memory_order_relaxed);

	if (now_us >= next_us &&
	    atomic_compare_exchange_strong(&limit->next_us, &next_us, now_us + US_PER_SEC))
		return true;
	atomic_fetch_add_explicit(&limit->suppressed, 1, memory_order_relaxed);
	return false;
}

void log_limited(struct log_limit *limit, enum log_level level, const char *event,
		 const char *format, ...)
{
	struct line line;
	uint64_t suppressed;
	va_list args;

	if (!log_enabled(level) || !limit_allows(limit))
		return;
	suppressed = atomic_exchange_explicit(&limit->suppressed, 0, memory_order_relaxed);
	begin(&line, level, event);
	if (suppressed)
		append(&line, " suppressed=%llu", (unsigned long long)suppressed);
	va_start(args, format);
	append_values(&line, format, args);
	va_end(args);
	emit(&line);
}
