/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the terminal's modes. The happy path is: remember the modes, block the signals, set raw keys
 * and the second screen; signals get through only while we wait, so no picture is half drawn; then
 * everything back in reverse order.
 *
 * Failure modes: stdin or stdout is no terminal; the terminal hangs up, which is a signal like an
 * interrupt. Ctrl-Z is switched off, since what it leaves behind would be our screen.
 */
#include "control/ctl/top/terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/clock.h"

#define ENTER "\033[?1049h\033[?25l\033[?7l" /* second screen, no cursor, no wrapping */
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

static volatile sig_atomic_t leaving, resized;

static void on_signal(int number)
{
	if (number == SIGWINCH)
		resized = 1;
	else
		leaving = 1;
}

static void take_signals(struct terminal *terminal)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t blocked;

	sigemptyset(&action.sa_mask);
	sigemptyset(&blocked);
	for (size_t i = 0; i < SIGNALS; i++)
		sigaddset(&blocked, signals[i]);
	sigprocmask(SIG_BLOCK, &blocked, &terminal->unblocked);
	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &action, &terminal->actions[i]);
}

int terminal_enter(struct terminal *terminal)
{
	struct termios raw;

	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &terminal->before) < 0)
		return -ENOTTY;
	take_signals(terminal);
	raw = terminal->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	raw.c_cc[VSUSP] = _POSIX_VDISABLE;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	fputs(ENTER, stdout);
	fflush(stdout);
	return 0;
}

void terminal_leave(struct terminal *terminal)
{
	fputs(LEAVE, stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal->before);
	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &terminal->actions[i], NULL);
	sigprocmask(SIG_SETMASK, &terminal->unblocked, NULL);
}

/* Lines are wiped behind their text, not before it, or the picture would flicker. */
void terminal_draw(const char *picture)
{
	fputs("\033[H", stdout);
	while (*picture) {
		size_t len = strcspn(picture, "\n");
		bool last = !picture[len] || !picture[len + 1];

		fprintf(stdout, "%.*s\033[K%s", (int)len, picture, last ? "" : "\r\n");
		picture += len + (picture[len] == '\n');
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}

/* One key, since several may have been pressed. Arrows are three bytes; whatever else begins with
 * Escape is no key of ours. 0 is none. */
static int read_key(void)
{
	char byte, rest[3] = {0};

	if (read(STDIN_FILENO, &byte, 1) != 1)
		return 0;
	if (byte != '\033')
		return byte;
	if (read(STDIN_FILENO, rest, 2) != 2)
		return 0;
	if (strcmp(rest, "[A") == 0 || strcmp(rest, "OA") == 0)
		return TERMINAL_UP;
	if (strcmp(rest, "[B") == 0 || strcmp(rest, "OB") == 0)
		return TERMINAL_DOWN;
	return 0;
}

enum terminal_event terminal_wait(const struct terminal *terminal, uint64_t until_us, int *ret_key)
{
	struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
	uint64_t now_us = clock_us(), left_us = until_us > now_us ? until_us - now_us : 0;
	struct timespec left = {.tv_sec = (time_t)(left_us / US_PER_SEC),
				.tv_nsec = (long)(left_us % US_PER_SEC * 1000)};
	int ready = ppoll(&fd, 1, &left, &terminal->unblocked);

	if (leaving)
		return TERMINAL_LEAVE;
	if (resized) {
		resized = 0;
		return TERMINAL_RESIZED;
	}
	if (ready <= 0)
		return TERMINAL_TIME;
	*ret_key = read_key();
	return fd.revents & (POLLHUP | POLLERR) ? TERMINAL_LEAVE : TERMINAL_KEY;
}
