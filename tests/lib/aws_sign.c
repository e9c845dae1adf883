/* SPDX-License-Identifier: Apache-2.0
 *
 * `aws_sign` reads one JSON request a line (method, path, query, headers as pairs, body, key_id,
 * secret, token, region, service, time, normalize) and answers each with its canonical request,
 * string to sign and authorization as one JSON line. For tests/aws/test_sigv4.py.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/sigv4.h"

#define MAX_HEADERS 64

static const char *text_of(const json_t *of, const char *key)
{
	return json_string_value(json_object_get(of, key));
}

static int answer(const json_t *line)
{
	struct sigv4_header headers[MAX_HEADERS];
	const json_t *pairs = json_object_get(line, "headers");
	const char *body = text_of(line, "body");
	struct sigv4_request request = {
		.method = text_of(line, "method"),
		.path = text_of(line, "path"),
		.query = text_of(line, "query"),
		.headers = headers,
		.header_count = json_array_size(pairs),
		.body = body,
		.body_size = body ? strlen(body) : 0,
		.normalize_path = json_is_true(json_object_get(line, "normalize")),
	};
	struct sigv4_key key = {
		.key_id = text_of(line, "key_id"),
		.secret = text_of(line, "secret"),
		.token = text_of(line, "token"),
		.region = text_of(line, "region"),
		.service = text_of(line, "service"),
		.time_s = (uint64_t)json_integer_value(json_object_get(line, "time")),
	};
	struct sigv4_signed sig;
	json_t *said;

	if (request.header_count > MAX_HEADERS)
		return -1;
	for (size_t i = 0; i < request.header_count; i++) {
		const json_t *pair = json_array_get(pairs, i);

		headers[i].name = json_string_value(json_array_get(pair, 0));
		headers[i].value = json_string_value(json_array_get(pair, 1));
	}
	if (sigv4_sign(&request, &key, &sig) < 0)
		return -1;
	said = json_pack("[sss]", sig.canonical, sig.string_to_sign, sig.authorization);
	json_dumpf(said, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(said);
	sigv4_signed_fini(&sig);
	return 0;
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	int ret = 0;

	while (ret == 0 && getline(&line, &room, stdin) > 0) {
		json_t *root = json_loads(line, 0, NULL);

		ret = root ? answer(root) : -1;
		json_decref(root);
	}
	free(line);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
