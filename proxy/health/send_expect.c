/* SPDX-License-Identifier: Apache-2.0
 *
 * The check `send_expect`: bytes are sent, or none if the server speaks first, and others must
 * come somewhere in the answer. Only the end of the answer is searched again when more of it
 * comes, so that a server which sends single bytes costs no more than another. Failure mode: the
 * answer ends without them, which check.c says with the words of `lack`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/health/probe.h"

static uint8_t *make_request(const struct health_conf *conf, const struct addr *addr,
			     const uint8_t *random, size_t *ret_size)
{
	uint8_t *request = malloc(conf->send.size + 1);

	if (!request)
		return NULL;
	if (conf->send.size)
		memcpy(request, conf->send.data, conf->send.size);
	*ret_size = conf->send.size;
	return request;
}

static enum probe_outcome judge(const struct health_conf *conf, const struct probe_answer *answer,
				char *ret_text)
{
	size_t searched = answer->size - answer->fresh;
	size_t back = conf->expect.size ? conf->expect.size - 1 : 0;
	size_t from = searched > back ? searched - back : 0;

	if (!memmem(answer->data + from, answer->size - from, conf->expect.data, conf->expect.size))
		return PROBE_MORE;
	snprintf(ret_text, PROBE_TEXT, "expected text found");
	return PROBE_GOOD;
}

const struct probe send_expect_probe = {
	.request = make_request,
	.judge = judge,
	.lack = "expected text not found",
};
