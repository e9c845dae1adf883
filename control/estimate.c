/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of estimate.h. Calls count against a quota per account, region and kind of call;
 * what is not known of an account (other users of it, a raised quota) `control.api_rate` stands
 * for.
 */
#include "control/estimate.h"

#include <stdlib.h>
#include <string.h>

#include "control/aws/services.h"
#include "control/settings.h"

/* Services that share a bucket, and the kind of call that fills it most (control/aws/budget.h). */
static const struct quota {
	const char *kind;
	const char *bucket;
	enum api_class class;
} quotas[] = {
	{"ec2", "ec2", API_READ}, {"asg", "ec2", API_READ},           {"elbv2", "ec2", API_READ},
	{"ecs", "ecs", API_READ}, {"cloudmap", "data", API_DISCOVER},
};

static const struct quota *quota_of(const struct source_settings *source)
{
	for (size_t i = 0; i < sizeof(quotas) / sizeof(quotas[0]); i++)
		if (strcmp(quotas[i].kind, source->kind) == 0)
			return &quotas[i];
	return NULL;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_bucket(const struct source_settings *a, const struct source_settings *b)
{
	const struct quota *x = quota_of(a), *y = quota_of(b);

	return x && y && strcmp(x->bucket, y->bucket) == 0 &&
	       same_text(a->place.region, b->place.region) &&
	       same_text(a->place.profile, b->place.profile) &&
	       same_text(a->place.role_arn, b->place.role_arn) &&
	       same_text(a->place.endpoint, b->place.endpoint);
}

/* Of one node, as configured. */
static double calls_per_s(const struct estimate *estimate, size_t index)
{
	const struct source_settings *source = &estimate->settings->sources[index];

	return source->is_aws ? estimate->calls_x100[index] * 10.0 / source->interval_ms : 0;
}

double estimate_stretch(const struct estimate *estimate, size_t index)
{
	const struct settings *settings = estimate->settings;
	const struct quota *quota = quota_of(&settings->sources[index]);
	double rate = 0, stretch;

	if (!quota)
		return 1;
	for (size_t i = 0; i < settings->source_count; i++)
		if (same_bucket(&settings->sources[index], &settings->sources[i]))
			rate += calls_per_s(estimate, i);
	stretch = rate * estimate->fleet_size /
		  ((double)settings->api_rate * api_class_worth(quota->class));
	return stretch > 1 ? stretch : 1;
}

/* Of one node, with its interval stretched. */
static double calls_per_minute(const struct estimate *estimate, size_t index)
{
	return calls_per_s(estimate, index) / estimate_stretch(estimate, index) * 60;
}

static double all_calls_per_minute(const struct estimate *estimate)
{
	double calls = 0;

	for (size_t i = 0; i < estimate->settings->source_count; i++)
		calls += calls_per_minute(estimate, i);
	return calls;
}

static void print_source(const struct estimate *estimate, size_t index, FILE *out)
{
	const struct source_settings *source = &estimate->settings->sources[index];
	double calls = calls_per_minute(estimate, index);
	double stretch = estimate_stretch(estimate, index);

	fprintf(out, "  %s/%s (%s): every %.4gs", source->pool, source->name, source->kind,
		source->interval_ms / 1000.0 * stretch);
	if (stretch > 1)
		fprintf(out, " (%.2f times as long as configured, for api_rate)", stretch);
	if (source->is_aws)
		fprintf(out, ", %.1f API calls a minute, %.1f of the fleet\n", calls,
			calls * estimate->fleet_size);
	else
		fputs(", no API calls\n", out);
}

/* The sources of a pool stand side by side, so the first of them speaks for it. */
static void print_checks(const struct estimate *estimate, size_t index, FILE *out)
{
	const struct source_settings *source = &estimate->settings->sources[index];
	double checks;

	if (index > 0 && strcmp(source[-1].pool, source->pool) == 0)
		return;
	if (!source->check_interval_ms) {
		fprintf(out, "  %s: no health checks\n", source->pool);
		return;
	}
	checks = 1000.0 / source->check_interval_ms;
	fprintf(out, "  %s: each target gets %.3g health checks a second, %.3g of the fleet\n",
		source->pool, checks, checks * estimate->fleet_size);
}

/* What is asked for the sake of this node, whatever its sources. */
static void print_node(const struct settings *settings, FILE *out)
{
	if (settings->lifecycle)
		fprintf(out,
			"  lifecycle: instance metadata every 5s, %d calls to Auto Scaling every "
			"5 minutes, heartbeats while it drains\n",
			settings->fleet_size ? 2 : 3);
	if (strcmp(settings->queue, "auto") == 0)
		fprintf(out,
			"  queue: one of its own for %s, a long poll every 20s; events make "
			"sources "
			"ask at once, intervals stay\n",
			settings->queue_topic);
	else if (strcmp(settings->queue, "off") != 0)
		fprintf(out,
			"  queue: %s, a long poll every 20s; events make sources ask at once, "
			"intervals stay\n",
			settings->queue);
}

void estimate_print(const struct estimate *estimate, FILE *out)
{
	double calls = all_calls_per_minute(estimate);

	fprintf(out, "load with %d targets a source, in a fleet of %u:\n", ESTIMATE_TARGETS,
		estimate->fleet_size);
	for (size_t i = 0; i < estimate->settings->source_count; i++)
		print_source(estimate, i, out);
	for (size_t i = 0; i < estimate->settings->source_count; i++)
		print_checks(estimate, i, out);
	print_node(estimate->settings, out);
	fprintf(out, "  in all: %.1f API calls a minute, %.1f of the fleet\n", calls,
		calls * estimate->fleet_size);
}

bool estimate_in_container(void)
{
	return getenv("ECS_CONTAINER_METADATA_URI_V4") || getenv("KUBERNETES_SERVICE_HOST");
}

bool estimate_warns(const struct estimate *estimate, bool in_container, char *buf, size_t size)
{
	const struct settings *settings = estimate->settings;
	double calls = all_calls_per_minute(estimate);

	for (size_t i = 0; in_container && i < settings->source_count; i++) {
		const struct source_settings *source = &settings->sources[i];

		if (strcmp(source->kind, "ecs") != 0 && strcmp(source->kind, "ec2") != 0)
			continue;
		snprintf(buf, size,
			 "source %s of pool %s in a container: every copy of it asks AWS by "
			 "itself, %.1f API calls a minute each and %.1f by %u of them; cloudmap "
			 "or dns cost less there",
			 source->name, source->pool, calls, calls * estimate->fleet_size,
			 estimate->fleet_size);
		return true;
	}
	return false;
}
