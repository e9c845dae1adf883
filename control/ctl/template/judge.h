/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rules of `doctor --template` share: the resource at hand, what the configuration says,
 * and how a contradiction is written down.
 */
#pragma once

#include "control/ctl/template/template.h"

enum judge_verdict { JUDGE_WARN, JUDGE_FAIL };

struct judge {
	const struct template *template;
	const struct node *conf;     /* settled */
	const struct node *resource; /* at hand; its name is the logical one */
	json_t *lines;               /* NULL once memory was short */
	char words[4][256];          /* of judge_words(), in turn */
	unsigned word;
};

/* A text that lives until the fourth call after it. */
const char *judge_words(struct judge *judge, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Three halves of a sentence: what was `found` at `where`, what the configuration says, and what to
 * set. `attribute` is the template's name for it. */
void judge_say(struct judge *judge, enum judge_verdict verdict, const struct conf_where *where,
	       const char *attribute, const char *found, const char *configured,
	       const char *remedy);

/* One of a list of {Key, Value}. False: not known. Else what it says, or `fallback` if it is not
 * there; `ret_where` is its place, or that of the list or the resource. */
bool judge_attribute(const struct judge *judge, const char *list, const char *key,
		     const char *fallback, char *ret_text, struct conf_where *ret_where);
bool judge_attribute_is(const struct judge *judge, const char *list, const char *key,
			const char *fallback, const char *text, struct conf_where *ret_where);
bool judge_attribute_number(const struct judge *judge, const char *list, const char *key,
			    const char *fallback, uint64_t *ret_number,
			    struct conf_where *ret_where);

/* The same of a property. */
bool judge_property(const struct judge *judge, const char *name, const char *fallback,
		    char *ret_text, struct conf_where *ret_where);
bool judge_property_number(const struct judge *judge, const char *name, const char *fallback,
			   uint64_t *ret_number, struct conf_where *ret_where);

/* --- what the configuration says --- */

/* A duration of a mapping in milliseconds; 0 for "off" and what is not there. */
uint64_t judge_ms(const struct node *mapping, const char *key);

/* From SIGTERM to the end of the last session, in whole seconds, rounded up. */
uint64_t judge_stop_s(const struct judge *judge);
/* How long connections are accepted at most after it. */
uint64_t judge_lame_duck_ms(const struct judge *judge);

/* The listener that takes connections on a port, or NULL. */
const struct node *judge_listener(const struct judge *judge, uint64_t port);
/* The TCP port of admin.KEY, 0 if there is none. */
uint64_t judge_admin_port(const struct judge *judge, const char *key);

/* --- the rules, by type of resource --- */

void judge_target_group(struct judge *judge);      /* target_group.c */
void judge_target_group_keys(struct judge *judge); /* keys.c */
void judge_balancer(struct judge *judge);          /* balancer.c */
void judge_balancer_listener(struct judge *judge);
void judge_group(struct judge *judge); /* group.c: an Auto Scaling group */
void judge_hook(struct judge *judge);
void judge_launch(struct judge *judge);
void judge_task(struct judge *judge); /* task.c: an ECS task definition */
