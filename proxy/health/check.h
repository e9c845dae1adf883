/* SPDX-License-Identifier: Apache-2.0
 *
 * One check of one target, from the connect to the verdict.
 *
 *          check_start()          connected                    a verdict
 *   IDLE ----------------> CONNECTING --------------> TALKING ------------> OVER
 *    ^                         |                                             ^ |
 *    |                         +---------------------------------------------+ |
 *    +-------------------------------------------------------------------------+
 *                               told to its owner, or aborted
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/loop.h"
#include "proxy/base/timer.h"
#include "proxy/health/probe.h"

enum check_state { CHECK_IDLE, CHECK_CONNECTING, CHECK_TALKING, CHECK_OVER, CHECK_STATES };

enum verdict_kind {
	VERDICT_GOOD,
	VERDICT_BAD,
	VERDICT_NONE /* we lacked something ourselves: says nothing of the target */
};

struct verdict {
	enum verdict_kind kind;
	int error;        /* NONE: why, as a positive errno */
	uint32_t took_us; /* from the start of the connect */
	char text[PROBE_TEXT];
};

/* What a check is to do; read while it runs, so it must stay until the verdict. */
struct check_order {
	const struct addr *addr; /* with the port to check */
	const struct health_conf *conf;
	enum proxy_send proxy;
	uint8_t random[PROBE_RANDOM];
};

struct check {
	struct loop_source source;
	struct loop *loop;
	struct timer deadline;
	struct loop_task over;                   /* to tell the owner, from the ready list */
	void (*on_verdict)(struct check *check); /* state is IDLE again, `verdict` stands */
	enum check_state state;
	struct check_order order;
	struct verdict verdict;
	uint64_t started_us;
	bool was_reset;   /* by the other side, which SO_ERROR tells once */
	uint8_t *request; /* with the PROXY header in front; NULL: nothing to send */
	size_t request_size;
	size_t sent;
	uint8_t *answer;
	size_t answer_size;
	size_t answer_room;
};

void check_init(struct check *check, struct loop *loop, void (*on_verdict)(struct check *check));

/* From IDLE. Whatever happens is told by on_verdict, never before this returns. */
void check_start(struct check *check, const struct check_order *order);

/* No verdict is wanted any more. Harmless when IDLE. The memory must live to the end of the turn,
 * as that of any source. */
void check_abort(struct check *check);
