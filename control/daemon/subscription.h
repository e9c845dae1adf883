/* SPDX-License-Identifier: Apache-2.0
 *
 * Every source of the configuration, opened: what it was made of, whose API it asks, and, where
 * somebody is to ask it again and again, its feed.
 *
 * Happy path: subscriptions_open() opens what the settings have and the list has not, and the rest
 * of the list is what they have no longer. Sources of the same place share one client of AWS.
 * Failure modes: what only the source itself can see to be wrong, with its place in the file; then
 * the list is as it was.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/list.h"

struct aws;
struct aws_hub;
struct conf_errors;
struct feed;
struct loop;
struct settings;
struct source;
struct source_kind;
struct source_settings;

struct subscription {
	struct list link;          /* struct subscriptions::all, or a list of what left it */
	struct settings *settings; /* a reference: `source` stands there */
	const struct source_settings *conf;
	const struct source_kind *kind;
	struct aws *aws; /* NULL for dns and file; shared */
	struct source *source;
	struct feed *feed; /* NULL: none yet; owns `source` once it is there */
};

struct subscriptions {
	struct list all;
	struct loop *loop;
	struct aws_hub *hub;
};

void subscriptions_init(struct subscriptions *subs, struct loop *loop, struct aws_hub *hub);

/* Make the list that of `settings`, in their order; what it loses goes to `ret_left`, an empty
 * list. 0; -EINVAL with the reasons in `errors`; -ENOMEM. */
int subscriptions_open(struct subscriptions *subs, struct settings *settings,
		       struct conf_errors *errors, struct list *ret_left);

/* Of a list: feeds, sources, and clients that nobody else uses. */
void subscriptions_close(struct subscriptions *subs, struct list *list);

/* Calls of one fetch of each source, in the order of the settings; the caller frees. NULL without
 * memory. */
uint32_t *subscriptions_calls_x100(const struct subscriptions *subs, size_t expected);
