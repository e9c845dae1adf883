/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the flow log's writer thread and its descriptor. The happy path is: the thread goes over the
 * rings, formats every record into one batch of many lines, writes the batch, and sleeps on the
 * bell for 100 ms when a whole pass found nothing.
 *
 * Failure modes: the reader stalls (a full pipe, a stopped terminal), then the thread waits for it
 * in steps, so that a stop or a switch still gets through, while the rings fill and drop; the
 * reader is gone (EPIPE) or the disk is full, then the batch is lost, counted and owned up to in
 * the operational log, and the next line begins on a fresh one; a reader that stalled is switched
 * away from, then the line it got half of is written again, whole, to the new one.
 */
#include "proxy/flowlog.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/panic.h"
#include "proxy/base/sandbox.h"
#include "proxy/base/thread.h"
#include "proxy/flowring.h"

#define BATCH_BYTES     (64 * 1024)
#define EXTRA_BYTES_MAX (1024 * 1024) /* of lines waiting from flowlog_line() */
#define IDLE_MS         100
#define STALL_POLL_MS   50
#define JOIN_GRACE_MS   (2 * STALL_POLL_MS)
#define PASS_RECORDS    4096 /* of one ring, before the next has its turn */

/* A line from flowlog_line(). */
struct extra {
	struct extra *next;
	size_t len;
	char text[];
};

struct output {
	int fd; /* -1: nowhere */
	enum flow_format format;
	size_t write_max; /* after POLLOUT, this much can be written without blocking */
	bool torn;        /* ends in part of a line */
};

struct flowlog {
	struct thread thread;
	struct flow_bell bell;
	struct flow_ring **rings;
	unsigned ring_count;
	_Atomic uint64_t until; /* clock_us() at which to give up; 0: not stopping */
	_Atomic uint64_t lost;  /* lines */

	pthread_mutex_t lock; /* for what callers leave to the writer */
	_Atomic bool switching;
	struct output next; /* if switching */
	struct extra *extras;
	struct extra **extras_end;
	size_t extra_bytes;

	struct output out; /* the writer's; the lock is held to change it */
	size_t len;
	char batch[BATCH_BYTES];
};

static bool is_over(const struct flowlog *log)
{
	uint64_t until = log->until;

	return until && clock_us() >= until;
}

/* A blocking pipe or terminal takes one page without blocking once it polls writable, and setting
 * O_NONBLOCK would change it for every process that has it open (fcntl(2)). */
static size_t safe_write_size(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && flags & O_NONBLOCK)
		return BATCH_BYTES;
	return !fstat(fd, &st) && S_ISREG(st.st_mode) ? BATCH_BYTES : PIPE_BUF;
}

static struct output output_of(enum flow_format format, int fd)
{
	return (struct output){.fd = fd, .format = format, .write_max = safe_write_size(fd)};
}

static void output_close(const struct output *out)
{
	if (out->fd >= 0 && out->fd != STDOUT_FILENO)
		close(out->fd);
}

static void take_switch(struct flowlog *log)
{
	struct output before = log->out;

	if (!log->switching)
		return;
	pthread_mutex_lock(&log->lock);
	log->out = log->next;
	log->switching = false;
	if (before.fd == log->out.fd)
		log->out.torn = before.torn;
	pthread_mutex_unlock(&log->lock);
	if (before.fd != log->out.fd)
		output_close(&before);
}

/* How many bytes were written, 0 if none can be right now, or -errno. */
static ssize_t write_some(const struct output *out, const char *data, size_t len)
{
	struct pollfd writable = {.fd = out->fd, .events = POLLOUT};
	ssize_t n;

	if (out->fd < 0)
		return len;
	if (poll(&writable, 1, STALL_POLL_MS) <= 0)
		return 0;
	n = write(out->fd, data, len < out->write_max ? len : out->write_max);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static void lose(struct flowlog *log, const char *data, size_t len, int error)
{
	static struct log_limit limit;
	uint64_t lines = 0;

	for (size_t i = 0; i < len; i++)
		lines += data[i] == '\n';
	log->lost += lines;
	log_limited(&limit, LOG_WARN, "flow_log_lost", "error=%s lines=%llu",
		    strerrorname_np(error), (unsigned long long)lines);
}

static size_t line_start(const char *data, size_t at)
{
	while (at && data[at - 1] != '\n')
		at--;
	return at;
}

/* Lines, whole. What cannot be written is lost, not kept: the next are as good. */
static void write_lines(struct flowlog *log, const char *data, size_t len)
{
	size_t sent = 0;

	while (sent < len) {
		ssize_t n = log->out.torn ? write_some(&log->out, "\n", 1)
					  : write_some(&log->out, data + sent, len - sent);

		if (n > 0 && log->out.torn) {
			log->out.torn = false;
		} else if (n > 0) {
			sent += n;
		} else if (n == 0 && log->switching) {
			sent = line_start(data, sent);
			take_switch(log);
		} else if (n < 0 || is_over(log)) {
			lose(log, data + sent, len - sent, n < 0 ? -n : ETIMEDOUT);
			log->out.torn |= sent && data[sent - 1] != '\n';
			return;
		}
	}
}

static void flush(struct flowlog *log)
{
	write_lines(log, log->batch, log->len);
	log->len = 0;
}

static void append(struct flowlog *log, const struct flow_record *record)
{
	char *end = log->batch + log->len;

	if (log->out.format == FLOW_JSON)
		log->len += flow_format_json(record, end, FLOW_LINE_MAX);
	else if (log->out.format == FLOW_TEXT)
		log->len += flow_format_text(record, end, FLOW_LINE_MAX);
}

/* The rings may be gone once the time for stopping is up, which can pass in any flush(). */
static bool take_records(struct flowlog *log, struct flow_ring *ring)
{
	const struct flow_record *record;
	unsigned taken = 0;

	while (taken < PASS_RECORDS && !is_over(log) && (record = flow_ring_front(ring))) {
		append(log, record);
		flow_ring_pop(ring);
		taken++;
		if (BATCH_BYTES - log->len < FLOW_LINE_MAX)
			flush(log);
	}
	return taken;
}

static bool take_extras(struct flowlog *log)
{
	struct extra *extra, *next;

	pthread_mutex_lock(&log->lock);
	extra = log->extras;
	log->extras = NULL;
	log->extras_end = &log->extras;
	log->extra_bytes = 0;
	pthread_mutex_unlock(&log->lock);
	if (!extra)
		return false;
	for (; extra; extra = next) {
		next = extra->next;
		write_lines(log, extra->text, extra->len);
		free(extra);
	}
	return true;
}

/* False when there was nothing to do. */
static bool make_pass(struct flowlog *log)
{
	bool found = false;

	take_switch(log);
	for (unsigned i = 0; i < log->ring_count; i++)
		found |= take_records(log, log->rings[i]);
	flush(log);
	found |= take_extras(log);
	return found;
}

static void write_flows(void *arg)
{
	struct flowlog *log = arg;
	bool stopping, found;

	sandbox_enter(SANDBOX_WRITER); /* where it cannot be had, main has said so */
	do {
		uint32_t rings = atomic_load_explicit(&log->bell.rings, memory_order_acquire);

		stopping = log->until; /* before the pass: it sees all that was pushed by then */
		found = make_pass(log);
		if (!found && !stopping)
			flow_bell_wait(&log->bell, rings, IDLE_MS);
	} while ((found || !stopping) && !is_over(log));
}

static void flowlog_free(struct flowlog *log)
{
	struct extra *next;

	for (struct extra *extra = log->extras; extra; extra = next) {
		next = extra->next;
		free(extra);
	}
	pthread_mutex_destroy(&log->lock);
	free(log->rings);
	free(log);
}

int flowlog_start(struct flow_ring *const *rings, unsigned count, enum flow_format format, int fd,
		  struct flowlog **ret_log)
{
	struct flowlog *log = calloc(1, sizeof(*log));
	int r = -ENOMEM;

	if (!log)
		return r;
	must(!pthread_mutex_init(&log->lock, NULL));
	log->extras_end = &log->extras;
	log->out = output_of(format, fd);
	log->rings = calloc(count + 1, sizeof(struct flow_ring *));
	if (!log->rings)
		goto fail;
	log->ring_count = count;
	for (unsigned i = 0; i < count; i++)
		log->rings[i] = rings[i];
	r = thread_start(&log->thread, "flowlog", write_flows, log);
	if (r)
		goto fail;
	for (unsigned i = 0; i < count; i++)
		flow_ring_set_bell(rings[i], &log->bell);
	*ret_log = log;
	return 0;
fail:
	flowlog_free(log);
	return r;
}

void flowlog_switch(struct flowlog *log, enum flow_format format, int fd)
{
	pthread_mutex_lock(&log->lock);
	if (log->switching && log->next.fd != fd && log->next.fd != log->out.fd)
		output_close(&log->next);
	log->next = output_of(format, fd);
	log->switching = true;
	pthread_mutex_unlock(&log->lock);
	flow_bell_ring(&log->bell);
}

bool flowlog_line(struct flowlog *log, const char *line)
{
	size_t len = strlen(line);
	struct extra *extra = malloc(sizeof(*extra) + len + 1);
	bool fits;

	if (!extra)
		return false;
	memcpy(extra->text, line, len);
	extra->text[len] = '\n';
	extra->len = len + 1;
	extra->next = NULL;

	pthread_mutex_lock(&log->lock);
	fits = extra->len <= EXTRA_BYTES_MAX - log->extra_bytes;
	if (fits) {
		*log->extras_end = extra;
		log->extras_end = &extra->next;
		log->extra_bytes += extra->len;
	}
	pthread_mutex_unlock(&log->lock);
	if (fits)
		flow_bell_ring(&log->bell);
	else
		free(extra);
	return fits;
}

static uint64_t records_left(const struct flowlog *log)
{
	uint64_t left = 0;

	for (unsigned i = 0; i < log->ring_count; i++)
		left += flow_ring_length(log->rings[i]);
	return left;
}

uint64_t flowlog_stop(struct flowlog *log, unsigned timeout_ms)
{
	uint64_t lost = log->lost;
	bool ended;

	for (unsigned i = 0; i < log->ring_count; i++)
		flow_ring_set_bell(log->rings[i], NULL);
	log->until = clock_us() + timeout_ms * US_PER_MS;
	flow_bell_ring(&log->bell);
	ended = thread_join_within(&log->thread, timeout_ms + JOIN_GRACE_MS);
	lost = log->lost - lost + records_left(log);
	if (!ended)
		return lost; /* `log` is left to the thread, which is stuck in write(2) */
	output_close(&log->out);
	if (log->switching && log->next.fd != log->out.fd)
		output_close(&log->next);
	flowlog_free(log);
	return lost;
}
