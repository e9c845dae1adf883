/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking the metadata service for the region, once for each operation that begins without one; the
 * first answer holds for its whole place.
 *
 * Failure modes: no metadata service, or one that says what is no region; the operation ends, and
 * the next one asks again.
 */
#include "control/aws/run/region.h"

#include <errno.h>
#include <string.h>

#include "control/aws/endpoint.h"
#include "control/aws/imds.h"
#include "control/aws/run/internal.h"

static void on_region(void *context, const struct imds_answer *answer)
{
	struct aws_run *run = context;
	struct aws *aws = run->aws;

	run->region_call = NULL;
	if (answer->error) {
		failure_set(run, answer->error->kind,
			    "no region is set, and the instance's cannot be found (%s); set "
			    "`control.region` or AWS_REGION",
			    answer->error->text);
		run_fail_later(run);
	} else if (answer->size >= REGION_TEXT || !endpoint_region_is_valid(answer->body)) {
		failure_set(run, AWS_GARBAGE, "the metadata service names no region of AWS");
		run_fail_later(run);
	} else {
		if (!*aws->region)
			strcpy(aws->region, answer->body);
		run_begin_later(run);
	}
}

void region_find(struct aws_run *run)
{
	struct aws_hub *hub = run->aws->hub;
	int err = hub->imds ? 0 : imds_new(hub->loop, hub->http, &hub->imds);

	if (!err)
		run->region_call =
			imds_get(hub->imds, "meta-data/placement/region", on_region, run);
	if (run->region_call)
		return;
	failure_set(run, err == -EINVAL ? AWS_REFUSED : AWS_MEMORY, "%s",
		    err == -EINVAL ? "the metadata service's endpoint that is set is none"
				   : "out of memory");
	run_fail_later(run);
}

void region_forget(struct aws_run *run)
{
	imds_cancel(run->region_call);
	run->region_call = NULL;
}
