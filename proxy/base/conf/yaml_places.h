/* SPDX-License-Identifier: Apache-2.0
 *
 * Of YAML that libyaml refused: where, and which of the usual mistakes it was. Pure functions.
 */
#pragma once

#include <stddef.h>

#include "proxy/base/conf/errors.h"

/* Where byte `offset` is; libyaml gives no mark for what it could not even decode. */
struct conf_where yaml_place_of_byte(const char *source, const unsigned char *bytes, size_t size,
				     size_t offset);

/* What is wrong with a line (from 0), if it is one of the mistakes that everyone makes once:
 * brackets open a YAML list in `bind: [::]:443`, and a tab indents nothing. Else "". */
const char *yaml_hint_on(const unsigned char *bytes, size_t size, size_t line);
