/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in an answer, whatever its protocol: the tree of a good one, code and message of a
 * refusal. Pure; fed by the network, and so by anybody.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "control/aws/aws.h"

/* The tree that on_page() gets: an object. 0, -ENOMEM, or -EPROTO for what cannot be believed. */
int answer_read(enum aws_service service, const char *action, const char *body, size_t size,
		json_t **ret_root);

struct refusal {
	char code[96];     /* "" when there is none */
	char message[400]; /* one line, printable, without anything that looks like a secret */
};

/* Whatever can be found; XML is understood from services that speak JSON too, since proxies and
 * simulators answer so. `type_header` is X-Amzn-ErrorType, or NULL. */
void answer_refusal(const char *body, size_t size, const char *type_header,
		    struct refusal *ret_refusal);

/* Cut out of `text`, in place: `secret` (may be NULL) wherever it stands, words so long that they
 * could be a token or a signature, and what does not print. */
void answer_redact(char *text, const char *secret);
