/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the pauses and the deadline of --wait. A pause starts at 50 ms, so that what is quick is
 * noticed quickly, and grows to a second. The only failure is that time is over.
 */
#include "control/ctl/wait.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "control/ctl/ctl.h"
#include "control/ctl/utf8.h"
#include "proxy/base/clock.h"
#include "proxy/base/figures.h"

#define PAUSE_FIRST_US (50 * US_PER_MS)
#define PAUSE_MAX_US   US_PER_SEC
#define LINE_BYTES     256

void wait_begin(struct wait *wait, const struct ctl *ctl)
{
	uint64_t now_us = clock_us();

	*wait = (struct wait){
		.begun_us = now_us, .pause_us = PAUSE_FIRST_US, .terminal = isatty(STDERR_FILENO)};
	if (ctl->args.wait_ms)
		wait->deadline_us = now_us + ctl->args.wait_ms * US_PER_MS;
}

static void sleep_us(uint64_t us)
{
	struct timespec pause = {.tv_sec = (time_t)(us / US_PER_SEC),
				 .tv_nsec = (long)(us % US_PER_SEC * 1000)};

	nanosleep(&pause, NULL);
}

static void draw(struct wait *wait, const char *line)
{
	char waited[FIGURE_TEXT];

	if (!wait->terminal)
		return;
	fprintf(stderr, "\r\033[Kwaiting %s: %s",
		figure_duration((clock_us() - wait->begun_us) / US_PER_MS, waited), line);
	wait->drawn = true;
}

int wait_again(struct wait *wait, const char *format, ...)
{
	uint64_t now_us = clock_us(), pause_us = wait->pause_us;
	char line[LINE_BYTES];
	va_list list;

	va_start(list, format);
	vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	utf8_clean(line);
	if (wait->deadline_us && now_us >= wait->deadline_us) {
		wait_end(wait);
		ctl_fail("timed out: %s", line);
		return CTL_TIMED_OUT;
	}
	draw(wait, line);
	if (wait->deadline_us && now_us + pause_us > wait->deadline_us)
		pause_us = wait->deadline_us - now_us;
	sleep_us(pause_us);
	wait->pause_us = wait->pause_us * 3 / 2;
	if (wait->pause_us > PAUSE_MAX_US)
		wait->pause_us = PAUSE_MAX_US;
	return CTL_OK;
}

void wait_end(struct wait *wait)
{
	if (wait->drawn)
		fputs("\r\033[K", stderr);
	wait->drawn = false;
}
