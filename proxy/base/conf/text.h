/* SPDX-License-Identifier: Apache-2.0
 *
 * Which text may stand in a configuration, whoever it comes from: whole UTF-8 sequences, no
 * control characters and no line breaks of any kind. So a value can be logged, shown and read back
 * without being escaped.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

bool text_is_clean(const char *text);

/* Whether it may stand in such a text; false for the -1 of text_next_code_point(). */
bool text_is_clean_code_point(int32_t code);

/* The code point that `*text` begins with, which moves behind it; -1 if it is not UTF-8 (RFC 3629),
 * then it stays. */
int32_t text_next_code_point(const char **text);
