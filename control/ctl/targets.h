/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests about one target, and waiting until it carries nothing.
 */
#pragma once

#include <jansson.h>

#include "control/ctl/ctl.h"

/* `/v1/targets/TARGET` and `rest` behind it ("/explain"), for the target and the --pool that the
 * command line names. */
void target_path(const struct ctl *ctl, const char *rest, struct path *ret_path);

/* Call, then wait for the target to be empty if --wait asks for it, then show what it is like:
 * all of a verb that changes one target. The answer names the target. */
int target_change(struct ctl *ctl, const char *method, const struct path *path, const json_t *body);

/* The same without the call: with --wait, until the target that `reply` describes has no open
 * sessions; `reply` is then its newest description. CTL_TIMED_OUT after --wait=TIMEOUT. */
int target_wait(struct ctl *ctl, struct reply *reply);

/* One sentence: what it is called, its state, why, and what it carries. */
void target_print(struct ctl *ctl, const json_t *target);
