/* SPDX-License-Identifier: Apache-2.0
 *
 * The nearest known word to a misspelt one. Happy path: nearest_init(), nearest_offer() for each
 * word that would have been right, nearest_best(). When none is near enough to be meant, NULL.
 */
#pragma once

struct nearest {
	const char *word; /* borrowed, as all candidates are */
	const char *best;
	unsigned distance; /* of `best`: letters added, dropped, changed or swapped */
};

void nearest_init(struct nearest *nearest, const char *word);
void nearest_offer(struct nearest *nearest, const char *candidate);

/* Also takes all words of a list such as "auto|copy|splice"; `scratch` keeps the best of them. */
const char *nearest_in_list(const char *word, const char *list, char *scratch, unsigned size);

const char *nearest_best(const struct nearest *nearest);
