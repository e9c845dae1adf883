/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the wording of failed checks. The happy path is a sentence that an operator understands
 * without a manual, and that stays the same while the cause does: each other text is another
 * report. Failure mode: an errno without words of its own is given in those of strerror(3).
 */
#include "proxy/health/words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *connect_words(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "connect refused";
	case EHOSTUNREACH:
		return "host unreachable";
	case ENETUNREACH:
		return "network unreachable";
	case ETIMEDOUT:
		return "connect timed out";
	case ENOENT:
		return "no such socket";
	case EAGAIN: /* unix(7): the listener's backlog is full */
		return "listen queue full";
	default:
		return NULL;
	}
}

void words_connect_failed(int error, char *buf, size_t size)
{
	const char *words = connect_words(error);

	if (words)
		snprintf(buf, size, "%s", words);
	else
		snprintf(buf, size, "connect: %s", strerrordesc_np(error));
}

void words_ended(const char *how, const char *lack, size_t bytes, char *buf, size_t size)
{
	if (!bytes)
		snprintf(buf, size, "%s without an answer", how);
	else if (lack)
		snprintf(buf, size, "%s in %zu bytes", lack, bytes);
	else
		snprintf(buf, size, "%s after %zu bytes", how, bytes);
}

static void format_ms(uint32_t ms, char *buf, size_t size)
{
	if (ms % 1000)
		snprintf(buf, size, "%u ms", ms);
	else
		snprintf(buf, size, "%u s", ms / 1000);
}

void words_late(bool connected, const char *lack, size_t bytes, uint32_t timeout_ms, char *buf,
		size_t size)
{
	char time[16];

	format_ms(timeout_ms, time, sizeof(time));
	if (!connected)
		snprintf(buf, size, "no connection within %s", time);
	else if (!bytes)
		snprintf(buf, size, "no answer within %s", time);
	else if (lack)
		snprintf(buf, size, "%s in %zu bytes within %s", lack, bytes, time);
	else
		snprintf(buf, size, "no whole answer within %s, only %zu bytes", time, bytes);
}

void words_endless(const char *lack, size_t bytes, char *buf, size_t size)
{
	snprintf(buf, size, "%s in %zu bytes", lack ? lack : "no end of the answer", bytes);
}
