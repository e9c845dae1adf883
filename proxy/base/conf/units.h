/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers as people write them: `500ms`, `64KiB`, `30%`, `0660`. All of these return 0, or -EINVAL
 * with `ret_why` saying what is the matter in words that follow "which ..." ("has no unit").
 * Nothing is rounded, guessed or cut off: a fraction, a sign or an overflow is refused.
 */
#pragma once

#include <stdint.h>

/* Decimal, without a sign or a leading zero. */
int units_integer(const char *text, uint64_t *ret_value, const char **ret_why);

/* Milliseconds. Units are ms, s, m, h and d; only 0 may go without. */
int units_duration(const char *text, uint64_t *ret_ms, const char **ret_why);

/* Bytes. Units are B, KiB, MiB, GiB, TiB (1024) and KB, MB, GB, TB (1000); none means bytes. */
int units_size(const char *text, uint64_t *ret_bytes, const char **ret_why);

/* `30%` is 30. The sign is not optional. */
int units_percent(const char *text, uint64_t *ret_percent, const char **ret_why);

/* `200-399`, or `200` for a range of one. The first is in the upper half of `ret_range`, the last
 * in the lower; see units_range_first() and units_range_last(). */
int units_range(const char *text, uint64_t *ret_range, const char **ret_why);

static inline uint32_t units_range_first(uint64_t range)
{
	return (uint32_t)(range >> 32);
}

static inline uint32_t units_range_last(uint64_t range)
{
	return (uint32_t)range;
}

/* `true` and `false` alone, as in YAML 1.2: `no` and `off` have meant too many things. */
int units_bool(const char *text, uint64_t *ret_bool, const char **ret_why);

/* A file's permission bits in octal: 660, 0660 or 0o660. */
int units_mode(const char *text, uint64_t *ret_mode, const char **ret_why);
