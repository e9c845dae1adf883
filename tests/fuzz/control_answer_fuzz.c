/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the answer of a service (the first byte says which): read as a good one, as a
 * refusal, and with every reader that sources use. Nothing that was cut out of a refusal stands in
 * it, and nothing in it would break a line of a log.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/answer.h"
#include "proxy/base/panic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "SECRET"

static void check_text(const char *text, size_t room)
{
	must(memchr(text, '\0', room));
	for (; *text; text++)
		must((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void read_everything(const json_t *root)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)root, key, value) {
		int64_t number;

		(void)aws_text(root, key);
		(void)aws_object(root, key);
		(void)aws_number(root, key, &number);
		(void)aws_true(root, key);
		(void)aws_tag(aws_list(root, key), "Name");
	}
}

static void as_answer(enum aws_service service, const char *body, size_t size)
{
	json_t *root = NULL;

	if (answer_read(service, "Do", body, size, &root)) {
		must(!root);
		return;
	}
	must(json_is_object(root));
	read_everything(root);
	json_decref(root);
}

static void as_refusal(const char *body, size_t size)
{
	struct refusal refusal;

	answer_refusal(body, size, NULL, &refusal);
	check_text(refusal.code, sizeof(refusal.code));
	check_text(refusal.message, sizeof(refusal.message));
	answer_redact(refusal.message, SECRET);
	must(!strstr(refusal.message, SECRET));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *body;

	if (!size)
		return -1;
	body = malloc(size);
	must(body);
	memcpy(body, data + 1, size - 1);
	body[size - 1] = '\0'; /* as http.h promises */
	as_answer(data[0] % AWS_SERVICES, body, size - 1);
	as_refusal(body, size - 1);
	answer_redact(body, SECRET);
	free(body);
	return 0;
}
