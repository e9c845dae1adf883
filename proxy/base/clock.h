/* SPDX-License-Identifier: Apache-2.0
 *
 * Time as 64-bit integers. clock_us() is monotonic and is what every deadline is made of;
 * clock_wall_us() is for people and logs alone, since it can jump.
 */
#pragma once

#include <stdint.h>
#include <time.h>

#define US_PER_MS  UINT64_C(1000)
#define US_PER_SEC UINT64_C(1000000)

static inline uint64_t clock_read_us(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * US_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

/* Microseconds since an arbitrary start, never going back (CLOCK_MONOTONIC). */
static inline uint64_t clock_us(void)
{
	return clock_read_us(CLOCK_MONOTONIC);
}

/* Microseconds since the Unix epoch (CLOCK_REALTIME). */
static inline uint64_t clock_wall_us(void)
{
	return clock_read_us(CLOCK_REALTIME);
}
