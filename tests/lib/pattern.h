/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes that pump sends and expects: one pattern of prime length, read in a circle from an
 * offset that each stream has of its own, so that lost, repeated, swapped or foreign bytes show.
 * And random numbers that a seed repeats.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PATTERN   1048573u /* prime: no power of two that a relay works in divides it */
#define CHUNK_MAX 262144u

static uint8_t pattern[PATTERN + CHUNK_MAX];
static uint64_t random_state;

static inline uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static inline uint64_t random_next(void)
{
	random_state += UINT64_C(0x9e3779b97f4a7c15);
	return mix(random_state);
}

/* From 1 to `most`, log-uniform, so that single bytes are as common as large blocks. */
static inline size_t random_chunk(uint64_t most)
{
	uint64_t r = random_next();
	uint64_t len = 1 + (r >> 32) % (UINT64_C(2) << (r % 18));

	return len < most ? len : most;
}

static inline void pattern_init(void)
{
	for (size_t i = 0; i < PATTERN; i++)
		pattern[i] = (uint8_t)(mix(i + 1) >> 24);
	memcpy(pattern + PATTERN, pattern, CHUNK_MAX);
}

/* CHUNK_MAX bytes of the stream that `seed` stands for, from `offset` on. */
static inline const uint8_t *pattern_at(uint64_t seed, uint64_t offset)
{
	return pattern + (mix(seed) % PATTERN + offset) % PATTERN;
}
