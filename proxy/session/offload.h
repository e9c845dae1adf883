/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker gives its door to the offload, so that it finds sessions.
 */
#pragma once

#include "proxy/offload.h"

extern const struct offload_owner session_offload_owner;

/* adopt.c: struct offload_owner::on_adopt */
void *session_adopt(struct loop *loop, struct offload_ticket *ticket);
