/* SPDX-License-Identifier: Apache-2.0
 *
 * Warnings of one snapshot. See control/notes.h; nothing can fail here but room, which cuts.
 */
#include "control/notes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void notes_add(struct notes *notes, const char *format, ...)
{
	va_list args;

	if (notes->count++ > 0)
		return;
	va_start(args, format);
	vsnprintf(notes->first, sizeof(notes->first), format, args);
	va_end(args);
}

void notes_write(const struct notes *notes, char *ret_text, size_t size)
{
	if (notes->count > 1)
		snprintf(ret_text, size, "%s (and %" PRIu32 " more findings)", notes->first,
			 notes->count - 1);
	else
		snprintf(ret_text, size, "%s", notes->count ? notes->first : "");
}
