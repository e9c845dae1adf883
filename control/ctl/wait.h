/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking again and again until something is so: what --wait does.
 *
 * Happy path: wait_begin(), then wait_again() before each further question, wait_end(). On a
 * terminal the last state stands in one line of stderr, which wait_end() wipes away.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ctl;

struct wait {
	uint64_t begun_us;
	uint64_t deadline_us; /* CLOCK_MONOTONIC; 0: none */
	uint64_t pause_us;    /* grows from question to question */
	bool drawn;
	bool terminal; /* stderr is one */
};

/* The deadline is that of --wait=TIMEOUT. */
void wait_begin(struct wait *wait, const struct ctl *ctl);

/* Sleep a moment. `format` says what is still so. CTL_OK, or CTL_TIMED_OUT after having said it on
 * stderr. */
int wait_again(struct wait *wait, const char *format, ...) __attribute__((format(printf, 2, 3)));

void wait_end(struct wait *wait);
