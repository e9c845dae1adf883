/* SPDX-License-Identifier: Apache-2.0
 *
 * The least-privilege policies that a configuration needs, for --iam-policy: what each source says
 * it calls (struct source_action), and what the lifecycle and the queue call.
 *
 * Happy path: a document as IAM takes it, with ARNs filled from the configuration and `*` for what
 * it does not say. Where sources assume roles it is an object of such documents: the daemon's own
 * under "sluice-control", the others under their roles' ARNs. Failure modes: memory alone.
 */
#pragma once

#include <jansson.h>

struct settings;
struct source_kind;

/* `kinds` ends with NULL; a source of a kind that is not there adds nothing. `region` is for those
 * that say none: NULL, if it is not known. NULL without memory. */
json_t *iam_policy(const struct settings *settings, const struct source_kind *const *kinds,
		   const char *region);
