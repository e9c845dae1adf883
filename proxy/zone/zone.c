/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread that finds the own zone. Happy path: it asks, stores the answer, wakes main, ends.
 *
 * Failure modes: nobody answers; then it asks again a few times, further and further apart, as a
 * metadata service may come up after us, and gives up with the last reason.
 */
#include "proxy/zone.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/sandbox.h"
#include "proxy/zone/fetch.h"
#include "proxy/zone/sources.h"

#define ROUNDS         4
#define FIRST_PAUSE_MS 250

struct zone_finder {
	pthread_t thread;
	struct fetch *fetch;
	int wake_fd;
	_Atomic int state; /* enum zone_state; what follows is written before it changes */
	char names[ZONE_LIST];
	char problem[ZONE_PROBLEM];
};

static void finish(struct zone_finder *finder, enum zone_state state)
{
	uint64_t one = 1;
	ssize_t ignored;

	atomic_store(&finder->state, state);
	ignored = write(finder->wake_fd, &one, sizeof(one));
	(void)ignored; /* a full counter wakes as well */
}

static void *zone_main(void *arg)
{
	struct zone_finder *finder = arg;
	unsigned pause_ms = FIRST_PAUSE_MS;

	pthread_setname_np(pthread_self(), "zone");
	sandbox_enter(SANDBOX_ZONE);
	for (int round = 0; round < ROUNDS; round++, pause_ms *= 2) {
		if (round && !fetch_pause(finder->fetch, pause_ms))
			return NULL;
		if (zone_ask(finder->fetch, finder->names, finder->problem)) {
			finish(finder, ZONE_FOUND);
			return NULL;
		}
	}
	finish(finder, ZONE_UNKNOWN);
	return NULL;
}

int zone_start(int wake_fd, struct zone_finder **ret_finder)
{
	struct zone_finder *finder = calloc(1, sizeof(*finder));
	int err;

	if (!finder)
		return -ENOMEM;
	finder->wake_fd = wake_fd;
	err = fetch_new(&finder->fetch);
	if (err)
		goto fail;
	err = -pthread_create(&finder->thread, NULL, zone_main, finder);
	if (err)
		goto fail;
	*ret_finder = finder;
	return 0;
fail:
	fetch_free(finder->fetch);
	free(finder);
	return err;
}

enum zone_state zone_answer(struct zone_finder *finder, char *ret_names, char *ret_problem)
{
	enum zone_state state = (enum zone_state)atomic_load(&finder->state);

	if (state == ZONE_FOUND)
		memcpy(ret_names, finder->names, ZONE_LIST);
	if (state == ZONE_UNKNOWN)
		memcpy(ret_problem, finder->problem, ZONE_PROBLEM);
	return state;
}

void zone_stop(struct zone_finder *finder)
{
	if (!finder)
		return;
	fetch_cancel(finder->fetch);
	pthread_join(finder->thread, NULL);
	fetch_free(finder->fetch);
	free(finder);
}
