/* SPDX-License-Identifier: Apache-2.0
 *
 * A hierarchical timing wheel with a tick of one millisecond (Varghese and Lauck, SOSP 1987,
 * scheme 7). Arming and cancelling are constant time and allocate nothing: the timer lives in the
 * struct it belongs to. Single-threaded: a wheel belongs to one worker.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/list.h"

#define TIMER_LEVELS 5 /* 64^5 ms are 12 days; what is further away cascades more than once */
#define TIMER_SLOTS  64

struct timer {
	struct list link; /* struct timer_wheel::slots */
	uint64_t due_ms;
	void (*on_due)(struct timer *timer);
};

struct timer_wheel {
	uint64_t now_ms;
	uint64_t occupied[TIMER_LEVELS]; /* a bit per slot; may be set for an emptied one */
	struct list slots[TIMER_LEVELS][TIMER_SLOTS];
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms);

/* Run every callback that is due at `now_ms`. Callbacks may arm and cancel any timer. */
void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms);

/* Milliseconds from the wheel's now until it wants to be advanced again, -1 if nothing is armed.
 * May be earlier than the first timer, never later. */
int timer_wheel_timeout(const struct timer_wheel *wheel);

void timer_init(struct timer *timer, void (*on_due)(struct timer *));
bool timer_is_armed(const struct timer *timer);

/* Arm or re-arm for `delay_ms` from the wheel's now; 0 means the next tick. */
void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t delay_ms);
void timer_cancel(struct timer *timer); /* harmless when not armed */
