/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the drawing of numbers as blocks, or as plain letters where the locale knows no blocks.
 */
#include <string.h>

#include "control/ctl/top/picture.h"

#define LEVELS 8

static const char *const blocks[LEVELS + 1] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const letters[LEVELS + 1] = {" ", ".", ":", "-", "=", "+", "*", "%", "#"};
static const char *const parts[LEVELS + 1] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};

/* Anything above nothing is seen: 0 alone is the empty level. */
static unsigned level_of(uint64_t value, uint64_t most)
{
	if (!value || !most)
		return 0;
	unsigned level = (unsigned)((double)value * LEVELS / (double)most + 0.5);

	return level < 1 ? 1 : level > LEVELS ? LEVELS : level;
}

const char *top_spark(const uint64_t *values, size_t count, size_t columns, bool utf8, char *buf)
{
	size_t first = count > columns ? count - columns : 0;
	uint64_t most = 0;
	char *at = buf;

	for (size_t i = first; i < count; i++)
		if (values[i] > most)
			most = values[i];
	for (size_t i = first; i < count; i++)
		at = stpcpy(at, (utf8 ? blocks : letters)[level_of(values[i], most)]);
	*at = '\0';
	return buf;
}

const char *top_bar(uint64_t part, uint64_t whole, bool utf8, char *buf)
{
	double share = whole ? (double)part / (double)whole : 0;
	unsigned eighths = (unsigned)((share > 1 ? 1 : share) * TOP_BAR * LEVELS + 0.5);
	char *at = buf;

	if (part && whole && !eighths)
		eighths = 1;
	for (; eighths >= LEVELS; eighths -= LEVELS)
		at = stpcpy(at, utf8 ? parts[LEVELS] : "#");
	if (eighths)
		at = stpcpy(at, utf8 ? parts[eighths] : "-");
	*at = '\0';
	return buf;
}
