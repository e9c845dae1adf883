/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the rounding of numbers for people. Nothing can fail: the largest uint64_t is 18 EB,
 * or as many milliseconds as 213503982334 days.
 */
#include "proxy/base/figures.h"

#include <math.h>
#include <stdio.h>

#include "proxy/base/clock.h"

const char *figure_bytes(uint64_t bytes, char *buf)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double value = bytes;
	size_t unit = 0;

	/* 999.5 would print as 1000. */
	while (value >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1000;
		unit++;
	}
	snprintf(buf, FIGURE_TEXT, unit && value < 9.95 ? "%.1f %s" : "%.0f %s", value,
		 units[unit]);
	return buf;
}

uint64_t figure_rate(uint64_t before, uint64_t now, uint64_t elapsed_us)
{
	if (now <= before || !elapsed_us)
		return 0;
	return llround((double)(now - before) * US_PER_SEC / elapsed_us);
}

const char *figure_duration(uint64_t ms, char *buf)
{
	static const struct {
		const char *name;
		uint64_t sec;
	} units[] = {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}};
	uint64_t sec = ms / 1000;
	size_t unit = 0;

	if (ms < 1000 && ms) {
		snprintf(buf, FIGURE_TEXT, "%ums", (unsigned)ms);
		return buf;
	}
	while (unit < 3 && sec < units[unit].sec)
		unit++;
	uint64_t whole = sec / units[unit].sec;
	uint64_t rest = unit < 3 ? sec % units[unit].sec / units[unit + 1].sec : 0;
	int len = snprintf(buf, FIGURE_TEXT, "%llu%s", (unsigned long long)whole, units[unit].name);

	if (whole < 10 && rest)
		snprintf(buf + len, FIGURE_TEXT - (size_t)len, "%llu%s", (unsigned long long)rest,
			 units[unit + 1].name);
	return buf;
}
