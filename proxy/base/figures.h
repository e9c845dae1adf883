/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers the way people read them.
 */
#pragma once

#include <stdint.h>

#define FIGURE_TEXT 24

/* "0 B", "999 B", "4.1 MB", "12 GB": decimal units, two significant digits at least. Returns `buf`
 * of FIGURE_TEXT bytes. */
const char *figure_bytes(uint64_t bytes, char *buf);

/* What `now` grew by since `before`, per second; 0 if it shrank. */
uint64_t figure_rate(uint64_t before, uint64_t now, uint64_t elapsed_us);

/* "350ms", "12s", "3m20s", "45m", "2h5m", "4d2h": two units while the first is below ten. Returns
 * `buf` of FIGURE_TEXT bytes. */
const char *figure_duration(uint64_t ms, char *buf);
