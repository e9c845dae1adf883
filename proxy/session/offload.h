/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker gives its door to the offload, so that it finds sessions.
 */
#pragma once

#include "proxy/offload.h"

struct greeting;

extern const struct offload_owner session_offload_owner;

/* adopt.c: struct offload_owner::on_adopt */
void *session_adopt(struct loop *loop, struct offload_ticket *ticket);

/* adopt.c: what a PROXY header said, for who adopts the session; greeting may be NULL. */
void session_note_greeting(const struct greeting *greeting, struct flow_note *note);

/* joint.c: three of what it consists of. */
void session_on_joined(void *owner);
void session_on_not_joined(void *owner, enum flow_refusal why);
void session_on_gate(void *owner);
