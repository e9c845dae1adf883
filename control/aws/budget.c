/* SPDX-License-Identifier: Apache-2.0
 *
 * Token buckets that may be in debt: whoever finds none left takes the next one that will come, and
 * waits for it. The burst lets one fetch of many pages through, and smaller nodes' share shrinks.
 */
#include "control/aws/budget.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/list.h"

#define BURST       100 /* of the whole fleet */
#define BURST_LEAST 10

struct budget {
	struct list link; /* struct budget_set::budgets */
	char *key;
	double rate;  /* tokens a second */
	double burst; /* tokens at most */
	double tokens;
	unsigned worth;     /* api_class_worth() */
	uint64_t filled_us; /* until when; 0: never asked */
};

struct budget_set {
	struct list budgets; /* struct budget::link; a handful */
	double fleet_rate;
	double rate;  /* a node's */
	double burst; /* a node's */
};

struct budget_set *budget_set_new(double rate, uint32_t nodes)
{
	struct budget_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	list_init(&set->budgets);
	set->fleet_rate = rate;
	budget_set_nodes(set, nodes);
	return set;
}

static void share(const struct budget_set *set, struct budget *budget)
{
	budget->rate = set->rate * budget->worth;
	budget->burst = set->burst * budget->worth;
}

void budget_set_nodes(struct budget_set *set, uint32_t nodes)
{
	set->rate = set->fleet_rate / nodes;
	set->burst = (double)BURST / nodes;
	if (set->burst < BURST_LEAST)
		set->burst = BURST_LEAST;
	list_for_each (link, &set->budgets)
		share(set, container_of(link, struct budget, link));
}

void budget_set_free(struct budget_set *set)
{
	struct list *link;

	if (!set)
		return;
	while ((link = list_pop_front(&set->budgets))) {
		struct budget *budget = container_of(link, struct budget, link);

		free(budget->key);
		free(budget);
	}
	free(set);
}

static struct budget *find(struct budget_set *set, const char *key)
{
	list_for_each (link, &set->budgets) {
		struct budget *budget = container_of(link, struct budget, link);

		if (!strcmp(budget->key, key))
			return budget;
	}
	return NULL;
}

struct budget *budget_of(struct budget_set *set, const char *who, const char *region,
			 enum aws_service service, enum api_class class)
{
	struct budget *budget;
	char *key;

	if (asprintf(&key, "%s\n%s\n%s\n%d", who, region, services[service].iam, (int)class) < 0)
		return NULL;
	budget = find(set, key);
	if (budget) {
		free(key);
		return budget;
	}
	budget = calloc(1, sizeof(*budget));
	if (!budget) {
		free(key);
		return NULL;
	}
	budget->key = key;
	budget->worth = api_class_worth(class);
	share(set, budget);
	budget->tokens = budget->burst;
	list_push_back(&set->budgets, &budget->link);
	return budget;
}

static void fill(struct budget *budget, uint64_t now_us)
{
	if (budget->filled_us && now_us > budget->filled_us)
		budget->tokens +=
			budget->rate * (double)(now_us - budget->filled_us) / (double)US_PER_SEC;
	if (budget->tokens > budget->burst)
		budget->tokens = budget->burst;
	budget->filled_us = now_us;
}

uint64_t budget_take(struct budget *budget, uint64_t now_us)
{
	fill(budget, now_us);
	budget->tokens -= 1;
	if (budget->tokens >= 0)
		return 0;
	return (uint64_t)(-budget->tokens / budget->rate * (double)US_PER_SEC);
}

void budget_throttled(struct budget *budget)
{
	if (budget->tokens > 0)
		budget->tokens = 0;
}
