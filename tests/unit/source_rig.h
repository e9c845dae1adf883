/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of sources share: a source of any kind made from its mapping as YAML, asked in a
 * loop of the test's own, and what it answered as text.
 */
#pragma once

#include "control/source.h"
#include "proxy/base/conf/discover_rules.h"
#include "proxy/base/conf/schema.h"
#include "proxy/base/loop.h"
#include "tests/unit/conf_rig.h"

struct source_rig {
	struct loop loop;
	struct conf_errors errors;
	struct node *conf;
	struct source *source;
	struct target_set *set; /* of the last answer; NULL: it failed */
	char kind[32];          /* of the last failure, "" if there was none */
	char problem[512];
	unsigned answers;
	unsigned hints;
	char text[8192];
};

static inline void rig_on_done(struct source *source, struct target_set *set)
{
	struct source_rig *rig = source->owner;

	target_set_free(rig->set);
	rig->set = set;
	rig->kind[0] = rig->problem[0] = '\0';
	rig->answers++;
}

static inline void rig_on_failed(struct source *source, const char *kind, const char *problem)
{
	struct source_rig *rig = source->owner;

	target_set_free(rig->set);
	rig->set = NULL;
	snprintf(rig->kind, sizeof(rig->kind), "%s", kind);
	snprintf(rig->problem, sizeof(rig->problem), "%s", problem);
	rig->answers++;
}

static inline void rig_on_hint(struct source *source)
{
	((struct source_rig *)source->owner)->hints++;
}

/* `yaml` is the mapping, which must be valid. The rest of `rig` is zero. */
static inline void rig_open(struct source_rig *rig, const struct source_kind *kind, struct aws *aws,
			    const char *yaml)
{
	const struct schema_map *map = discover_source_map(kind->name);

	memset(rig, 0, sizeof(*rig));
	ck_assert_int_eq(loop_init(&rig->loop), 0);
	rig->conf = tree_of(yaml, &rig->errors);
	schema_check(map, rig->conf, &rig->errors);
	ck_assert_msg(!conf_failed(&rig->errors), "%s", conf_error_text(&rig->errors, 0));
	ck_assert_int_eq(schema_complete(map, rig->conf), 0);
	const struct source_world world = {.loop = &rig->loop, .aws = aws};

	ck_assert_int_eq(kind->open(rig->conf, &world, &rig->errors, &rig->source), 0);
	rig->source->on_done = rig_on_done;
	rig->source->on_failed = rig_on_failed;
	rig->source->on_hint = rig_on_hint;
	rig->source->owner = rig;
}

static inline void rig_close(struct source_rig *rig)
{
	rig->source->kind->close(rig->source);
	loop_reap(&rig->loop);
	loop_fini(&rig->loop);
	target_set_free(rig->set);
	node_free(rig->conf);
	conf_errors_fini(&rig->errors);
}

/* Ask once, and turn until it has answered. */
static inline void rig_fetch(struct source_rig *rig)
{
	unsigned before = rig->answers;

	rig->source->kind->fetch(rig->source);
	ck_assert_msg(rig->answers == before, "it answered from inside fetch()");
	while (rig->answers == before)
		loop_turn(&rig->loop);
	ck_assert_uint_eq(rig->answers, before + 1);
}

static inline void rig_until_hint(struct source_rig *rig, unsigned hints)
{
	while (rig->hints < hints)
		loop_turn(&rig->loop);
}

/* One target a line: "ADDRESS [id=..] [zone=..] [weight=..] [max=..] [backup] [draining]", or
 * "failed: KIND". A weight of 100 is left out. */
static inline const char *rig_text(struct source_rig *rig)
{
	FILE *out = fmemopen(rig->text, sizeof(rig->text), "w");

	if (!rig->set)
		fprintf(out, "failed: %s", rig->kind);
	for (size_t i = 0; i < target_set_count(rig->set); i++) {
		const struct found_target *target = target_set_at(rig->set, i);

		fprintf(out, "%s%s", i ? "\n" : "", target->address);
		if (target->id)
			fprintf(out, " id=%s", target->id);
		if (target->zone)
			fprintf(out, " zone=%s", target->zone);
		if (target->weight != FOUND_WEIGHT)
			fprintf(out, " weight=%u", target->weight);
		if (target->max_connections)
			fprintf(out, " max=%u", target->max_connections);
		fprintf(out, "%s%s", target->backup ? " backup" : "",
			target->draining ? " draining" : "");
	}
	fputc('\0', out);
	fclose(out);
	return rig->text;
}

/* What it answers now. */
#define expect_answer(rig, expected)                                                               \
	do {                                                                                       \
		rig_fetch(rig);                                                                    \
		ck_assert_msg(strcmp(rig_text(rig), expected) == 0, "%s\n(%s)", (rig)->text,       \
			      (rig)->problem);                                                     \
	} while (0)

#define expect_problem(rig, part)                                                                  \
	ck_assert_msg(strstr((rig)->problem, part) != NULL, "\"%s\" is not in: %s", part,          \
		      (rig)->problem)
