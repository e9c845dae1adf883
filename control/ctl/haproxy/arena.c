/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of allocations. See arena.h.
 */
#include "control/ctl/haproxy/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 4

struct hap_piece {
	struct hap_piece *next;
	max_align_t data[];
};

_Noreturn void hap_out_of_memory(void)
{
	fputs("sluicectl: out of memory\n", stderr);
	exit(EXIT_FAILURE);
}

void hap_arena_fini(struct hap_arena *arena)
{
	struct hap_piece *piece = arena->first, *next;

	for (; piece; piece = next) {
		next = piece->next;
		free(piece);
	}
	arena->first = NULL;
}

void *hap_alloc(struct hap_arena *arena, size_t bytes)
{
	struct hap_piece *piece = calloc(1, sizeof(*piece) + bytes);

	if (!piece)
		hap_out_of_memory();
	piece->next = arena->first;
	arena->first = piece;
	return piece->data;
}

char *hap_copy(struct hap_arena *arena, const char *text, size_t len)
{
	char *copy = hap_alloc(arena, len + 1);

	memcpy(copy, text, len);
	return copy;
}

char *hap_format(struct hap_arena *arena, const char *format, ...)
{
	va_list list, again;

	va_start(list, format);
	va_copy(again, list);
	int len = vsnprintf(NULL, 0, format, list);

	if (len < 0)
		hap_out_of_memory();
	char *text = hap_alloc(arena, (size_t)len + 1);

	vsnprintf(text, (size_t)len + 1, format, again);
	va_end(again);
	va_end(list);
	return text;
}

void *hap_grow(struct hap_arena *arena, void *items, size_t count, size_t bytes)
{
	/* The room is the least power of two that holds them, so it is full when they are one. */
	if (count && (count < FIRST_ROOM || (count & (count - 1))))
		return items;
	void *more = hap_alloc(arena, bytes * (count ? count * 2 : FIRST_ROOM));

	if (count)
		memcpy(more, items, count * bytes);
	return more;
}
