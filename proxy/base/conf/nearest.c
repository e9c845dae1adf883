/* SPDX-License-Identifier: Apache-2.0
 *
 * The edit distance (optimal string alignment) over words of at most WORD_MAX letters; longer ones
 * are never near anything. Dashes and underscores count as equal, since both are easily mistyped.
 */
#include "proxy/base/conf/nearest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 48

static int letter(char c)
{
	return c == '-' ? '_' : tolower((unsigned char)c);
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned cost[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= a_len; i++)
		cost[i][0] = (unsigned)i;
	for (size_t j = 0; j <= b_len; j++)
		cost[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		for (size_t j = 1; j <= b_len; j++) {
			int ai = letter(a[i - 1]), bj = letter(b[j - 1]);

			cost[i][j] = min3(cost[i - 1][j] + 1, cost[i][j - 1] + 1,
					  cost[i - 1][j - 1] + (ai != bj));
			if (i > 1 && j > 1 && ai == letter(b[j - 2]) && letter(a[i - 2]) == bj)
				cost[i][j] = min3(cost[i][j], cost[i - 2][j - 2] + 1, cost[i][j]);
		}
	}
	return cost[a_len][b_len];
}

void nearest_init(struct nearest *nearest, const char *word)
{
	*nearest = (struct nearest){.word = word, .distance = WORD_MAX};
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
	size_t word_len = strlen(nearest->word), len = strlen(candidate);
	size_t longer = word_len > len ? word_len : len;

	if (word_len == 0 || len == 0 || longer > WORD_MAX)
		return;
	unsigned distance = edit_distance(nearest->word, word_len, candidate, len);

	if (distance < nearest->distance && distance <= 1 + longer / 4 && distance < longer) {
		nearest->best = candidate;
		nearest->distance = distance;
	}
}

const char *nearest_best(const struct nearest *nearest)
{
	return nearest->best;
}

const char *nearest_in_list(const char *word, const char *list, char *scratch, unsigned size)
{
	unsigned best = WORD_MAX;

	scratch[0] = '\0';
	while (*list) {
		size_t len = strcspn(list, "|");
		char candidate[WORD_MAX + 1];
		struct nearest nearest;

		snprintf(candidate, sizeof(candidate), "%.*s", (int)len, list);
		nearest_init(&nearest, word);
		nearest_offer(&nearest, candidate);
		if (nearest.best && nearest.distance < best) {
			best = nearest.distance;
			snprintf(scratch, size, "%s", candidate);
		}
		list += len + (list[len] == '|');
	}
	return scratch[0] ? scratch : NULL;
}
