/* SPDX-License-Identifier: Apache-2.0
 *
 * How each service is spoken to, and which of its actions share an allowance.
 */
#pragma once

#include "control/aws/aws.h"

enum aws_protocol { PROTOCOL_EC2, PROTOCOL_QUERY, PROTOCOL_JSON };

struct service {
	enum aws_protocol protocol;
	const char *iam;     /* prefix of its actions in policies */
	const char *signing; /* name in the signature's scope */
	const char *version; /* of the Query protocols */
	const char *target;  /* prefix of X-Amz-Target, of the JSON protocols */
	const char *content_type;
};

extern const struct service services[AWS_SERVICES];

/* AWS counts calls by account, region and groups of actions alike; ours are coarser than any. */
enum api_class {
	API_READ,
	API_CHANGE,
	API_DISCOVER, /* Cloud Map's data plane: made to be asked every second */
	API_QUEUE,    /* an SQS queue of our own */
	API_CLASSES
};

enum api_class api_class_of(enum aws_service service, const char *action);

/* Calls of the class for each one of API_READ that the account's allowance bears. */
unsigned api_class_worth(enum api_class class);
