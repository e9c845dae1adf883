/* SPDX-License-Identifier: Apache-2.0
 *
 * Wall-clock time as people and log collectors read it.
 */
#pragma once

#include <stdint.h>

#define TIMESTAMP_TEXT 25 /* 2026-01-02T03:04:05.678Z and its NUL */

/* RFC 3339 in UTC with milliseconds, into `buf` of TIMESTAMP_TEXT bytes; returns `buf`. Years up to
 * 9999. Takes no lock and opens no file, which gmtime_r(3) may do on its first call. */
char *timestamp_format(uint64_t wall_us, char *buf);

/* Read RFC 3339 in UTC (a `Z` at the end), with or without a fraction of a second, years from 1970
 * to 9999. A leap second counts as the second after it. 0 or -EINVAL. */
int timestamp_parse(const char *text, uint64_t *ret_wall_us);
