/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the conversion of microseconds since the epoch into RFC 3339 text. The happy path is: split
 * off the time of day, turn the day number into a civil date, write fixed-width digits.
 *
 * Years are counted from 1 March, so that the leap day is the last one of its year and month
 * lengths follow one linear rule. Nothing can fail; a year past 9999 shows its last four digits.
 */
#include "proxy/base/timestamp.h"

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

static struct civil civil_from_day(uint64_t day_of_epoch)
{
	uint64_t days = day_of_epoch + DAYS_TO_1970;
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
