/* SPDX-License-Identifier: Apache-2.0
 *
 * A terminal that is drawn on: its second screen, no cursor, keys without Enter; and the way back.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

enum terminal_event {
	TERMINAL_TIME, /* nothing happened until the deadline */
	TERMINAL_KEY,
	TERMINAL_RESIZED,
	TERMINAL_LEAVE /* interrupted, terminated, or hung up */
};

struct terminal {
	struct termios before;
	sigset_t unblocked; /* while waiting: signals arrive only then */
	struct sigaction actions[4];
};

/* Take stdin and stdout over. 0 or -errno (-ENOTTY). */
int terminal_enter(struct terminal *terminal);

/* Everything as it was. */
void terminal_leave(struct terminal *terminal);

/* Draw whole lines from the top left corner; what stood below is wiped. */
void terminal_draw(const char *picture);

/* Wait for a key, a signal, or CLOCK_MONOTONIC to be `until_us`. */
#define TERMINAL_UP   1 /* beside letters */
#define TERMINAL_DOWN 2
enum terminal_event terminal_wait(const struct terminal *terminal, uint64_t until_us, int *ret_key);
