/* SPDX-License-Identifier: Apache-2.0
 *
 * EC2 instances, as DescribeInstances tells of them: where each is, and what its tags say.
 *
 * Happy path: instances_select() asks for those that fit filters, instances_ask() for a list of
 * ids; then the zones' ids are settled, and each one that its owner wants becomes a target with
 * instances_offer().
 * Failure modes: an answer that lacks an id or a state is not believed, and neither is one that
 * says two things of one instance. A running instance without an address (or port) is not known,
 * rather than gone: the fetch fails when it is a target now, and is but noted when it never was.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/labels.h"
#include "control/notes.h"
#include "control/zones.h"
#include "proxy/base/addr.h"

#define INSTANCES_FILTER_VALUES 200 /* in one call, over all filters */

struct asking;
struct target_set;

enum instance_address { INSTANCE_PRIVATE, INSTANCE_IPV6, INSTANCE_PUBLIC }; /* as in the schema */

struct instance {
	char id[32];
	struct addr host;     /* family 0: it has none of the kind that is wanted */
	char zone[64];        /* "": not known */
	bool zone_is_settled; /* an id, or the operator's own word: not to be translated */
	bool running;
	uint16_t port; /* 0: not known */
	uint32_t weight;
	bool backup;
};

struct instances {
	struct asking *asking;
	enum instance_address address;
	struct labels labels;
	struct zones zones;
	struct notes notes;
	struct instance *at; /* in the order of ids once all have come */
	size_t count;
	size_t room;
	json_t *ids; /* still to be asked for, from `asked` on */
	size_t asked;
	void (*next)(void *context);
	void *context;
};

void instances_init(struct instances *instances, struct asking *asking,
		    enum instance_address address, const struct labels *labels);
void instances_fini(struct instances *instances);
void instances_clear(struct instances *instances); /* for a new snapshot */

/* All that fit `filters` (taken over), which must include INSTANCES_FILTER_VALUES values at most.
 * `next` comes when they, and the ids of their zones, are known. */
void instances_select(struct instances *instances, json_t *filters, void (*next)(void *context),
		      void *context);

/* Those of `ids` (an array of texts, taken over) that there are. */
void instances_ask(struct instances *instances, json_t *ids, void (*next)(void *context),
		   void *context);

/* NULL if the answer did not have it. */
const struct instance *instances_find(const struct instances *instances, const char *id);

/* Add it as a target; `port` 0: its own. Of one that drains or does not run, a missing address is
 * no wonder. 0; or -errno, after which source_failed() was called. */
int instances_offer(struct instances *instances, const struct instance *instance, uint16_t port,
		    bool draining, struct target_set *set);

/* The end of the fetch: source_done() with what there is to note; or, with an error that
 * source_failed() has told, only throw the set away. */
void instances_end(struct instances *instances, struct target_set *set, int err);

/* How many calls it takes to ask for `count` of them by id. */
uint32_t instances_ask_calls(size_t count);
