/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the conversion of microseconds since the epoch into RFC 3339 text, and back. The happy path
 * is: split off the time of day, turn the day number into a civil date, write fixed-width digits.
 *
 * Years are counted from 1 March, so that the leap day is the last one of its year and month
 * lengths follow one linear rule. Writing cannot fail; a year past 9999 shows its last four digits.
 * Reading refuses what is not in the form, and dates that are in no calendar.
 */
#include "proxy/base/timestamp.h"

#include <errno.h>
#include <stdbool.h>

#include "proxy/base/clock.h"

#define SEC_PER_DAY           86400
#define DAYS_TO_1970          719468 /* from 0000-03-01 to 1970-01-01 */
#define DAYS_PER_400_YEARS    146097
#define DAYS_PER_CENTURY      36524
#define DAYS_PER_4_YEARS      1461
#define DAYS_OF_MONTHS(month) ((153 * (month) + 2) / 5) /* before it; 0 is March */

struct civil {
	uint32_t year;
	uint32_t month;
	uint32_t day;
};

static struct civil civil_from_day(uint64_t day_number)
{
	uint64_t days = day_number + DAYS_TO_1970;
	uint32_t day = days % DAYS_PER_400_YEARS; /* of its 400-year cycle */
	uint32_t leaps = day / (DAYS_PER_4_YEARS - 1) - day / DAYS_PER_CENTURY +
			 day / (DAYS_PER_400_YEARS - 1);
	uint32_t year = (day - leaps) / 365;
	uint32_t day_of_year = day - (365 * year + year / 4 - year / 100);
	uint32_t month = (5 * day_of_year + 2) / 153;

	return (struct civil){
		.year = days / DAYS_PER_400_YEARS * 400 + year + (month >= 10),
		.month = month < 10 ? month + 3 : month - 9,
		.day = day_of_year - DAYS_OF_MONTHS(month) + 1,
	};
}

static char *put(char *at, uint32_t value, int digits, char end)
{
	for (int i = digits - 1; i >= 0; i--, value /= 10)
		at[i] = '0' + value % 10;
	at[digits] = end;
	return at + digits + 1;
}

char *timestamp_format(uint64_t wall_us, char *buf)
{
	uint64_t sec = wall_us / US_PER_SEC;
	struct civil date = civil_from_day(sec / SEC_PER_DAY);
	uint32_t of_day = sec % SEC_PER_DAY;
	char *at = buf;

	at = put(at, date.year, 4, '-');
	at = put(at, date.month, 2, '-');
	at = put(at, date.day, 2, 'T');
	at = put(at, of_day / 3600, 2, ':');
	at = put(at, of_day / 60 % 60, 2, ':');
	at = put(at, of_day % 60, 2, '.');
	at = put(at, wall_us % US_PER_SEC / US_PER_MS, 3, 'Z');
	*at = '\0';
	return buf;
}

static uint64_t day_of_epoch(const struct civil *date)
{
	uint32_t year = date->year - (date->month <= 2);
	uint32_t month = date->month > 2 ? date->month - 3 : date->month + 9;

	return year * UINT64_C(365) + year / 4 - year / 100 + year / 400 + DAYS_OF_MONTHS(month) +
	       date->day - 1 - DAYS_TO_1970;
}

/* Exactly `digits` of them, then `end`, unless that is 0; moves `*text` behind both. */
static bool take(const char **text, int digits, char end, uint32_t *ret_value)
{
	uint32_t value = 0;

	for (int i = 0; i < digits; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		value = value * 10 + (uint32_t)(**text - '0');
	}
	*ret_value = value;
	return !end || *(*text)++ == end;
}

/* `.678` or nothing; what is finer than a microsecond is dropped. */
static bool take_fraction(const char **text, uint32_t *ret_us)
{
	uint32_t us = 0, weight = US_PER_SEC / 10;

	if (**text == '.') {
		const char *first = ++*text;

		for (; **text >= '0' && **text <= '9'; (*text)++, weight /= 10)
			us += (uint32_t)(**text - '0') * weight;
		if (*text == first)
			return false;
	}
	*ret_us = us;
	return true;
}

/* The last day of February and of 30-day months: only a real date survives the way back. */
static bool is_in_calendar(const struct civil *date)
{
	struct civil back;

	if (date->year < 1970 || date->month < 1 || date->month > 12 || date->day < 1 ||
	    date->day > 31)
		return false;
	back = civil_from_day(day_of_epoch(date));
	return back.month == date->month && back.day == date->day;
}

int timestamp_parse(const char *text, uint64_t *ret_wall_us)
{
	struct civil date;
	uint32_t hour, minute, second, us;

	if (!take(&text, 4, '-', &date.year) || !take(&text, 2, '-', &date.month) ||
	    !take(&text, 2, 'T', &date.day) || !take(&text, 2, ':', &hour) ||
	    !take(&text, 2, ':', &minute) || !take(&text, 2, 0, &second) ||
	    !take_fraction(&text, &us))
		return -EINVAL;
	if (text[0] != 'Z' || text[1] || !is_in_calendar(&date) || hour > 23 || minute > 59 ||
	    second > 60)
		return -EINVAL;
	*ret_wall_us = (day_of_epoch(&date) * SEC_PER_DAY + hour * 3600 + minute * 60 + second) *
			       US_PER_SEC +
		       us;
	return 0;
}
