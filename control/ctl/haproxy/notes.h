/* SPDX-License-Identifier: Apache-2.0
 *
 * Notes on lines, and how they become comments. hap_note() itself is in model.h.
 */
#pragma once

#include <stdio.h>

#include "control/ctl/haproxy/model.h"

enum hap_place { HAP_ANYWHERE, HAP_AT_LISTENER, HAP_AT_POOL };

/* Forget all that was said about lines of `section`. */
void hap_notes_drop(struct hap *hap, const struct hap_section *section);

/* By line, once all are there. */
void hap_notes_sort(struct hap *hap);

/* As comments, those on lines of `section` that belong to `place` and were not told yet. Returns
 * how many. */
size_t hap_notes_print(struct hap *hap, const struct hap_section *section, enum hap_place place,
		       const char *indent, FILE *out);
