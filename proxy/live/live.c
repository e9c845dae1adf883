/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the place on the terminal where the live figures are drawn. The happy path is: each picture
 * begins with an empty line, is written below the cursor in one go, and the cursor goes back to
 * where it began; so what else is written meanwhile, a log line or the ^C of an interrupt, lands on
 * the empty line, scrolls up like any other line, and the next picture begins below it.
 *
 * Failure modes: the terminal is stopped or slow, then the rest of a picture waits for the next
 * turn and further ones are left out; it is resized, then the next picture has the new size.
 *
 * The terminal is opened a second time, to have O_NONBLOCK for ourselves alone: the flag belongs to
 * the open file, which we share with the shell (fcntl(2)), and poll(2) calls a terminal writable
 * that takes one byte.
 */
#include "proxy/live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_IF_UNKNOWN  80
#define HEIGHT_IF_UNKNOWN 24

#define WIPE_BELOW "\r\033[J"
#define GO_UP      "\033[%uA\r"

struct live {
	int fd;
	bool colour;
	char *text; /* being written; NULL if none */
	size_t written;
	struct live_sample last;
};

static int open_again(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

struct live *live_new(int fd)
{
	const char *terminal = getenv("TERM"), *no_colour = getenv("NO_COLOR");
	struct live *live;

	if (!isatty(fd) || !terminal || !*terminal || !strcmp(terminal, "dumb"))
		return NULL;
	live = calloc(1, sizeof(*live));
	if (!live)
		return NULL;
	live->fd = open_again(fd);
	if (live->fd < 0) {
		free(live);
		return NULL;
	}
	live->colour = !no_colour || !*no_colour;
	return live;
}

static struct live_screen screen_of(const struct live *live)
{
	struct live_screen screen = {WIDTH_IF_UNKNOWN, HEIGHT_IF_UNKNOWN, live->colour};
	struct winsize size;

	if (!ioctl(live->fd, TIOCGWINSZ, &size) && size.ws_col && size.ws_row) {
		screen.width = size.ws_col;
		screen.height = size.ws_row;
	}
	return screen;
}

static unsigned count_lines(const char *text)
{
	unsigned lines = 0;

	for (; (text = strchr(text, '\n')); text++)
		lines++;
	return lines;
}

static void show_rest(struct live *live)
{
	size_t len = live->text ? strlen(live->text) : 0;
	ssize_t n;

	while (live->written < len) {
		n = write(live->fd, live->text + live->written, len - live->written);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		live->written = n < 0 ? len : live->written + n; /* a terminal that hung up */
	}
	free(live->text);
	live->text = NULL;
	live->written = 0;
}

/* Takes `text` over. Writes as much of it as goes at once. */
static void show(struct live *live, char *text)
{
	free(live->text);
	live->text = text;
	live->written = 0;
	show_rest(live);
}

static void draw(struct live *live, const struct live_sample *now)
{
	struct live_screen screen = screen_of(live);
	char *picture = live_picture(&live->last, now, &screen);
	char *text = NULL;

	if (picture &&
	    asprintf(&text, WIPE_BELOW "\n%s" GO_UP, picture, count_lines(picture) + 1) >= 0)
		show(live, text);
	free(picture);
}

void live_draw(struct live *live, const struct stats_sum *sum, const struct snapshot *snapshot,
	       uint64_t now_us)
{
	struct live_sample now;

	if (live_sample_init(&now, sum, snapshot, now_us) < 0)
		return;
	if (!live->last.at_us)
		live->last.at_us = now_us; /* nothing to compare with: rates are 0 */
	show_rest(live);
	if (!live->text)
		draw(live, &now);
	live_sample_fini(&live->last);
	live->last = now;
}

void live_free(struct live *live)
{
	if (!live)
		return;
	show_rest(live);
	if (!live->text)
		show(live, strdup(WIPE_BELOW));
	free(live->text);
	close(live->fd);
	live_sample_fini(&live->last);
	free(live);
}
