/* SPDX-License-Identifier: Apache-2.0
 *
 * `tags:` and `filters:` of a mapping as the filters of an API call: all of them must fit, of each
 * one of its values. Failure mode: memory.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct node;

/* Add {"Name": PREFIX + key, VALUES: [texts]} for each of `labels` (which may be NULL) to the array
 * `filters`; `values` is the key as on the wire. 0 or -ENOMEM. */
int filters_add(json_t *filters, const struct node *labels, const char *prefix, const char *values);

/* How many values there are in all. */
size_t filters_values(const json_t *filters, const char *values);
