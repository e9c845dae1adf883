/* SPDX-License-Identifier: Apache-2.0
 *
 * A double in the place of the API, for the tests of sources: what a source asks is recorded and
 * held against the API's limits; what it hears was put down by the test, in the order in which it
 * will be asked for and in the form of control/aws/aws.h. Each page comes in a turn of the loop of
 * its own, and what is put down has to be asked for.
 * Tests that use it link with --wrap of aws_start, aws_start_batches and aws_cancel.
 */
#pragma once

#include <errno.h>

#include "control/aws/aws.h"
#include "tests/unit/source_rig.h"

#define DOUBLE_ANSWERS 128

struct double_answer {
	const char *action;
	json_t *page; /* NULL: the call fails */
	enum aws_error_kind err;
	bool more; /* there is another page */
};

struct aws_run {
	struct loop_task turn;
	struct aws_op op;
	const char *key; /* of batches */
	json_t *items;
	size_t batch;
	size_t taken;
	bool amid; /* pages of this batch were seen */
};

static struct {
	struct loop *loop;
	struct double_answer answers[DOUBLE_ANSWERS];
	size_t count;
	size_t played;
	struct aws_run *run;        /* one at a time */
	json_t *asked;              /* [[action, input], ...]; later pages are not asked for anew */
	bool no_memory;             /* the next call cannot begin */
	struct target_set *current; /* in force, as the source sees it */
} aws_double;

/* JSON with ' for ". */
static inline json_t *json_of(const char *text)
{
	char *copy = strdup(text);
	json_error_t error;
	json_t *json;

	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	json = json_loads(copy, 0, &error);
	ck_assert_msg(json != NULL, "%s in %s", error.text, copy);
	free(copy);
	return json;
}

/* --- what it says --- */

/* Takes `page`. */
static inline struct double_answer *answer_json(const char *action, json_t *page)
{
	struct double_answer *answer = &aws_double.answers[aws_double.count++];

	ck_assert_uint_le(aws_double.count, DOUBLE_ANSWERS);
	*answer = (struct double_answer){.action = action, .page = page};
	return answer;
}

static inline struct double_answer *answer(const char *action, const char *page)
{
	return answer_json(action, json_of(page));
}

static inline void answer_error(const char *action, enum aws_error_kind err)
{
	answer_json(action, NULL)->err = err;
}

/* --- what it hears --- */

static inline size_t filter_values(const json_t *filters)
{
	size_t values = 0;

	for (size_t i = 0; i < json_array_size(filters); i++)
		values += json_array_size(json_object_get(json_array_get(filters, i), "Value"));
	return values;
}

/* The limits that the APIs have. */
static inline void check_limits(const char *action, const json_t *input)
{
	ck_assert_uint_le(filter_values(json_object_get(input, "Filter")), 200);
	if (strcmp(action, "DescribeInstances") == 0) {
		ck_assert_int_eq(json_integer_value(json_object_get(input, "MaxResults")), 1000);
		ck_assert_ptr_null(json_object_get(input, "InstanceId"));
	}
	if (strcmp(action, "DescribeAutoScalingInstances") == 0)
		ck_assert_uint_le(json_array_size(json_object_get(input, "InstanceIds")), 50);
}

static inline void double_record(const char *action, json_t *input)
{
	ck_assert_ptr_nonnull(input);
	check_limits(action, input);
	json_array_append_new(aws_double.asked, json_pack("[s, O]", action, input));
}

/* The n-th input of the last fetch. */
static inline void expect_asked(size_t n, const char *action, const char *input)
{
	const json_t *call = json_array_get(aws_double.asked, n);
	char *text = json_dumps(json_array_get(call, 1), JSON_ENCODE_ANY);
	json_t *expected = json_of(input);

	ck_assert_ptr_nonnull(call);
	ck_assert_str_eq(json_string_value(json_array_get(call, 0)), action);
	ck_assert_msg(json_equal(json_array_get(call, 1), expected), "%s", text);
	free(text);
	json_decref(expected);
}

static inline size_t asked_count(const char *action)
{
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(aws_double.asked); i++) {
		const json_t *call = json_array_get(aws_double.asked, i);

		count += strcmp(json_string_value(json_array_get(call, 0)), action) == 0;
	}
	return count;
}

/* --- playing --- */

static inline void double_end(struct aws_run *run, enum aws_error_kind err)
{
	struct aws_error error = {.kind = err, .text = "the service said no"};

	aws_double.run = NULL;
	run->op.on_end(run->op.context, err ? &error : NULL);
	json_decref(run->op.input);
	json_decref(run->items);
	free(run);
}

/* The next batch's input. */
static inline void double_batch(struct aws_run *run)
{
	json_t *items = json_array(), *input = json_deep_copy(run->op.input);

	for (size_t i = 0; i < run->batch && run->taken < json_array_size(run->items); i++)
		json_array_append(items, json_array_get(run->items, run->taken++));
	json_object_set_new(input, run->key, items);
	double_record(run->op.action, input);
	json_decref(input);
}

static inline void double_turn(struct loop_task *task)
{
	struct aws_run *run = container_of(task, struct aws_run, turn);
	const struct double_answer *now = &aws_double.answers[aws_double.played++];
	int err;

	ck_assert_msg(aws_double.played <= aws_double.count, "%s: not expected", run->op.action);
	ck_assert_str_eq(run->op.action, now->action);
	ck_assert(!now->more || (run->op.token_out && run->op.token_in));
	if (run->items && !run->amid)
		double_batch(run);
	run->amid = now->more;
	err = now->err ? 0 : run->op.on_page(run->op.context, now->page);
	if (now->err)
		double_end(run, now->err);
	else if (err)
		double_end(run, err == -ENOMEM ? AWS_MEMORY : AWS_GARBAGE);
	else if (!now->more && run->taken == json_array_size(run->items))
		double_end(run, AWS_OK);
	else
		loop_ready(aws_double.loop, &run->turn);
}

struct aws_run *__wrap_aws_start(struct aws *aws, const struct aws_op *op);
struct aws_run *__wrap_aws_start_batches(struct aws *aws, const struct aws_op *op, const char *key,
					 json_t *items, size_t batch);
void __wrap_aws_cancel(struct aws_run *run);

struct aws_run *__wrap_aws_start_batches(struct aws *aws, const struct aws_op *op, const char *key,
					 json_t *items, size_t batch)
{
	struct aws_run *run = aws_double.no_memory ? NULL : calloc(1, sizeof(*run));

	ck_assert_msg(!aws_double.run, "%s begins amid another call", op->action);
	aws_double.no_memory = false;
	aws_double.run = run;
	if (!run) {
		json_decref(op->input);
		json_decref(items);
		return NULL;
	}
	*run = (struct aws_run){
		.op = *op, .key = key, .items = items, .batch = batch, .turn.run = double_turn};
	list_init(&run->turn.link);
	loop_ready(aws_double.loop, &run->turn);
	return run;
}

struct aws_run *__wrap_aws_start(struct aws *aws, const struct aws_op *op)
{
	struct aws_run *run = __wrap_aws_start_batches(aws, op, NULL, NULL, 0);

	if (run)
		double_record(op->action, op->input);
	return run;
}

void __wrap_aws_cancel(struct aws_run *run)
{
	if (!run)
		return;
	ck_assert_ptr_eq(run, aws_double.run);
	aws_double.run = NULL;
	list_remove(&run->turn.link);
	json_decref(run->op.input);
	json_decref(run->items);
	free(run);
}

/* --- a source that talks to it --- */

static inline void double_open(struct source_rig *rig, const struct source_kind *kind,
			       const char *yaml)
{
	memset(&aws_double, 0, sizeof(aws_double));
	aws_double.asked = json_array();
	rig_open(rig, kind, NULL, yaml);
	aws_double.loop = &rig->loop;
}

static inline void double_clear(void)
{
	for (size_t i = 0; i < aws_double.count; i++)
		json_decref(aws_double.answers[i].page);
	aws_double.count = aws_double.played = 0;
}

static inline void double_close(struct source_rig *rig)
{
	rig_close(rig);
	double_clear();
	json_decref(aws_double.asked);
	target_set_free(aws_double.current);
}

/* One fetch, which asks for all that was put down. */
static inline const char *double_fetch(struct source_rig *rig)
{
	json_array_clear(aws_double.asked);
	rig_fetch(rig);
	ck_assert_msg(aws_double.played == aws_double.count, "%s: not asked for (%s)",
		      aws_double.answers[aws_double.played].action, rig->problem);
	double_clear();
	return rig_text(rig);
}

#define expect_set(rig, expected)                                                                  \
	do {                                                                                       \
		const char *now = double_fetch(rig);                                               \
		ck_assert_msg(strcmp(now, expected) == 0, "%s\n(%s)", now, (rig)->problem);        \
	} while (0)

/* The whole fetch fails with this kind of error, and a sentence that has `part` in it. */
#define expect_failure(rig, error_kind, part)                                                      \
	do {                                                                                       \
		ck_assert_str_eq(double_fetch(rig), "failed: " error_kind);                        \
		expect_problem(rig, part);                                                         \
	} while (0)

#define expect_notice(rig, expected) ck_assert_str_eq((rig)->source->notice, expected)

/* What open() finds fault with in a mapping that the schema lets pass. */
static inline void expect_refusal(const struct source_kind *kind, const char *yaml,
				  const char *expected)
{
	const struct schema_map *map = discover_source_map(kind->name);
	const struct source_world world = {0};
	struct conf_errors errors = {0};
	struct node *conf = tree_of(yaml, &errors);
	struct source *source = NULL;

	schema_check(map, conf, &errors);
	ck_assert(!conf_failed(&errors));
	ck_assert_int_eq(schema_complete(map, conf), 0);
	ck_assert_int_eq(kind->open(conf, &world, &errors, &source), -EINVAL);
	ck_assert_ptr_null(source);
	ck_assert_str_eq(conf_error_text(&errors, 0), expected);
	conf_errors_fini(&errors);
	node_free(conf);
}

static inline const struct target_set *double_current(const struct source *source)
{
	return aws_double.current;
}

/* The last answer is what is in force from here on. */
static inline void double_keep(struct source_rig *rig)
{
	target_set_free(aws_double.current);
	aws_double.current = rig->set;
	rig->set = NULL;
	rig->source->current = double_current;
}
