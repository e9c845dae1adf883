/* SPDX-License-Identifier: Apache-2.0
 *
 * A request to a service that is near (instance metadata, a container's agent) or that stands
 * outside every account's budget (STS): sent again a few times, soon, when it may be luck.
 *
 * Happy path: insist() sends, on_end() tells the answer. Failure modes: what cannot be reached, is
 * late, throttles or breaks (5xx) is tried INSIST_ATTEMPTS times in all; any other answer is final.
 */
#pragma once

#include "control/aws/http.h"

#define INSIST_ATTEMPTS 3

struct insist;
struct loop;

/* Like http_start(): everything is copied, on_end() comes later and once, with the last answer.
 * `is_luck` (may be NULL) says of other answers whether the next one may be better. NULL without
 * memory. */
struct insist *insist(struct loop *loop, struct http *http, const struct http_request *request,
		      bool (*is_luck)(const struct http_answer *answer));
void insist_cancel(struct insist *insist); /* accepts NULL; on_end() will not come */
