/* SPDX-License-Identifier: Apache-2.0
 *
 * Which availability zone this process runs in, for `zone: auto`: asked once, by a thread of its
 * own that ends with the answer, of the ECS metadata endpoint (where the environment names one) or
 * of EC2's instance metadata service.
 *
 * A zone has a name that each account may use for another place (us-east-1a) and an id that means
 * the same to all (use1-az1). Targets may be labelled with either, so the answer is a list of both.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct zone_finder;

/* Room for an answer: names with commas between them. */
#define ZONE_LIST 80

/* Room for the reason of a failure. */
#define ZONE_PROBLEM 160

enum zone_state {
	ZONE_ASKING,
	ZONE_FOUND,
	ZONE_UNKNOWN, /* nobody answered, several times */
};

/* `wake_fd` is an eventfd(2) that is written to when the asking is over. It takes 20 seconds at
 * most. 0 or -errno. */
int zone_start(int wake_fd, struct zone_finder **ret_finder);

/* `names` of ZONE_FOUND, `problem` of ZONE_UNKNOWN; ZONE_LIST and ZONE_PROBLEM bytes. */
enum zone_state zone_answer(struct zone_finder *finder, char *ret_names, char *ret_problem);

/* Ends the thread if it still asks. Accepts NULL. */
void zone_stop(struct zone_finder *finder);
