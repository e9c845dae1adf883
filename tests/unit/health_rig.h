/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of health checks share: settings, answers given to a probe byte by byte, and a
 * clock that jumps to the next timer instead of waiting for it.
 *
 * A test that links with --wrap=clock_gettime,--wrap=epoll_wait and defines RIG_CLOCK has that
 * clock. epoll_wait(2) then waits for real events, as long as they need, until the test says that
 * there will be none (rig_jump): then it adds its timeout to the time and returns at once.
 */
#pragma once

#include <sys/epoll.h>
#include <sys/un.h>
#include <time.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/health/probe.h"
#include "tests/unit/core_rig.h"

static inline struct health_conf health_conf_of(enum health_kind kind)
{
	return (struct health_conf){.kind = kind,
				    .interval_ms = 2000,
				    .fast_interval_ms = 500,
				    .timeout_ms = 1000,
				    .rise = 2,
				    .fall = 3,
				    .status_low = 200,
				    .status_high = 399};
}

static inline struct bytes_conf bytes_of(const char *text)
{
	return (struct bytes_conf){.data = (uint8_t *)(uintptr_t)text, .size = strlen(text)};
}

/* Give an answer in pieces of `piece` bytes; the outcome at the end, or the first that is none of
 * MORE. `*ret_used` is after how many bytes, unless it is NULL. */
static inline enum probe_outcome judge_in_pieces(const struct probe *probe,
						 const struct health_conf *conf, const void *bytes,
						 size_t size, size_t piece, char *ret_text,
						 size_t *ret_used)
{
	enum probe_outcome outcome = PROBE_MORE;
	size_t given = 0;

	while (outcome == PROBE_MORE && given < size) {
		size_t fresh = size - given < piece ? size - given : piece;
		uint8_t *copy = malloc(given + fresh); /* no byte more: sanitizers see it */
		struct probe_answer answer = {copy, given + fresh, fresh};

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, bytes, given + fresh);
		outcome = probe->judge(conf, &answer, ret_text);
		given += fresh;
		free(copy);
	}
	if (ret_used)
		*ret_used = given;
	return outcome;
}

/* The same outcome and text whether it comes at once or byte by byte. */
static inline void expect_judged(const struct probe *probe, const struct health_conf *conf,
				 const void *bytes, size_t size, enum probe_outcome outcome,
				 const char *text)
{
	for (size_t piece = 1; piece <= size; piece += piece == 1 && size > 1 ? size - 1 : 1) {
		char said[PROBE_TEXT] = "";

		ck_assert_int_eq(judge_in_pieces(probe, conf, bytes, size, piece, said, NULL),
				 outcome);
		ck_assert_str_eq(said, text);
	}
}

#ifdef RIG_CLOCK
int __real_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret_now);

static uint64_t rig_now_ms = 1000000;
static bool rig_jump;

int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	int count = __real_epoll_wait(fd, events, max, rig_jump || !timeout ? 0 : PATIENCE_MS);

	if (!count && timeout > 0) {
		ck_assert(rig_jump);
		rig_now_ms += (uint64_t)timeout;
	}
	return count;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ret_now)
{
	(void)id;
	ret_now->tv_sec = (time_t)(rig_now_ms / 1000);
	ret_now->tv_nsec = (long)(rig_now_ms % 1000) * 1000000;
	return 0;
}
#endif
