/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kinds of checks differ in: what they send, and what they make of the answer. Pure: no
 * I/O, no time; check.c does that for all of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/model.h"

#define PROBE_ANSWER_MAX (16 * 1024) /* read of any answer, at most */
#define PROBE_TEXT       80          /* of a verdict, with its NUL */

enum probe_outcome { PROBE_MORE, PROBE_GOOD, PROBE_BAD };

/* All that came so far. */
struct probe_answer {
	const uint8_t *data;
	size_t size;
	size_t fresh; /* how many of those bytes, at the end, were not there the last time */
};

struct probe {
	/* The request, to be freed by the caller; NULL without memory. NULL instead of the
	 * function: nothing is sent. `random` are 64 bytes of it. */
	uint8_t *(*request)(const struct health_conf *conf, const struct addr *addr,
			    const uint8_t *random, size_t *ret_size);
	/* `ret_text` of PROBE_TEXT bytes is filled unless it is MORE. NULL instead of the function:
	 * what could be sent is good enough. */
	enum probe_outcome (*judge)(const struct health_conf *conf,
				    const struct probe_answer *answer, char *ret_text);
	/* What is missing from an answer that ended too early, or NULL. */
	const char *lack;
};

#define PROBE_RANDOM 64

extern const struct probe tcp_probe, http_probe, tls_probe, send_expect_probe;
