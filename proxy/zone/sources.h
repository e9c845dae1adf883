/* SPDX-License-Identifier: Apache-2.0
 *
 * Who can tell the own zone, and in which words.
 */
#pragma once

#include <stdbool.h>

#include "proxy/zone.h"

struct fetch;

/* Ask everybody once. `ret_names` as in zone_answer(); `ret_problem`, ZONE_PROBLEM bytes, is
 * written when nobody knew. */
bool zone_ask(struct fetch *fetch, char *ret_names, char *ret_problem);
