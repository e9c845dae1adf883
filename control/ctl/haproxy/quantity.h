/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers as an haproxy.cfg has them.
 */
#pragma once

#include <stdint.h>

/* Milliseconds, from a number with us, ms, s, m, h or d behind it; `unit_ms` is of a bare number.
 * Microseconds are rounded up. 0, or -EINVAL. */
int hap_time(const char *text, uint64_t unit_ms, uint64_t *ret_ms);

/* Decimal, without a sign. 0, or -EINVAL. */
int hap_number(const char *text, uint64_t *ret_number);
