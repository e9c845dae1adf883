/* SPDX-License-Identifier: Apache-2.0
 *
 * How many columns of a terminal a text takes, and what of it fits.
 */
#pragma once

#include <stddef.h>

/* Columns of `text`: wide characters take two, combining ones none. */
unsigned utf8_columns(const char *text);

/* Bytes of the longest beginning of `text` that takes at most `columns`. */
size_t utf8_fitting(const char *text, unsigned columns);

/* Put a question mark for whatever could move the cursor or is no UTF-8. Returns `text`. */
char *utf8_clean(char *text);
