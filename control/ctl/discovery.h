/* SPDX-License-Identifier: Apache-2.0
 *
 * What `discovery` shows, and what of it other verbs do.
 */
#pragma once

#include <jansson.h>

struct ctl;

/* GET /v1/discovery: the daemon, then its sources, then what is held. */
void discovery_print(struct ctl *ctl, const json_t *json);

/* One source, its targets if the answer has them, and what is held of it line by line. */
void discovery_print_feed(struct ctl *ctl, const json_t *feed);

/* If sluice-control answers: a line for each change that it holds. Silent otherwise. */
void discovery_mention_held(struct ctl *ctl);
