/* SPDX-License-Identifier: Apache-2.0
 *
 * `status`: the proxy on one screen. Facts first, then listeners, then pools, which it has in
 * common with `pools`.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "control/ctl/ctl.h"
#include "control/ctl/discovery.h"
#include "control/ctl/json.h"
#include "control/ctl/pools.h"
#include "control/ctl/show.h"
#include "control/ctl/verbs.h"
#include "proxy/base/clock.h"
#include "proxy/base/figures.h"
#include "proxy/base/version.h"

/* Before so many bytes, "calls a GB" says how short sessions are, and nothing of relaying. */
#define WORTH_A_RATE 1000000000

static void add_proxy(struct table *table, const json_t *status)
{
	char uptime[FIGURE_TEXT];

	figure_duration(field_count(status, "uptime_s") * 1000, uptime);
	show_name(table, "sluice");
	table_addf(table, "%s, pid %" PRIu64 ", up %s, %zu worker%s%s%s",
		   field_text(status, "version", "?"), field_count(status, "pid"), uptime,
		   field_size(status, "workers"), field_size(status, "workers") == 1 ? "" : "s",
		   field_known(status, "zone") ? ", zone " : "", field_text(status, "zone", ""));
}

/* Whether the program of process `pid` was taken off the disk, or another put in its place. */
static bool is_gone_from_disk(uint64_t pid)
{
	static const char mark[] = " (deleted)";
	const size_t mark_len = sizeof(mark) - 1;
	char link[32], target[4096];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/%" PRIu64 "/exe", pid);
	len = readlink(link, target, sizeof(target));
	return len > (ssize_t)mark_len && memcmp(target + len - mark_len, mark, mark_len) == 0;
}

/* This program came with the proxy that is installed, so its version is that one's. Of a rebuild
 * only the file tells, to those who may look at the process. */
static void add_upgrade(struct table *table, const json_t *status)
{
	const char *running = field_text(status, "version", "?");
	bool same = strcmp(running, SLUICE_VERSION) == 0;

	if (same && !is_gone_from_disk(field_count(status, "pid")))
		return;
	show_name(table, "upgrade");
	table_addf(table, "running %s, installed %s%s; systemctl reload-or-restart sluice", running,
		   same ? "another build of " : "", SLUICE_VERSION);
	table_colour(table, COLOUR_WARN);
}

static void add_phase(struct table *table, const json_t *status)
{
	const char *phase = field_text(status, "phase", "?");
	char left[SHOW_AGE];

	show_name(table, "phase");
	if (field_known(status, "drain_deadline"))
		table_addf(table, "%s, deadline %s", phase,
			   show_age_text(field_wall_us(status, "drain_deadline"), clock_wall_us(),
					 left));
	else
		table_add(table, phase);
	table_colour(table, strcmp(phase, "serving") == 0 ? COLOUR_GOOD : COLOUR_WARN);
}

static void add_ready(struct table *table, const json_t *status)
{
	bool ready = field_true(status, "ready");

	show_name(table, "ready");
	if (ready)
		table_add(table, "yes");
	else
		table_addf(table, "no: %s", field_text(status, "not_ready_reason", "?"));
	table_colour(table, ready ? COLOUR_GOOD : COLOUR_BAD);
}

static void add_configuration(struct table *table, const json_t *status)
{
	show_name(table, "configuration");
	table_addf(table, "%s; change %" PRIu64 " of it or of targets",
		   field_text(status, "config_file", "from the command line"),
		   field_count(status, "generation"));
}

static void add_traffic(struct table *table, const json_t *status)
{
	const json_t *totals = json_object_get(status, "totals");
	const json_t *rates = json_object_get(status, "rates");
	char to_clients[FIGURE_TEXT], to_backends[FIGURE_TEXT];

	show_name(table, "sessions");
	table_addf(table, "%" PRIu64 " open, %.0f/s, %" PRIu64 " ever",
		   field_count(totals, "sessions_open"), field_number(rates, "sessions_per_s"),
		   field_count(totals, "sessions"));
	figure_bytes(field_count(rates, "client_sent_bytes_per_s"), to_clients);
	figure_bytes(field_count(rates, "client_received_bytes_per_s"), to_backends);
	show_name(table, "traffic");
	table_addf(table, "%s/s to clients, %s/s to backends", to_clients, to_backends);
	figure_bytes(field_count(totals, "client_sent_bytes"), to_clients);
	figure_bytes(field_count(totals, "client_received_bytes"), to_backends);
	show_name(table, "");
	table_addf(table, "%s and %s ever", to_clients, to_backends);
}

static uint64_t moved_bytes(const json_t *totals)
{
	return field_count(totals, "client_sent_bytes") +
	       field_count(totals, "client_received_bytes");
}

static void add_calls(struct table *table, const json_t *status)
{
	const json_t *totals = json_object_get(status, "totals");

	if (!field_known(totals, "syscalls_per_session"))
		return;
	show_name(table, "system calls");
	if (field_known(totals, "syscalls_per_gb") && moved_bytes(totals) >= WORTH_A_RATE)
		table_addf(table, "%.1f a session, %.0f a GB",
			   field_number(totals, "syscalls_per_session"),
			   field_number(totals, "syscalls_per_gb"));
	else
		table_addf(table, "%.1f a session", field_number(totals, "syscalls_per_session"));
}

static void print_listeners(struct ctl *ctl, const json_t *listeners)
{
	static const struct column columns[] = {
		{.title = "LISTENER", .least = 8},
		{.title = "BIND", .least = 12, .drop = 1},
		{.title = "POOL", .least = 8},
		{.title = "STATE"},
		{.title = "OPEN", ALIGN_RIGHT},
		{.title = "ACCEPTED", ALIGN_RIGHT},
		{.title = "SHED", ALIGN_RIGHT, .drop = 2},
		{.title = "QUEUE", ALIGN_RIGHT, .drop = 3},
		{.title = "IN", ALIGN_RIGHT, .drop = 4},
		{.title = "OUT", ALIGN_RIGHT, .drop = 4},
	};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const json_t *listener;
	size_t i;

	json_array_foreach (listeners, i, listener) {
		show_text(table, listener, "name");
		show_text(table, listener, "bind");
		show_text(table, listener, "pool");
		show_text(table, listener, "state");
		table_colour(table, show_state_colour(field_text(listener, "state", "")));
		show_count(table, listener, "open");
		show_count(table, listener, "accepted");
		show_count(table, listener, "shed");
		show_count(table, listener, "queue_depth");
		show_bytes(table, listener, "received_bytes");
		show_bytes(table, listener, "sent_bytes");
	}
	putchar('\n');
	table_finish(table, &ctl->screen);
}

static void print_status(struct ctl *ctl, const json_t *status)
{
	struct table *table = show_facts();

	add_proxy(table, status);
	add_upgrade(table, status);
	add_phase(table, status);
	add_ready(table, status);
	add_configuration(table, status);
	add_traffic(table, status);
	add_calls(table, status);
	table_finish(table, &ctl->screen);
	print_listeners(ctl, json_object_get(status, "listeners"));
	putchar('\n');
	pools_print(ctl, json_object_get(status, "pools"));
	discovery_mention_held(ctl);
}

int verb_status(struct ctl *ctl)
{
	struct path path;

	path_init(&path, "/v1/status");
	return ctl_ask(ctl, "GET", &path, NULL, print_status);
}
