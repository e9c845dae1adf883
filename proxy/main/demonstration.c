/* SPDX-License-Identifier: Apache-2.0
 *
 * The demonstration. Happy path: three backends on ports of their own become the targets of the one
 * pool, the picture is drawn once a second from the workers' counters, Ctrl-C drains, the summary
 * is printed.
 *
 * Failure modes: no ports for the backends (said, exit); no terminal, then nothing is drawn and the
 * operational log is what there is to read.
 */
#include "proxy/main/demonstration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/addr.h"
#include "proxy/base/clock.h"
#include "proxy/demo.h"
#include "proxy/live.h"
#include "proxy/main/supervisor.h"
#include "proxy/options.h"

#define DRAW_MS 1000

static struct {
	struct demo *demo;
	struct live *live; /* NULL: no terminal */
	struct supervisor *sv;
	struct timer timer;
} show;

int demonstration_begin(struct options *options)
{
	int err = demo_start(&show.demo);

	for (unsigned i = 0; i < DEMO_BACKENDS && !err; i++) {
		char text[ADDR_TEXT];

		err = options_add_target(options, addr_format(demo_addr(show.demo, i), text));
	}
	if (!err && isatty(STDOUT_FILENO) && isatty(STDERR_FILENO))
		err = options_add_default(options, "log_level", "warn", "--demo");
	if (err)
		fprintf(stderr, "sluice: the demo backends do not start: %s\n", strerror(-err));
	return err;
}

static void draw(struct timer *timer)
{
	struct stats_sum sum;

	supervisor_sum(show.sv, &sum);
	live_draw(show.live, &sum, show.sv->snapshot, clock_us());
	loop_arm(&show.sv->loop, timer, DRAW_MS);
}

/* Where to try it from this host: a wildcard is reachable as localhost. */
static void print_hint(const struct listener_conf *listener)
{
	char text[ADDR_TEXT];
	const struct addr *bind = &listener->bind;

	if (bind->family == AF_UNIX)
		printf("sluice is up: try  curl --unix-socket %s http://localhost/", bind->path);
	else if (bind->family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&bind->v6))
		printf("sluice is up: try  curl http://localhost:%u/", bind->port);
	else
		printf("sluice is up: try  curl http://%s/", addr_format(bind, text));
	puts("  (or /bytes/1000000000; Ctrl-C drains and ends)");
	fflush(stdout);
}

void demonstration_show(struct supervisor *sv)
{
	show.sv = sv;
	print_hint(&sv->snapshot->config->listeners[0]);
	show.live = live_new(STDOUT_FILENO);
	if (!show.live)
		return;
	timer_init(&show.timer, draw);
	draw(&show.timer);
}

static void print_summary(struct supervisor *sv)
{
	uint64_t now = clock_us();
	struct live_sample sample;
	struct stats_sum sum;
	char *text;

	supervisor_sum(sv, &sum);
	if (live_sample_init(&sample, &sum, sv->snapshot, now))
		return;
	text = live_summary(&sample, now - sv->started_us);
	if (text)
		fputs(text, stdout);
	free(text);
	live_sample_fini(&sample);
}

void demonstration_end(struct supervisor *sv)
{
	live_free(show.live);
	print_summary(sv);
	fflush(stdout);
	demo_stop(show.demo);
}
