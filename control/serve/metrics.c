/* SPDX-License-Identifier: Apache-2.0
 *
 * /metrics: each source's age, size and history, and what AWS was asked and said. The happy path
 * writes facts down; failure modes: memory, then there is no text.
 *
 * Worth an alert: sluice_control_held above 0, sluice_control_age_seconds far above the interval,
 * sluice_control_proxy_up at 0.
 */
#include "control/aws/aws.h"
#include "control/feed.h"
#include "control/journal.h"
#include "control/link.h"
#include "control/serve/internal.h"
#include "proxy/base/clock.h"
#include "proxy/base/exposition.h"
#include "proxy/base/version.h"

#define PREFIX "sluice_control_"

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
	{PREFIX "targets", "gauge", "Targets of the set in force.", targets},
	{PREFIX "usable_targets", "gauge", "Of them, those that take new sessions.", usable},
	{PREFIX "generation", "gauge", "Of the set that the proxy has.", generation},
	{PREFIX "failing", "gauge", "Failures in a row; 0 while the source answers.", failing},
	{PREFIX "held", "gauge", "1 while an answer is held back, until approved or confirmed.",
	 is_held},
	{PREFIX "fetches_total", "counter", "Snapshots asked for.", fetches},
	{PREFIX "failures_total", "counter", "Snapshots that could not be had.", failures},
	{PREFIX "applies_total", "counter", "Snapshots that changed what is in force.", applies},
	{PREFIX "holds_total", "counter", "Rows of answers that were held back.", holds},
};

static void begin(struct exposition *out, const struct feed *feed)
{
	exposition_sample(out, "");
	exposition_label(out, "pool", feed->pool);
	exposition_label(out, "source", feed->name);
}

/* Only of sources that answered some time, or whose file did. */
static void write_ages(struct exposition *out, const struct feed_set *feeds)
{
	uint64_t now_us = clock_wall_us();

	exposition_metric(out, PREFIX "age_seconds", "gauge",
			  "Since the source last gave a whole answer.");
	list_for_each (at, &feeds->feeds) {
		const struct feed *feed = container_of(at, struct feed, link);
		uint64_t at_us = feed->answered_wall_us;

		if (!at_us)
			continue;
		begin(out, feed);
		exposition_real(out, now_us > at_us ? (double)(now_us - at_us) / US_PER_SEC : 0);
	}
}

static void write_feeds(struct exposition *out, const struct feed_set *feeds)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		exposition_metric(out, rows[i].name, rows[i].type, rows[i].help);
		list_for_each (at, &feeds->feeds) {
			const struct feed *feed = container_of(at, struct feed, link);

			begin(out, feed);
			exposition_integer(out, rows[i].value(feed));
		}
	}
	write_ages(out, feeds);
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

/* Of those that happened. */
static void write_errors(struct exposition *out, const struct aws_counts *counts)
{
	exposition_metric(out, PREFIX "aws_errors_total", "counter",
			  "Operations that ended in an error, by its kind.");
	for (int i = 0; i < AWS_SERVICES; i++)
		for (int kind = AWS_OK + 1; kind < AWS_ERROR_KINDS; kind++) {
			if (!counts[i].errors[kind])
				continue;
			exposition_sample(out, "");
			exposition_label(out, "service", aws_service_names[i]);
			exposition_label(out, "kind", aws_error_kind_names[kind]);
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
	write_calls(out, counts, PREFIX "aws_throttles_total", "Answers that said: too many.",
		    offsetof(struct aws_counts, throttles));
	write_calls(out, counts, PREFIX "aws_waits_total", "Calls that waited for our own budget.",
		    offsetof(struct aws_counts, waits));
	write_errors(out, counts);
	exposition_metric(out, PREFIX "aws_clock_ahead_seconds", "gauge",
			  "How far AWS' clock is ahead of ours, as corrected for.");
	exposition_sample(out, "");
	exposition_real(out, (double)aws_hub_skew_ms(hub) / 1000);
}

static void write_daemon(struct exposition *out, const struct serve *serve)
{
	const struct link *link = serve->conf.feeds->link;
	char why[256];

	exposition_metric(out, PREFIX "build_info", "gauge", "Always 1; the label says what runs.");
	exposition_sample(out, "");
	exposition_label(out, "version", SLUICE_VERSION);
	exposition_integer(out, 1);
	exposition_metric(out, PREFIX "start_time_seconds", "gauge",
			  "When the process started, since the epoch.");
	exposition_sample(out, "");
	exposition_real(out, (double)serve->started_wall_us / (double)US_PER_SEC);
	exposition_single(out, PREFIX "ready", "gauge", "1 if /readyz says yes.",
			  describe_is_ready(serve, why, sizeof(why)));
	exposition_single(out, PREFIX "proxy_up", "gauge", "1 while the proxy answers.",
			  link && link_is_up(link));
	exposition_single(out, PREFIX "events_total", "counter", "Events so far.",
			  journal_count(serve->conf.journal));
}

char *metrics_text(const struct serve *serve)
{
	struct exposition out = {0};

	write_daemon(&out, serve);
	write_feeds(&out, serve->conf.feeds);
	if (serve->conf.hub)
		write_aws(&out, serve->conf.hub);
	return exposition_take(&out);
}
