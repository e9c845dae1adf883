/* SPDX-License-Identifier: Apache-2.0
 *
 * `top`: sample, draw, wait for a key or the next turn. The terminal is entered only after a first
 * answer, so what is wrong at the start is told like everywhere else; later, a proxy that does not
 * answer is a line on the picture, and is asked again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/ctl/ctl.h"
#include "control/ctl/top/picture.h"
#include "control/ctl/top/terminal.h"
#include "control/ctl/verbs.h"
#include "proxy/base/clock.h"

#define INTERVAL_MS       1000
#define INTERVAL_LEAST_MS 100
#define ANSWER_MS         3000

struct top {
	struct ctl *ctl;
	const char *pool;
	uint64_t interval_us;
	struct top_sample before, now;
	struct top_history history;
	struct top_view view;
	struct terminal terminal;
};

/* Until there are two, a sample is its own predecessor: all rates are 0. */
static const struct top_sample *earlier(const struct top *top)
{
	return top->before.at_us ? &top->before : &top->now;
}

static int take_sample(struct top *top)
{
	struct top_sample sample;
	int err = top_sample_take(top->ctl->client, top->pool, &sample);

	if (err < 0)
		return err;
	top_sample_fini(&top->before);
	top->before = top->now;
	top->now = sample;
	if (top->before.at_us)
		top_history_add(&top->history, &top->before, &top->now);
	return 0;
}

static int fail(const struct top *top, int err)
{
	if (err == -ENOENT && top->pool)
		return ctl_fail("no pool \"%s\", or no such socket", top->pool);
	return ctl_unreachable(top->ctl, err);
}

static void draw(const struct top *top)
{
	char *picture =
		top_picture(earlier(top), &top->now, &top->history, &top->view, &top->ctl->screen);

	if (picture)
		terminal_draw(picture);
	free(picture);
}

/* --- keys --- */

static void scroll(struct top *top, bool down)
{
	if (down && top->view.offset + 1 < top->now.target_count)
		top->view.offset++;
	else if (!down && top->view.offset)
		top->view.offset--;
}

/* False when the key means to leave. */
static bool on_key(struct top *top, int key)
{
	switch (key) {
	case 'q':
	case 'Q':
		return false;
	case 's':
		top->view.sort = (top->view.sort + 1) % TOP_SORTS;
		break;
	case ' ':
		top->view.held = !top->view.held;
		break;
	case TERMINAL_UP:
	case 'k':
		scroll(top, false);
		break;
	case TERMINAL_DOWN:
	case 'j':
		scroll(top, true);
		break;
	default:
		break;
	}
	return true;
}

/* Until the next sample is due; false when it is time to leave. */
static bool wait_turn(struct top *top, uint64_t until_us)
{
	for (;;) {
		int key = 0;

		switch (terminal_wait(&top->terminal, until_us, &key)) {
		case TERMINAL_LEAVE:
			return false;
		case TERMINAL_TIME:
			return true;
		case TERMINAL_RESIZED:
			screen_measure(&top->ctl->screen, STDOUT_FILENO);
			break;
		case TERMINAL_KEY:
			if (!on_key(top, key))
				return false;
			break;
		}
		draw(top);
	}
}

static int run(struct top *top)
{
	int err = terminal_enter(&top->terminal);

	if (err < 0)
		return ctl_usage(top->ctl, "needs a terminal; --once prints one picture");
	draw(top);
	while (wait_turn(top, clock_us() + top->interval_us)) {
		err = top->view.held ? 0 : take_sample(top);
		top->view.trouble = err < 0 ? strerror(-err) : NULL;
		draw(top);
	}
	terminal_leave(&top->terminal);
	return CTL_OK;
}

/* One picture of what happened within an interval. */
static int run_once(struct top *top)
{
	struct timespec pause = {.tv_sec = (time_t)(top->interval_us / US_PER_SEC),
				 .tv_nsec = (long)(top->interval_us % US_PER_SEC * 1000)};
	int err;

	nanosleep(&pause, NULL);
	err = take_sample(top);
	if (err < 0)
		return fail(top, err);
	top->ctl->screen.height = 0;
	char *picture =
		top_picture(earlier(top), &top->now, &top->history, &top->view, &top->ctl->screen);

	if (!picture)
		return ctl_fail("out of memory");
	fputs(picture, stdout);
	free(picture);
	return CTL_OK;
}

int verb_top(struct ctl *ctl)
{
	uint64_t interval_ms = args_number(&ctl->args, "--interval", INTERVAL_MS);
	struct top top = {.ctl = ctl, .pool = args_option(&ctl->args, "--pool")};
	int err, code;

	if (interval_ms < INTERVAL_LEAST_MS)
		return ctl_usage(ctl, "--interval: at least %d ms", INTERVAL_LEAST_MS);
	if (ctl_wants_json(ctl))
		return ctl_usage(ctl, "--json: ask `status` and `targets` instead");
	top.interval_us = interval_ms * US_PER_MS;
	client_set_timeout(ctl->client, ANSWER_MS);
	err = take_sample(&top);
	if (err < 0)
		return fail(&top, err);
	code = args_option(&ctl->args, "--once") ? run_once(&top) : run(&top);
	top_sample_fini(&top.before);
	top_sample_fini(&top.now);
	return code;
}
