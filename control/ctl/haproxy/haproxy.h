/* SPDX-License-Identifier: Apache-2.0
 *
 * The import of an haproxy.cfg, from its bytes to the text of sluice.yaml.
 *
 * Happy path: a zeroed struct hap, hap_read(), hap_convert(), hap_notes_count() for a summary,
 * hap_fini(). What cannot be carried is no failure, but a comment in the result.
 */
#pragma once

#include <stdio.h>

#include "control/ctl/haproxy/model.h"

/* Read `size` bytes as the file called `name`, which must outlive the import. What cannot be read
 * becomes notes. */
void hap_read(struct hap *hap, const char *name, const char *bytes, size_t size);

/* Write sluice.yaml, which Sluice accepts. -ENOENT, and nothing written, if there is no listener
 * and pool of mode tcp. */
int hap_convert(struct hap *hap, FILE *out);

size_t hap_notes_count(const struct hap *hap, enum hap_level level);

void hap_fini(struct hap *hap);
