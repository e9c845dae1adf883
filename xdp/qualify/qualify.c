/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the steps of one way in a thread that is thrown away, since a thread cannot leave a network
 * namespace that it has made without the right to come back.
 *
 * Failure modes: no thread, no network, no programs: each is told as what was wrong.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/thread.h"
#include "xdp/qualify/internal.h"
#include "xdp/sockmap.h"

const char *const qualify_path_names[QUALIFY_PATHS] = {
	[QUALIFY_TC] = "tc",
	[QUALIFY_XDP_NATIVE] = "xdp",
	[QUALIFY_XDP_GENERIC] = "xdp-generic",
	[QUALIFY_SOCKMAP] = "sockmap",
};

static const struct {
	const struct qualify_way *way; /* NULL: it has steps of its own */
	bool private_only;             /* means nothing on a loopback */
} paths[QUALIFY_PATHS] = {
	[QUALIFY_TC] = {&qualify_flow, false},
	[QUALIFY_XDP_NATIVE] = {&qualify_flow, true},
	[QUALIFY_XDP_GENERIC] = {&qualify_flow, true},
	[QUALIFY_SOCKMAP] = {NULL, false},
};

struct run {
	enum qualify_path path;
	struct qualify_result *result;
};

static void conclude(struct qualify_result *result, enum qualify_verdict verdict, const char *step,
		     const char *problem)
{
	result->verdict = verdict;
	snprintf(result->problem, sizeof(result->problem), "%s%s%s", step ? step : "",
		 step ? ": " : "", problem);
}

static void try_way(struct rig *rig, enum qualify_path path, struct qualify_result *result)
{
	const struct qualify_way *way = paths[path].way;
	const char *step = NULL;
	void *state = NULL;
	int err = way->open(rig, path, &state);

	if (!err)
		err = qualify_steps(rig, way, state, &step);
	if (err)
		conclude(result, QUALIFY_FAILS, step,
			 rig->problem[0] ? rig->problem : strerror(-err));
	way->close(state);
}

static void try_sockmap(struct qualify_result *result)
{
	char problem[sizeof(result->problem)];

	if (sockmap_qualify(problem, sizeof(problem)))
		conclude(result, QUALIFY_FAILS, NULL, problem);
}

static void run(void *arg)
{
	struct run *job = arg;
	struct rig rig;

	if (rig_open(&rig))
		conclude(job->result, QUALIFY_UNTRIED, NULL, rig.problem);
	else if (paths[job->path].private_only && !rig.private)
		conclude(job->result, QUALIFY_UNTRIED, NULL,
			 "a network namespace to try it in needs CAP_SYS_ADMIN");
	else if (paths[job->path].way)
		try_way(&rig, job->path, job->result);
	else
		try_sockmap(job->result);
	rig_close(&rig);
}

void qualify(enum qualify_path path, struct qualify_result *ret_result)
{
	struct qualify_result result = {.verdict = QUALIFY_WORKS};
	struct run job = {.path = path, .result = &result};
	uint64_t begun = clock_us();
	struct thread thread;
	int err = thread_start(&thread, "qualify", run, &job);

	if (err)
		conclude(&result, QUALIFY_UNTRIED, "no thread", strerror(-err));
	else
		thread_join(&thread);
	result.took_us = clock_us() - begun;
	*ret_result = result;
}
