/* SPDX-License-Identifier: Apache-2.0
 *
 * The client of AWS APIs against a server with a script (http_rig.h), with credentials and a
 * metadata service that a test can make fail: they stand in for control/aws/credentials.c and
 * imds.c, whose tests are elsewhere.
 */
#pragma once

#include "control/aws/aws.h"
#include "control/aws/credentials.h"
#include "control/aws/imds.h"
#include "tests/unit/http_rig.h"

#define RIG_KEY    "AKIDEXAMPLE"
#define RIG_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define RIG_TOKEN  "the-session-token"

struct credential_chain {
	struct loop *loop;
	struct loop_task task;
	struct credential_wait *waiting;
	unsigned refused;
	int64_t skew_us;
};

struct imds_call {
	struct loop_task task;
	void (*on_end)(void *context, const struct imds_answer *answer);
	void *context;
};

struct imds {
	struct loop *loop;
};

/* What the doubles say, and what they saw. */
static struct {
	struct aws_error credential_error; /* kind AWS_OK: they are given */
	const char *region;                /* of the environment */
	const char *imds_region;           /* NULL: no metadata service */
	unsigned chains;                   /* that live */
	unsigned refused;
	int64_t skew_us;
} world;

static void chain_answer(struct loop_task *task)
{
	struct credential_chain *chain = container_of(task, struct credential_chain, task);
	struct credentials credentials = {.key_id = (char *)RIG_KEY,
					  .secret = (char *)RIG_SECRET,
					  .token = (char *)RIG_TOKEN,
					  .provider = "rig"};
	struct credential_wait *wait;

	while ((wait = chain->waiting)) {
		chain->waiting = wait->next;
		wait->waiting = false;
		if (world.credential_error.kind)
			wait->on_credentials(wait, NULL, &world.credential_error);
		else
			wait->on_credentials(wait, &credentials, NULL);
	}
}

int credential_chain_new(const struct credential_conf *conf, struct credential_chain **ret_chain)
{
	struct credential_chain *chain = calloc(1, sizeof(*chain));

	ck_assert_ptr_nonnull(chain);
	chain->loop = conf->loop;
	chain->task.run = chain_answer;
	list_init(&chain->task.link);
	world.chains++;
	*ret_chain = chain;
	return 0;
}

void credential_chain_free(struct credential_chain *chain)
{
	list_remove(&chain->task.link);
	world.chains--;
	free(chain);
}

void credentials_get(struct credential_chain *chain, struct credential_wait *wait)
{
	struct credential_wait **end = &chain->waiting;

	ck_assert(!wait->waiting);
	while (*end)
		end = &(*end)->next;
	wait->waiting = true;
	wait->next = NULL;
	*end = wait;
	loop_ready(chain->loop, &chain->task);
}

void credentials_forget_wait(struct credential_chain *chain, struct credential_wait *wait)
{
	for (struct credential_wait **at = &chain->waiting; *at; at = &(*at)->next)
		if (*at == wait) {
			*at = wait->next;
			wait->waiting = false;
			return;
		}
}

void credentials_refused(struct credential_chain *chain)
{
	world.refused++;
}

const char *credentials_provider(const struct credential_chain *chain)
{
	return "rig";
}

uint64_t credentials_expiry_wall_us(const struct credential_chain *chain)
{
	return 5;
}

void credential_chain_set_skew(struct credential_chain *chain, int64_t skew_us)
{
	world.skew_us = skew_us;
}

const char *credentials_region(const char *profile, char *buf)
{
	return world.region ? strcpy(buf, world.region) : NULL;
}

int imds_new(struct loop *loop, struct http *http, struct imds **ret_imds)
{
	*ret_imds = calloc(1, sizeof(**ret_imds));
	ck_assert_ptr_nonnull(*ret_imds);
	(*ret_imds)->loop = loop;
	return 0;
}

void imds_free(struct imds *imds)
{
	free(imds);
}

static void imds_say(struct loop_task *task)
{
	struct imds_call *call = container_of(task, struct imds_call, task);
	static const struct aws_error error = {.kind = AWS_TIMEOUT, .text = "it timed out"};
	struct imds_answer answer = {.error = world.imds_region ? NULL : &error,
				     .body = world.imds_region,
				     .size = world.imds_region ? strlen(world.imds_region) : 0};

	call->on_end(call->context, &answer);
	free(call);
}

struct imds_call *imds_get(struct imds *imds, const char *path,
			   void (*on_end)(void *context, const struct imds_answer *answer),
			   void *context)
{
	struct imds_call *call = calloc(1, sizeof(*call));

	ck_assert_ptr_nonnull(call);
	ck_assert_str_eq(path, "meta-data/placement/region");
	*call = (struct imds_call){.task.run = imds_say, .on_end = on_end, .context = context};
	list_init(&call->task.link);
	loop_ready(imds->loop, &call->task);
	return call;
}

void imds_cancel(struct imds_call *call)
{
	if (!call)
		return;
	list_remove(&call->task.link);
	free(call);
}

/* --- an operation and what came of it --- */

static struct rig rig;
static struct aws_hub *hub;
static struct aws *aws;

struct seen {
	unsigned pages;
	unsigned ends;
	struct aws_error error;
	char last[256]; /* page, as JSON */
	int page_err;   /* for on_page() to return */
	struct aws_run *to_cancel;
	bool close; /* the place, at the end */
};

static int rig_on_page(void *context, const json_t *page)
{
	struct seen *seen = context;
	char *dump = json_dumps(page, JSON_COMPACT);

	ck_assert_uint_eq(seen->ends, 0);
	seen->pages++;
	snprintf(seen->last, sizeof(seen->last), "%s", dump);
	free(dump);
	return seen->page_err;
}

static void rig_on_end(void *context, const struct aws_error *error)
{
	struct seen *seen = context;

	seen->ends++;
	if (error)
		seen->error = *error;
	aws_cancel(seen->to_cancel);
	if (seen->close) {
		aws_close(aws);
		aws = NULL;
	}
}

static inline void aws_rig_start_at(const struct rig_reply *replies, size_t count,
				    const struct aws_hub_conf *conf)
{
	struct aws_place place = {.region = "eu-west-1"};
	char problem[128];

	memset(&world, 0, sizeof(world));
	rig_init(&rig, "127.0.0.1:0", replies, count);
	place.endpoint = rig.url;
	ck_assert_int_eq(aws_hub_new(&rig.loop, conf, &hub), 0);
	ck_assert_int_eq(aws_open(hub, &place, &aws, problem, sizeof(problem)), 0);
}

#define AWS_RIG(replies)                                                                           \
	aws_rig_start_at(replies, COUNT(replies),                                                  \
			 &(struct aws_hub_conf){.fleet_size = 1, .user_agent = "rig"})

static inline void aws_rig_stop(void)
{
	aws_close(aws);
	aws_hub_free(hub);
	rig_fini(&rig);
	ck_assert_uint_eq(world.chains, 0);
}

/* DescribeThings of ECS with paging, as an operation to be changed. */
static inline struct aws_op op_of(struct seen *seen)
{
	*seen = (struct seen){.pages = 0};
	return (struct aws_op){.service = AWS_ECS,
			       .action = "DescribeThings",
			       .input = json_object(),
			       .token_out = "nextToken",
			       .token_in = "nextToken",
			       .on_page = rig_on_page,
			       .on_end = rig_on_end,
			       .context = seen};
}

static inline void run_to_end(struct seen *seen)
{
	ck_assert_uint_eq(seen->ends, 0);
	while (!seen->ends)
		loop_turn(&rig.loop);
	ck_assert_uint_eq(seen->ends, 1);
}

static inline struct seen call(void)
{
	struct seen seen;
	struct aws_op op = op_of(&seen);

	ck_assert_ptr_nonnull(aws_start(aws, &op));
	run_to_end(&seen);
	return seen;
}
