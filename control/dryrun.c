/* SPDX-License-Identifier: Apache-2.0
 *
 * The diff between what the proxy has and what the sources say. See control/dryrun.h.
 *
 * Happy path: the proxy's word comes first, since sources judge gaps in answers by what is in
 * force; then answers are collected, one per feed, and the last of them to come prints everything,
 * in the order of the configuration.
 */
#include "control/dryrun.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/feed.h"
#include "control/link.h"

#define STATUS_OK         0
#define STATUS_INCOMPLETE 3

/* What came of one feed's source. */
struct answer {
	struct dryrun *dryrun;
	struct feed *feed;
	struct target_set *set; /* NULL: not yet, or it failed */
	char problem[512];      /* "" unless it failed */
	bool ended;
};

struct dryrun {
	struct dryrun_conf conf;
	struct answer *answers;
	size_t count;
	size_t missing; /* answers */
	bool proxy_heard;
	char proxy_problem[256]; /* "" when it was read */
};

static const char *text_or(const char *text, const char *instead)
{
	return text ? text : instead;
}

static void print_values(FILE *out, const struct found_target *was, const struct found_target *is)
{
	if (was->weight != is->weight)
		fprintf(out, ", weight %u to %u", was->weight, is->weight);
	if (strcmp(text_or(was->zone, ""), text_or(is->zone, "")) != 0)
		fprintf(out, ", zone %s to %s", text_or(was->zone, "none"),
			text_or(is->zone, "none"));
	if (was->max_connections != is->max_connections)
		fprintf(out, ", max_connections %u to %u", was->max_connections,
			is->max_connections);
	if (was->backup != is->backup)
		fprintf(out, ", %s", is->backup ? "becomes a backup" : "no backup any more");
}

static void print_change(void *context, enum set_change change, const struct found_target *was,
			 const struct found_target *is)
{
	static const char signs[] = {'+', '-', '~', '~', '~'};
	const struct found_target *target = is ? is : was;
	FILE *out = context;

	fprintf(out, "  %c %s", signs[change], target->address);
	if (target->id)
		fprintf(out, " %s", target->id);
	fprintf(out, " %s", set_change_names[change]);
	if (change == SET_ADDED)
		fprintf(out, ", weight %u, zone %s%s%s", is->weight, text_or(is->zone, "unknown"),
			is->backup ? ", backup" : "", is->draining ? ", draining" : "");
	else if (change != SET_REMOVED)
		print_values(out, was, is);
	fputc('\n', out);
}

static bool is_down(void *context, const struct found_target *target)
{
	const struct answer *answer = context;

	return link_is_down(answer->dryrun->conf.link, answer->feed->pool, target);
}

/* Whether the guard would let it through now. */
static bool print_verdict(struct answer *answer, const struct target_set *had, FILE *out)
{
	struct guard_hold hold = {0};
	struct target_set *next = target_set_copy(answer->set);
	enum guard_verdict verdict;
	char text[128];

	if (!next) {
		fprintf(out, "  ! out of memory\n");
		return false;
	}
	verdict = guard_judge(&answer->feed->guard, had, &next, &hold, 0,
			      *answer->dryrun->proxy_problem ? NULL : is_down, answer);
	if (hold.set)
		fprintf(out, "  ! held back (%s): %s\n", guard_verdict_names[verdict],
			guard_explain(&hold, had, text, sizeof(text)));
	guard_hold_clear(&hold);
	target_set_free(next);
	return verdict == GUARD_SAME || verdict == GUARD_APPLY;
}

/* What the proxy has of this source; NULL: nothing, or nobody knows. */
static const struct target_set *had_before(const struct answer *answer)
{
	const struct dryrun *dryrun = answer->dryrun;

	return *dryrun->proxy_problem
		       ? NULL
		       : link_current(dryrun->conf.link, answer->feed->pool, answer->feed->name);
}

/* False when it failed or would be held. */
static bool print_answer(struct answer *answer)
{
	const struct feed *feed = answer->feed;
	const struct dryrun_conf *conf = &answer->dryrun->conf;
	const struct target_set *had = conf->link && !*answer->dryrun->proxy_problem
					       ? link_current(conf->link, feed->pool, feed->name)
					       : NULL;
	size_t changes;

	fprintf(conf->out, "%s %s (%s): ", feed->pool, feed->name, feed->kind->name);
	if (!answer->set) {
		fprintf(conf->out, "failed: %s\n", answer->problem);
		return false;
	}
	changes = target_set_diff(had, answer->set, NULL, NULL);
	fprintf(conf->out, "%zu targets, the proxy has %zu, %zu %s\n",
		target_set_count(answer->set), target_set_count(had), changes,
		changes == 1 ? "change" : "changes");
	target_set_diff(had, answer->set, print_change, conf->out);
	if (*feed->source->notice)
		fprintf(conf->out, "  note: %s\n", feed->source->notice);
	return print_verdict(answer, had, conf->out);
}

static void print_all(struct dryrun *dryrun)
{
	int status = STATUS_OK;

	if (*dryrun->proxy_problem)
		fprintf(dryrun->conf.out,
			"the proxy cannot be read, so all is compared with "
			"nothing: %s\n",
			dryrun->proxy_problem);
	for (size_t i = 0; i < dryrun->count; i++)
		if (!print_answer(&dryrun->answers[i]))
			status = STATUS_INCOMPLETE;
	fflush(dryrun->conf.out);
	dryrun->conf.on_end(dryrun->conf.context, status);
}

/* Of the first word only: a source that is asked once may still hint, and answer again. */
static bool ends(struct answer *answer)
{
	bool first = !answer->ended;

	answer->ended = true;
	return first;
}

static void on_done(struct source *source, struct target_set *set)
{
	struct answer *answer = source->owner;

	if (!ends(answer)) {
		target_set_free(set);
		return;
	}
	answer->set = set;
	if (!--answer->dryrun->missing)
		print_all(answer->dryrun);
}

static void on_failed(struct source *source, const char *error_kind, const char *problem)
{
	struct answer *answer = source->owner;

	if (!ends(answer))
		return;
	snprintf(answer->problem, sizeof(answer->problem), "%s", problem);
	if (!--answer->dryrun->missing)
		print_all(answer->dryrun);
}

static const struct target_set *current_of(const struct source *source)
{
	return had_before(source->owner);
}

static void ask(struct answer *answer)
{
	struct source *source = answer->feed->source;

	source->owner = answer;
	source->on_done = on_done;
	source->on_failed = on_failed;
	source->on_hint = NULL;
	source->current = current_of;
	answer->feed->kind->fetch(source);
}

static size_t count_feeds(const struct feed_set *feeds)
{
	size_t count = 0;

	list_for_each (link, &feeds->feeds)
		count++;
	return count;
}

int dryrun_start(const struct dryrun_conf *conf, struct dryrun **ret_dryrun)
{
	struct dryrun *dryrun = calloc(1, sizeof(*dryrun));
	size_t i = 0;

	if (!dryrun)
		return -ENOMEM;
	dryrun->conf = *conf;
	dryrun->count = count_feeds(conf->feeds);
	dryrun->missing = dryrun->count;
	dryrun->answers = calloc(dryrun->count + 1, sizeof(*dryrun->answers));
	if (!dryrun->answers) {
		free(dryrun);
		return -ENOMEM;
	}
	list_for_each (link, &conf->feeds->feeds)
		dryrun->answers[i++] = (struct answer){
			.dryrun = dryrun, .feed = container_of(link, struct feed, link)};
	*ret_dryrun = dryrun;
	return 0;
}

void dryrun_on_proxy(struct dryrun *dryrun, const char *problem)
{
	if (dryrun->proxy_heard)
		return;
	dryrun->proxy_heard = true;
	if (problem)
		snprintf(dryrun->proxy_problem, sizeof(dryrun->proxy_problem), "%s", problem);
	for (size_t i = 0; i < dryrun->count; i++)
		ask(&dryrun->answers[i]);
	if (!dryrun->count)
		print_all(dryrun);
}

void dryrun_free(struct dryrun *dryrun)
{
	if (!dryrun)
		return;
	for (size_t i = 0; i < dryrun->count; i++)
		target_set_free(dryrun->answers[i].set);
	free(dryrun->answers);
	free(dryrun);
}
