/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of one import: taken piece by piece, given back all at once.
 *
 * Happy path: hap_alloc() and its kin while reading and converting, hap_arena_fini() at the end.
 * Failure mode: a program that runs once has no better answer to a lack of memory than to say so
 * and end, so none of these returns NULL.
 */
#pragma once

#include <stddef.h>

struct hap_piece;

struct hap_arena {
	struct hap_piece *first;
};

_Noreturn void hap_out_of_memory(void);

void hap_arena_fini(struct hap_arena *arena);

/* Zeroed. */
void *hap_alloc(struct hap_arena *arena, size_t bytes);

/* `len` bytes of `text` and a NUL. */
char *hap_copy(struct hap_arena *arena, const char *text, size_t len);

__attribute__((format(printf, 2, 3), nonnull(2))) char *hap_format(struct hap_arena *arena,
								   const char *format, ...);

/* Where `count` items of `bytes` each now are, with room for at least one more behind them. */
void *hap_grow(struct hap_arena *arena, void *items, size_t count, size_t bytes);
