/* SPDX-License-Identifier: Apache-2.0
 *
 * Which text may stand in a configuration, whoever it comes from: whole UTF-8 sequences, no
 * control characters and no line breaks of any kind. So a value can be logged, shown and read back
 * without being escaped.
 */
#pragma once

#include <stdbool.h>

bool text_is_clean(const char *text);
