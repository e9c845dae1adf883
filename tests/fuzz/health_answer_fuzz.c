/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the answer to a health check: the first byte says which kind of check and how many
 * bytes come at once. However an answer is torn, and whatever follows, the outcome and its text are
 * the same; once there is an outcome, it came with no fewer bytes than if they come one by one.
 * Built by `make fuzz` with libFuzzer, and by `make replay` with replay.c over
 * tests/fuzz/corpus/health_answer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/panic.h"
#include "proxy/health/probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct health_conf conf = {
	.status_low = 200,
	.status_high = 399,
	.expect = {(uint8_t *)"+PO+PONG", 8},
};

struct outcome {
	enum probe_outcome kind;
	size_t used;
	char text[PROBE_TEXT];
};

/* Each piece in memory of its own, so that a byte too far shows. */
static struct outcome judge(const struct probe *probe, const uint8_t *data, size_t size,
			    size_t piece)
{
	struct outcome outcome = {.kind = PROBE_MORE};

	while (outcome.kind == PROBE_MORE && outcome.used < size) {
		size_t fresh = size - outcome.used < piece ? size - outcome.used : piece;
		uint8_t *copy = malloc(outcome.used + fresh);
		struct probe_answer answer = {copy, outcome.used + fresh, fresh};

		must(copy);
		memcpy(copy, data, answer.size);
		outcome.kind = probe->judge(&conf, &answer, outcome.text);
		outcome.used = answer.size;
		free(copy);
	}
	must(memchr(outcome.text, '\0', sizeof(outcome.text)));
	must(!*outcome.text == (outcome.kind == PROBE_MORE));
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct probe *const probes[] = {&http_probe, &tls_probe, &send_expect_probe};
	const struct probe *probe;
	struct outcome one, many, all;
	size_t piece;

	if (!size || size > PROBE_ANSWER_MAX)
		return -1;
	probe = probes[data[0] % 3];
	piece = data[0] / 3 + 1;
	one = judge(probe, data + 1, size - 1, 1);
	many = judge(probe, data + 1, size - 1, piece);
	all = judge(probe, data + 1, size - 1, size);
	must(one.kind == many.kind && one.kind == all.kind);
	must(!strcmp(one.text, many.text) && !strcmp(one.text, all.text));
	must(one.used <= many.used && many.used < one.used + piece);
	return 0;
}
