/* SPDX-License-Identifier: Apache-2.0
 *
 * What an operator's word on something comes with: until when, and why.
 */
#pragma once

#include <jansson.h>

struct ctl;

/* --for, --until and --why, as fields of the request. CTL_OK or CTL_USAGE. */
int terms_add(struct ctl *ctl, json_t *body);
