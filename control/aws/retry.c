/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of standard retries.
 */
#include "control/aws/retry.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define COST         5
#define COST_TIMEOUT 10
#define BACKOFF_MS   1000
#define BACKOFF_MOST 20000
#define AFTER_MOST_S 300

static bool is_one_of(const char *code, const char *const *codes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(code, codes[i]))
			return true;
	return false;
}

#define IS_ONE_OF(code, codes) is_one_of(code, codes, sizeof(codes) / sizeof((codes)[0]))

bool retry_is_throttle(const char *code, long status)
{
	/* The list that the SDKs share. */
	static const char *const codes[] = {
		"Throttling",
		"ThrottlingException",
		"ThrottledException",
		"RequestThrottledException",
		"TooManyRequestsException",
		"ProvisionedThroughputExceededException",
		"TransactionInProgressException",
		"RequestLimitExceeded",
		"BandwidthLimitExceeded",
		"LimitExceededException",
		"RequestThrottled",
		"SlowDown",
		"PriorRequestNotComplete",
		"EC2ThrottledException",
	};

	return status == 429 || IS_ONE_OF(code, codes);
}

bool retry_is_worth_it(enum aws_error_kind kind, const char *code)
{
	static const char *const transient[] = {"RequestTimeout", "RequestTimeoutException"};

	switch (kind) {
	case AWS_UNREACHABLE:
	case AWS_TIMEOUT:
	case AWS_THROTTLED:
	case AWS_SERVER:
	case AWS_GARBAGE: /* the next way there may be a better one */
		return true;
	default:
		return IS_ONE_OF(code, transient);
	}
}

bool retry_pay(struct retry_quota *quota, enum aws_error_kind kind, uint32_t *ret_cost)
{
	uint32_t cost = kind == AWS_TIMEOUT ? COST_TIMEOUT : COST;

	if (quota->spent + cost > RETRY_TOKENS)
		return false;
	quota->spent += cost;
	*ret_cost = cost;
	return true;
}

void retry_refund(struct retry_quota *quota, uint32_t cost)
{
	cost = cost ?: 1;
	quota->spent -= cost < quota->spent ? cost : quota->spent;
}

uint32_t retry_delay_ms(unsigned number, uint32_t random, uint32_t wait_s)
{
	uint64_t most = number < 6 ? (uint64_t)BACKOFF_MS << (number - 1) : BACKOFF_MOST;
	uint32_t delay;

	if (most > BACKOFF_MOST)
		most = BACKOFF_MOST;
	delay = (uint32_t)((most * random) >> 32);
	/* Jitter on top: everyone was told the same time. */
	return wait_s ? wait_s * 1000 + delay / 4 : delay;
}

uint32_t retry_after_s(const char *header, uint64_t now_s)
{
	uint64_t seconds;

	if (!header)
		return 0;
	if (isdigit((unsigned char)header[0])) {
		char *end;

		seconds = strtoull(header, &end, 10);
		if (*end)
			return 0;
	} else {
		time_t date = curl_getdate(header, NULL);

		seconds = date > 0 && (uint64_t)date > now_s ? (uint64_t)date - now_s : 0;
	}
	return seconds < AFTER_MOST_S ? (uint32_t)seconds : AFTER_MOST_S;
}

uint32_t retry_random(void)
{
	uint32_t random = 0;

	/* What fails, early at boot alone, gives no jitter. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = UINT32_MAX / 2;
	return random;
}
