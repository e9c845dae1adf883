/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds a row of the table of verbs (verbs.c) by its name, or by what was probably meant.
 */
#include "control/ctl/verb.h"

#include <string.h>

#include "proxy/base/conf/nearest.h"

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < verb_count; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

const char *verb_nearest(const char *name)
{
	struct nearest nearest;

	nearest_init(&nearest, name);
	for (size_t i = 0; i < verb_count; i++)
		nearest_offer(&nearest, verbs[i].name);
	return nearest_best(&nearest);
}
