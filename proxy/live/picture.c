/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what the live figures and the summary say. The happy path is: a sample copies the counters
 * and the targets' names out of a snapshot; the picture is made line by line from two samples, each
 * line cut to the screen's width before it is coloured.
 *
 * Failure modes: memory is short, then there is no picture this time; a target is in one sample
 * only, then it counts from 0; a target's place in memory was reused, then its counters seem to
 * have shrunk, and its rates are 0 for one picture.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/figures.h"
#include "proxy/live.h"
#include "proxy/snapshot.h"

#define LINE_BYTES    384
#define ENDED_BYTES   192 /* four of the longest reasons with the largest counts */
#define OTHER_ROWS    5 /* of the screen, not for targets: two totals, one rest, room for a prompt */
#define REASONS_SHOWN 4

#define BOLD   "\033[1m"
#define YELLOW "\033[33m"
#define PLAIN  "\033[0m"

static void copy_name(char *name, size_t size, const char *from)
{
	snprintf(name, size, "%s", from);
	for (; *name; name++)
		if ((unsigned char)*name < 0x20 || *name == 0x7f)
			*name = '?';
}

int live_sample_init(struct live_sample *sample, const struct stats_sum *sum,
		     const struct snapshot *snapshot, uint64_t at_us)
{
	size_t pool_count = snapshot->config->pool_count, count = 0;
	struct live_target *targets, *next;

	for (size_t i = 0; i < pool_count; i++)
		count += snapshot->pools[i].target_count;
	targets = next = calloc(count + 1, sizeof(*targets));
	if (!targets)
		return -ENOMEM;
	for (size_t i = 0; i < pool_count; i++)
		for (size_t j = 0; j < snapshot->pools[i].target_count; j++, next++) {
			const struct target *target = snapshot->pools[i].targets[j];

			next->target = target;
			copy_name(next->name, sizeof(next->name), target->name);
			stats_target_sum(&target->counts[0].c, sizeof(target->counts[0]),
					 target->worker_count, &next->counts);
		}
	*sample = (struct live_sample){
		.at_us = at_us, .sum = *sum, .targets = targets, .target_count = count};
	return 0;
}

void live_sample_fini(struct live_sample *sample)
{
	free(sample->targets);
	*sample = (struct live_sample){0};
}

/* Targets keep their order, so the same place is looked at first. */
static const struct target_counts *counts_before(const struct live_sample *before, size_t place,
						 const struct target *target)
{
	static const struct target_counts none;

	if (place < before->target_count && before->targets[place].target == target)
		return &before->targets[place].counts;
	for (size_t i = 0; i < before->target_count; i++)
		if (before->targets[i].target == target)
			return &before->targets[i].counts;
	return &none;
}

/* Of the first column. */
static int name_width(const struct live_sample *sample)
{
	size_t width = 12;

	for (size_t i = 0; i < sample->target_count; i++)
		if (strlen(sample->targets[i].name) > width)
			width = strlen(sample->targets[i].name);
	return (int)width;
}

/* The reasons by how often, at most REASONS_SHOWN; returns the length. */
static size_t print_reasons(const uint64_t *counts, char *buf, size_t size)
{
	bool shown[REASONS] = {false};
	size_t len = 0;

	buf[0] = '\0';
	for (int rank = 0; rank < REASONS_SHOWN; rank++) {
		int most = -1;

		for (int i = 0; i < REASONS; i++)
			if (counts[i] && !shown[i] && (most < 0 || counts[i] > counts[most]))
				most = i;
		if (most < 0)
			break;
		shown[most] = true;
		len += snprintf(buf + len, size - len, "%s%s %llu", rank ? ", " : "",
				reason_names[most], (unsigned long long)counts[most]);
	}
	return len;
}

static void print_line(FILE *out, const struct live_screen *screen, const char *line,
		       const char *colour)
{
	int len = strlen(line) < screen->width ? (int)strlen(line) : (int)screen->width;

	if (screen->colour && *colour)
		fprintf(out, "%s%.*s%s\n", colour, len, line, PLAIN);
	else
		fprintf(out, "%.*s\n", len, line);
}

static void print_sessions(FILE *out, const struct live_screen *screen,
			   const struct live_sample *before, const struct live_sample *now,
			   int width)
{
	const struct worker_counts *total = &now->sum.total;
	char line[LINE_BYTES], ended[ENDED_BYTES];
	uint64_t rate = figure_rate(before->sum.total.sessions, total->sessions,
				    now->at_us - before->at_us);

	print_reasons(total->reasons, ended, sizeof(ended));
	snprintf(line, sizeof(line), "  %-*s %6llu open %10llu total %8llu conn/s%s%s", width,
		 "sessions", (unsigned long long)total->sessions_open,
		 (unsigned long long)total->sessions, (unsigned long long)rate,
		 *ended ? "    ended: " : "", ended);
	print_line(out, screen, line, BOLD);
}

static void print_bytes(FILE *out, const struct live_screen *screen,
			const struct live_sample *before, const struct live_sample *now, int width)
{
	const struct worker_counts *was = &before->sum.total, *is = &now->sum.total;
	uint64_t elapsed_us = now->at_us - before->at_us;
	char line[LINE_BYTES], to_clients[FIGURE_TEXT], to_backends[FIGURE_TEXT];

	figure_bytes(figure_rate(was->client_sent_bytes, is->client_sent_bytes, elapsed_us),
		     to_clients);
	figure_bytes(figure_rate(was->client_received_bytes, is->client_received_bytes, elapsed_us),
		     to_backends);
	snprintf(line, sizeof(line), "  %-*s %8s/s to clients %8s/s to backends", width, "bytes",
		 to_clients, to_backends);
	print_line(out, screen, line, BOLD);
}

static void print_target(FILE *out, const struct live_screen *screen,
			 const struct live_target *target, const struct target_counts *was,
			 uint64_t elapsed_us, int width)
{
	const struct target_counts *is = &target->counts;
	uint64_t failed = is->connect_failures;
	char line[LINE_BYTES], bytes[FIGURE_TEXT], failures[32] = "";

	figure_bytes(figure_rate(was->sent_bytes + was->received_bytes,
				 is->sent_bytes + is->received_bytes, elapsed_us),
		     bytes);
	if (failed)
		snprintf(failures, sizeof(failures), "  %llu failed", (unsigned long long)failed);
	snprintf(line, sizeof(line), "  %-*s %6llu open %10llu total %8llu conn/s %8s/s%s", width,
		 target->name, (unsigned long long)is->open, (unsigned long long)is->sessions,
		 (unsigned long long)figure_rate(was->sessions, is->sessions, elapsed_us), bytes,
		 failures);
	print_line(out, screen, line, failed > was->connect_failures ? YELLOW : "");
}

static void print_targets(FILE *out, const struct live_screen *screen,
			  const struct live_sample *before, const struct live_sample *now,
			  int width)
{
	size_t room = screen->height > OTHER_ROWS ? screen->height - OTHER_ROWS : 1;
	size_t shown = now->target_count < room ? now->target_count : room;
	uint64_t elapsed_us = now->at_us - before->at_us;
	char line[LINE_BYTES];

	for (size_t i = 0; i < shown; i++) {
		const struct live_target *target = &now->targets[i];

		print_target(out, screen, target, counts_before(before, i, target->target),
			     elapsed_us, width);
	}
	if (shown == now->target_count)
		return;
	snprintf(line, sizeof(line), "  and %zu more targets", now->target_count - shown);
	print_line(out, screen, line, "");
}

char *live_picture(const struct live_sample *before, const struct live_sample *now,
		   const struct live_screen *screen)
{
	int width = name_width(now);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	print_sessions(out, screen, before, now, width);
	print_bytes(out, screen, before, now, width);
	print_targets(out, screen, before, now, width);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

static void summarise_calls(FILE *out, const struct stats_sum *sum, int width)
{
	uint64_t bytes = sum->total.client_sent_bytes + sum->total.client_received_bytes;
	uint64_t calls = 0;

	for (int i = 0; i < SYS_KINDS; i++)
		calls += sum->sys_calls[i];
	if (!sum->total.sessions)
		return;
	fprintf(out, "  %-*s %.1f a session", width, "system calls",
		(double)calls / sum->total.sessions);
	if (bytes)
		fprintf(out, ", %.0f a GB", calls * 1e9 / bytes);
	fprintf(out, "\n");
}

static void summarise_target(FILE *out, const struct live_target *target, int width)
{
	const struct target_counts *counts = &target->counts;
	char sent[FIGURE_TEXT], received[FIGURE_TEXT];

	fprintf(out, "  %-*s %llu session%s, %s to it, %s from it", width, target->name,
		(unsigned long long)counts->sessions, counts->sessions == 1 ? "" : "s",
		figure_bytes(counts->sent_bytes, sent),
		figure_bytes(counts->received_bytes, received));
	if (counts->connect_failures)
		fprintf(out, ", %llu failed", (unsigned long long)counts->connect_failures);
	fprintf(out, "\n");
}

static void summarise_totals(FILE *out, const struct worker_counts *total, uint64_t uptime_us,
			     int width)
{
	char to_clients[FIGURE_TEXT], to_backends[FIGURE_TEXT], ended[ENDED_BYTES];

	fprintf(out, "%llu session%s in %.1f s, %s to clients, %s to backends\n",
		(unsigned long long)total->sessions, total->sessions == 1 ? "" : "s",
		(double)uptime_us / US_PER_SEC, figure_bytes(total->client_sent_bytes, to_clients),
		figure_bytes(total->client_received_bytes, to_backends));
	if (print_reasons(total->reasons, ended, sizeof(ended)))
		fprintf(out, "  %-*s %s\n", width, "ended", ended);
}

char *live_summary(const struct live_sample *now, uint64_t uptime_us)
{
	int width = name_width(now);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	summarise_totals(out, &now->sum.total, uptime_us, width);
	for (size_t i = 0; i < now->target_count; i++)
		summarise_target(out, &now->targets[i], width);
	summarise_calls(out, &now->sum, width);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}
