/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a last-known-good file, as the body of one whose checksum is right, and as a set of
 * targets in JSON. Whatever is believed is a set that reads the same when it is written again.
 * Built by `make fuzz` with libFuzzer, and by `make replay` with replay.c over
 * tests/fuzz/corpus/lastgood.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/lastgood_file.h"
#include "proxy/base/panic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct lastgood_owner owner = {"k", "api", "ecs"};

static void check_set(const struct target_set *set)
{
	char problem[200], digest[SET_DIGEST_TEXT], digest_again[SET_DIGEST_TEXT];
	json_t *json = target_set_to_json(set);
	struct target_set *again;

	must(json);
	must(!target_set_from_json(json, &again, problem, sizeof(problem)));
	must(target_set_equal(set, again));
	must(!target_set_diff(set, again, NULL, NULL));
	target_set_digest(set, digest);
	target_set_digest(again, digest_again);
	must(!strcmp(digest, digest_again));
	for (size_t i = 0; i < target_set_count(set); i++) {
		const struct found_target *target = target_set_at(set, i);

		must(target_set_find(set, target->id, target->address) == target);
	}
	target_set_free(again);
	json_decref(json);
}

/* From memory of just that size, so that a sanitizer sees a read behind it. */
static void decode(const char *text, size_t size)
{
	char *copy = malloc(size ? size : 1);
	struct target_set *set = NULL;
	uint64_t saved_us = 0;
	int err;

	must(copy);
	memcpy(copy, text, size);
	err = lastgood_decode(copy, size, &owner, &set, &saved_us);
	must(err == 0 || err == -EBADMSG || err == -EINVAL);
	must((err == 0) == (set != NULL) && (err == 0) == (saved_us != 0));
	if (set)
		check_set(set);
	target_set_free(set);
	free(copy);
}

static void decode_body(const uint8_t *data, size_t size)
{
	char *body = strndup((const char *)data, size);
	char *text = body ? lastgood_wrap(body) : NULL;

	must(text);
	decode(text, strlen(text));
	free(text);
	free(body);
}

static void read_set(const uint8_t *data, size_t size)
{
	json_t *json = json_loadb((const char *)data, size,
				  JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
	struct target_set *set = NULL;
	char problem[100] = "";

	if (json && target_set_from_json(json, &set, problem, sizeof(problem)) < 0)
		must(!set && *problem);
	if (set)
		check_set(set);
	target_set_free(set);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	decode((const char *)data, size);
	decode_body(data, size);
	read_set(data, size);
	return 0;
}
