/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers and refusals, in XML and JSON.
 *
 * Happy path: the root must be named after the action (XML) or be an object (JSON).
 * Failure modes: anything else is not believed. A refusal is read as far as it goes; a body that
 * says nothing leaves code and message empty, and the status has to do. A service may quote the
 * request that it refuses, signature and session token included: such words are cut out.
 */
#include "control/aws/answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/aws/services.h"
#include "control/aws/xml.h"

#define LONG_WORD 64 /* a signature has as many, a session token many more */
#define CUT       "[...]"

/* What stands inside <ActionResult>; an action without results has none. */
static json_t *result_of(const json_t *root, const char *action)
{
	char name[XML_NAME];
	json_t *result;

	snprintf(name, sizeof(name), "%sResult", action);
	result = json_object_get(root, name);
	return json_is_object(result) ? json_incref(result) : json_object();
}

static int read_xml(enum aws_service service, const char *action, const char *body, size_t size,
		    json_t **ret_root)
{
	char name[XML_NAME];
	char expected[XML_NAME];
	json_t *root = NULL;
	json_t *result = NULL;
	int err = xml_read(body, size, name, &root);

	if (err)
		return err;
	snprintf(expected, sizeof(expected), "%sResponse", action);
	if (strcmp(name, expected) || !json_is_object(root)) {
		json_decref(root);
		return -EPROTO;
	}
	if (services[service].protocol == PROTOCOL_EC2) {
		*ret_root = root;
		return 0;
	}
	result = result_of(root, action);
	json_decref(root);
	if (!result)
		return -ENOMEM;
	*ret_root = result;
	return 0;
}

static int read_json(enum aws_service service, const char *body, size_t size, json_t **ret_root)
{
	json_error_t error;
	json_t *root;

	/* Of a queue, "done" may be no word at all. */
	if (!size && service == AWS_SQS)
		root = json_object();
	else
		root = json_loadb(body, size, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		return size && json_error_code(&error) == json_error_out_of_memory ? -ENOMEM
										   : -EPROTO;
	if (!json_is_object(root)) {
		json_decref(root);
		return -EPROTO;
	}
	*ret_root = root;
	return 0;
}

int answer_read(enum aws_service service, const char *action, const char *body, size_t size,
		json_t **ret_root)
{
	if (services[service].protocol == PROTOCOL_JSON)
		return read_json(service, body, size, ret_root);
	return read_xml(service, action, body, size, ret_root);
}

/* --- refusals --- */

static const char *text_of(const json_t *object, const char *one, const char *two)
{
	const char *text = json_string_value(json_object_get(object, one));

	return text ?: json_string_value(json_object_get(object, two));
}

/* <ErrorResponse><Error>, or <Response><Errors><Error> of EC2. */
static const json_t *error_of(const json_t *root)
{
	const json_t *error = json_object_get(root, "Error");

	return error ?: json_object_get(json_object_get(root, "Errors"), "Error");
}

static const char *first_printing(const char *text)
{
	return text + strspn(text, " \t\r\n");
}

/* "com.amazonaws.ecs#AccessDeniedException" and "AccessDeniedException:http://..." alike. */
static void set_code(struct refusal *refusal, const char *code)
{
	const char *hash = strchr(code, '#');

	code = hash ? hash + 1 : code;
	snprintf(refusal->code, sizeof(refusal->code), "%.*s", (int)strcspn(code, ":; \t\r\n"),
		 code);
}

static void take(struct refusal *refusal, const char *code, const char *message)
{
	if (code)
		set_code(refusal, code);
	if (message)
		snprintf(refusal->message, sizeof(refusal->message), "%s", first_printing(message));
}

void answer_refusal(const char *body, size_t size, const char *type_header,
		    struct refusal *ret_refusal)
{
	char name[XML_NAME];
	json_t *root = NULL;

	*ret_refusal = (struct refusal){.code = ""};
	if (type_header)
		set_code(ret_refusal, type_header);
	if (*first_printing(body) == '<') {
		if (xml_read(body, size, name, &root) == 0)
			take(ret_refusal, text_of(error_of(root), "Code", "code"),
			     text_of(error_of(root), "Message", "message"));
	} else {
		root = json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL);
		take(ret_refusal, text_of(root, "__type", "code"),
		     text_of(root, "message", "Message"));
	}
	json_decref(root);
	answer_redact(ret_refusal->code, NULL);
	answer_redact(ret_refusal->message, NULL);
}

/* --- what must not be said --- */

static bool is_in_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("+/=_%-", c));
}

/* Put CUT for `size` bytes at `at`, which are no fewer. */
static void cut(char *at, size_t size)
{
	memcpy(at, CUT, strlen(CUT));
	memmove(at + strlen(CUT), at + size, strlen(at + size) + 1);
}

static void cut_secret(char *text, const char *secret)
{
	size_t size = secret ? strlen(secret) : 0;
	char *at = text;

	if (size < strlen(CUT))
		return;
	while ((at = strstr(at, secret))) {
		cut(at, size);
		at += strlen(CUT);
	}
}

void answer_redact(char *text, const char *secret)
{
	size_t word = 0;

	cut_secret(text, secret);
	for (char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = ' ';
	for (char *at = text;; at++) {
		if (is_in_word(*at)) {
			word++;
			continue;
		}
		if (word >= LONG_WORD) {
			cut(at - word, word);
			at -= word - strlen(CUT);
		}
		word = 0;
		if (!*at)
			return;
	}
}
