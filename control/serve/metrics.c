/* SPDX-License-Identifier: Apache-2.0
 *
 * /metrics: each source's age, size and history, who we are to AWS, what that was asked and said,
 * and what came from the queue and of the instance's end. Happy path: facts are written down.
 * Failure modes: memory, then there is no text.
 */
#include "control/aws/aws.h"
#include "control/feed.h"
#include "control/journal.h"
#include "control/lifecycle.h"
#include "control/link.h"
#include "control/queue.h"
#include "control/serve/desk.h"
#include "proxy/base/clock.h"
#include "proxy/base/exposition.h"
#include "proxy/base/version.h"

#define PREFIX "sluice_control_"
#define SOURCE PREFIX "source_"

static uint64_t targets(const struct feed *feed)
{
	return target_set_count(feed->current);
}

static uint64_t usable(const struct feed *feed)
{
	return target_set_usable(feed->current);
}

static uint64_t generation(const struct feed *feed)
{
	return feed->generation;
}

static uint64_t is_pushed(const struct feed *feed)
{
	return feed->current && feed->generation && !*feed->push_problem;
}

static uint64_t failing(const struct feed *feed)
{
	return feed->failures_in_a_row;
}

static uint64_t is_held(const struct feed *feed)
{
	return feed->hold.set != NULL;
}

static uint64_t fetches(const struct feed *feed)
{
	return feed->fetches;
}

static uint64_t failures(const struct feed *feed)
{
	return feed->failures;
}

static uint64_t applies(const struct feed *feed)
{
	return feed->applies;
}

static uint64_t holds(const struct feed *feed)
{
	return feed->holds;
}

static const struct {
	const char *name;
	const char *type;
	const char *help;
	uint64_t (*value)(const struct feed *feed);
} rows[] = {
	{SOURCE "targets", "gauge", "Targets of the set in force.", targets},
	{SOURCE "usable_targets", "gauge", "Of them, those that take new sessions.", usable},
	{SOURCE "generation", "gauge", "Generation of the last set that the proxy took.",
	 generation},
	{SOURCE "pushed", "gauge", "1 while the proxy has the set in force.", is_pushed},
	{SOURCE "failing", "gauge", "Failures in a row; 0 while the source answers.", failing},
	{SOURCE "held", "gauge", "1 while an answer is held back, until approved or confirmed.",
	 is_held},
	{SOURCE "fetches_total", "counter", "Questions asked.", fetches},
	{SOURCE "failures_total", "counter", "Questions that got no whole answer.", failures},
	{SOURCE "applies_total", "counter", "Answers that changed what is in force.", applies},
	{SOURCE "holds_total", "counter", "Changes that were held back.", holds},
};

#define of_link(at) container_of(at, struct feed, link)

static void begin(struct exposition *out, const struct feed *feed)
{
	exposition_sample(out, "");
	exposition_label(out, "pool", feed->pool);
	exposition_label(out, "source", feed->name);
	exposition_label(out, "kind", feed->kind->name);
}

/* Only of sources that answered some time, or whose file did. */
static void write_ages(struct exposition *out, const struct feed_set *feeds)
{
	uint64_t now_us = clock_wall_us();

	exposition_metric(out, SOURCE "age_seconds", "gauge",
			  "Since the source last gave a whole answer.");
	list_for_each (at, &feeds->feeds) {
		const struct feed *feed = of_link(at);
		uint64_t at_us = feed->answered_wall_us;

		if (!at_us)
			continue;
		begin(out, feed);
		exposition_real(out, now_us > at_us ? (double)(now_us - at_us) / US_PER_SEC : 0);
	}
}

static void write_intervals(struct exposition *out, const struct feed_set *feeds)
{
	exposition_metric(out, SOURCE "interval_seconds", "gauge",
			  "Between two questions, as stretched for the fleet.");
	list_for_each (at, &feeds->feeds) {
		begin(out, of_link(at));
		exposition_real(out, feed_interval_ms(of_link(at)) / 1000.0);
	}
}

static void write_origins(struct exposition *out, const struct feed_set *feeds)
{
	exposition_metric(
		out, SOURCE "origin", "gauge",
		"1 for where the set in force comes from: the source, the last-known-good "
		"file, the proxy, or nothing yet.");
	list_for_each (at, &feeds->feeds)
		for (int origin = FEED_NOTHING; origin <= FEED_SOURCE; origin++) {
			begin(out, of_link(at));
			exposition_label(out, "origin", feed_origin_names[origin]);
			exposition_integer(out, (int)of_link(at)->origin == origin);
		}
}

/* Of sources whose credentials have an end: several may share them. */
static void write_credentials(struct exposition *out, const struct feed_set *feeds)
{
	exposition_metric(out, PREFIX "credentials_expiry_timestamp_seconds", "gauge",
			  "When the credentials that the source is asked with end, since the "
			  "epoch. They are renewed 15 minutes ahead.");
	list_for_each (at, &feeds->feeds) {
		const struct feed *feed = of_link(at);
		uint64_t expires_us = 0;
		const char *provider = feed->aws ? aws_credentials(feed->aws, &expires_us) : NULL;

		if (!provider || !expires_us)
			continue;
		begin(out, feed);
		exposition_label(out, "provider", provider);
		exposition_real(out, (double)expires_us / (double)US_PER_SEC);
	}
}

static void write_feeds(struct exposition *out, const struct feed_set *feeds)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		exposition_metric(out, rows[i].name, rows[i].type, rows[i].help);
		list_for_each (at, &feeds->feeds) {
			begin(out, of_link(at));
			exposition_integer(out, rows[i].value(of_link(at)));
		}
	}
	write_ages(out, feeds);
	write_intervals(out, feeds);
	write_origins(out, feeds);
	write_credentials(out, feeds);
}

static void write_calls(struct exposition *out, const struct aws_counts *counts, const char *name,
			const char *help, size_t offset)
{
	exposition_metric(out, name, "counter", help);
	for (int i = 0; i < AWS_SERVICES; i++) {
		exposition_sample(out, "");
		exposition_label(out, "service", aws_service_names[i]);
		exposition_integer(out, *(const uint64_t *)((const char *)&counts[i] + offset));
	}
}

static void write_errors(struct exposition *out, const struct aws_counts *counts)
{
	exposition_metric(out, PREFIX "aws_errors_total", "counter",
			  "Operations that ended in an error, by its kind.");
	for (int i = 0; i < AWS_SERVICES; i++)
		for (int kind = AWS_OK + 1; kind < AWS_ERROR_KINDS; kind++) {
			exposition_sample(out, "");
			exposition_label(out, "service", aws_service_names[i]);
			exposition_label(out, "error", aws_error_kind_names[kind]);
			exposition_integer(out, counts[i].errors[kind]);
		}
}

static void write_aws(struct exposition *out, const struct aws_hub *hub)
{
	struct aws_counts counts[AWS_SERVICES];

	aws_hub_counts(hub, counts);
	write_calls(out, counts, PREFIX "aws_calls_total", "Requests sent, retries included.",
		    offsetof(struct aws_counts, calls));
	write_calls(out, counts, PREFIX "aws_retries_total", "Requests that were sent again.",
		    offsetof(struct aws_counts, retries));
	write_calls(out, counts, PREFIX "aws_throttles_total",
		    "Answers that said we ask too often.", offsetof(struct aws_counts, throttles));
	write_calls(out, counts, PREFIX "aws_budget_waits_total",
		    "Calls that waited for the budget that we keep ourselves.",
		    offsetof(struct aws_counts, waits));
	write_errors(out, counts);
	exposition_metric(out, PREFIX "aws_clock_ahead_seconds", "gauge",
			  "How far AWS' clock is ahead of ours, as corrected for.");
	exposition_sample(out, "");
	exposition_real(out, (double)aws_hub_skew_ms(hub) / 1000);
}

/* Without a queue there is no sample. */
static void write_queue(struct exposition *out, const struct queue *queue)
{
	exposition_metric(out, PREFIX "queue_up", "gauge", "1 while events come from the queue.");
	if (queue) {
		exposition_sample(out, "");
		exposition_integer(out, queue_is_well(queue));
	}
	exposition_metric(out, PREFIX "queue_messages_total", "counter",
			  "Messages that the queue gave us.");
	if (queue) {
		exposition_sample(out, "");
		exposition_integer(out, queue_messages(queue));
	}
}

static void write_lifecycle(struct exposition *out, const struct lifecycle *lifecycle)
{
	exposition_metric(out, PREFIX "lifecycle_phase", "gauge",
			  "1 for the phase of this instance's end: watching for it, draining, or "
			  "drained.");
	for (int phase = 0; lifecycle && phase < LIFECYCLE_PHASES; phase++) {
		exposition_sample(out, "");
		exposition_label(out, "phase", lifecycle_phase_names[phase]);
		exposition_integer(out, (int)lifecycle_phase(lifecycle) == phase);
	}
}

static void write_daemon(struct exposition *out, const struct desk *desk)
{
	const struct link *link = desk->conf.feeds->link;
	char why[256];

	exposition_metric(out, PREFIX "build_info", "gauge", "Always 1; the label says what runs.");
	exposition_sample(out, "");
	exposition_label(out, "version", SLUICE_VERSION);
	exposition_integer(out, 1);
	exposition_metric(out, PREFIX "start_time_seconds", "gauge",
			  "When the process started, since the epoch.");
	exposition_sample(out, "");
	exposition_real(out, (double)desk->started_wall_us / (double)US_PER_SEC);
	exposition_single(out, PREFIX "ready", "gauge", "1 if /readyz says yes.",
			  serve_is_ready(desk, why, sizeof(why)));
	exposition_single(out, PREFIX "proxy_up", "gauge",
			  "1 while the proxy's admin socket answers.", link && link_is_up(link));
	exposition_single(out, PREFIX "fleet_size", "gauge",
			  "Nodes that share the budget of calls.", desk->conf.feeds->fleet_size);
	exposition_single(out, PREFIX "events_total", "counter", "Events so far.",
			  journal_count(desk->conf.journal));
}

char *serve_metrics(const struct desk *desk)
{
	struct exposition out = {0};

	write_daemon(&out, desk);
	write_feeds(&out, desk->conf.feeds);
	write_queue(&out, desk->conf.queue ? *desk->conf.queue : NULL);
	write_lifecycle(&out, desk->conf.lifecycle ? *desk->conf.lifecycle : NULL);
	if (desk->conf.hub)
		write_aws(&out, desk->conf.hub);
	return exposition_take(&out);
}
