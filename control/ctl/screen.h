/* SPDX-License-Identifier: Apache-2.0
 *
 * What the terminal can do, found out once.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct screen {
	unsigned width;  /* columns; 0: not a terminal, lines may be as long as they like */
	unsigned height; /* rows; 0 likewise */
	bool colour;
	bool utf8; /* may show more than ASCII */
};

enum colour {
	COLOUR_NONE,
	COLOUR_TITLE,
	COLOUR_DIM,
	COLOUR_GOOD,
	COLOUR_WARN,
	COLOUR_BAD,
	COLOUR_NOTE,
	COLOURS
};

/* Colours need a terminal that is not "dumb", and no NO_COLOR (no-color.org). */
void screen_init(struct screen *screen, int fd);

/* Ask again: the window's size changes. */
void screen_measure(struct screen *screen, int fd);

/* Escape sequences, "" without colours. */
const char *screen_colour(const struct screen *screen, enum colour colour);
const char *screen_plain(const struct screen *screen);

/* `text` in a colour. */
void screen_print(const struct screen *screen, FILE *out, enum colour colour, const char *text);
