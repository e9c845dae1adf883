/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what is asked of the environment about the terminal. Nothing can fail: what is not known is
 * assumed not to be there.
 */
#include "control/ctl/screen.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *const sequences[COLOURS] = {
	[COLOUR_NONE] = "",         [COLOUR_TITLE] = "\033[1m", [COLOUR_DIM] = "\033[2m",
	[COLOUR_GOOD] = "\033[32m", [COLOUR_WARN] = "\033[33m", [COLOUR_BAD] = "\033[1;31m",
	[COLOUR_NOTE] = "\033[36m",
};

static bool is_set(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value;
}

void screen_measure(struct screen *screen, int fd)
{
	struct winsize size;

	screen->width = 0;
	screen->height = 0;
	if (!isatty(fd))
		return;
	screen->width = 80;
	screen->height = 24;
	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row) {
		screen->width = size.ws_col;
		screen->height = size.ws_row;
	}
}

void screen_init(struct screen *screen, int fd)
{
	const char *term = getenv("TERM");

	*screen = (struct screen){0};
	screen_measure(screen, fd);
	screen->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	screen->colour = screen->width && !is_set("NO_COLOR") && term && strcmp(term, "dumb") != 0;
}

const char *screen_colour(const struct screen *screen, enum colour colour)
{
	return screen->colour ? sequences[colour] : "";
}

const char *screen_plain(const struct screen *screen)
{
	return screen->colour ? "\033[0m" : "";
}

void screen_print(const struct screen *screen, FILE *out, enum colour colour, const char *text)
{
	if (colour == COLOUR_NONE)
		fputs(text, out);
	else
		fprintf(out, "%s%s%s", screen_colour(screen, colour), text, screen_plain(screen));
}
