/* SPDX-License-Identifier: Apache-2.0
 *
 * What a source warns of while it collects a snapshot: the first finding in full, and how many came
 * after it, so that a thousand bad tags are one line. The happy path has none.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct notes {
	uint32_t count;
	char first[160];
};

/* One sentence without a final stop. */
void notes_add(struct notes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "" when there are none; for struct source::notice. */
void notes_write(const struct notes *notes, char *ret_text, size_t size);
