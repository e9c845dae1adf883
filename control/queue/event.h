/* SPDX-License-Identifier: Apache-2.0
 *
 * What a message says, as far as it matters: which kinds of sources may have something new. Pure.
 *
 * Happy path: an event of EventBridge, alone or inside the envelope of an SNS notification.
 * Failure modes: what is neither, or is about what we don't know, concerns everybody.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct node;

/* The event, to be given back with json_decref(); an empty object if there is none to be seen. NULL
 * without memory. */
json_t *event_read(const char *body);

/* Whether a source of AWS of this kind, with this completed mapping, may have changed. `region` is
 * its own, or NULL. */
bool event_concerns(const json_t *event, const char *kind, const struct node *conf,
		    const char *region);

/* "aws.ecs: ECS Task State Change"; `buf` has `size` bytes. */
const char *event_name(const json_t *event, char *buf, size_t size);
