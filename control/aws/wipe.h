/* SPDX-License-Identifier: Apache-2.0
 *
 * malloc(3) for libraries that keep what may be secret: what they give back is wiped first, so that
 * no core and no later reader of that memory finds it.
 */
#pragma once

#include <stddef.h>

void wipe_free(void *memory);                  /* accepts NULL */
void *wipe_realloc(void *memory, size_t size); /* a fresh piece, always */
