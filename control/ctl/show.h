/* SPDX-License-Identifier: Apache-2.0
 *
 * How the verbs show what several of them show.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/ctl/screen.h"
#include "control/ctl/table.h"

/* A target's state in the colour that people expect: serving is good, down is bad. */
enum colour show_state_colour(const char *state);

/* Cells. Missing values are dashes. */
void show_text(struct table *table, const json_t *object, const char *key);
void show_count(struct table *table, const json_t *object, const char *key);
void show_bytes(struct table *table, const json_t *object, const char *key);

/* A removed target that carries nothing any more; the proxy keeps it for a while, for its figures.
 */
bool show_is_gone(const json_t *target);

/* Why a target takes sessions or not, without the state and its time, which stand beside it. */
const char *show_reason(const json_t *target);

/* How long ago, "3m"; a time to come is "in 3m". */
void show_age(struct table *table, uint64_t wall_us, uint64_t now_us);

/* The same as text, into `buf` of SHOW_AGE bytes. Returns `buf`. */
#define SHOW_AGE 32
const char *show_age_text(uint64_t wall_us, uint64_t now_us, char *buf);

/* The name column of a two-column table of facts, whose value is the next cell. */
void show_name(struct table *table, const char *name);

/* A table of facts: name, value, no titles. */
struct table *show_facts(void);
