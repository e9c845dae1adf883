/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of services (from the service models of the AWS SDKs) and of classes.
 */
#include "control/aws/services.h"

#include <string.h>

#define FORM   "application/x-www-form-urlencoded; charset=utf-8"
#define JSON_0 "application/x-amz-json-1.0"
#define JSON_1 "application/x-amz-json-1.1"

#define QUERY_SERVICE(which, prefix, day)                                                          \
	{                                                                                          \
		.protocol = (which), .iam = (prefix), .signing = (prefix), .version = (day),       \
		.content_type = FORM                                                               \
	}
#define JSON_SERVICE(prefix, name, type)                                                           \
	{                                                                                          \
		.protocol = PROTOCOL_JSON, .iam = (prefix), .signing = (prefix), .target = (name), \
		.content_type = (type)                                                             \
	}

const struct service services[AWS_SERVICES] = {
	[AWS_EC2] = QUERY_SERVICE(PROTOCOL_EC2, "ec2", "2016-11-15"),
	[AWS_AUTOSCALING] = QUERY_SERVICE(PROTOCOL_QUERY, "autoscaling", "2011-01-01"),
	[AWS_ELBV2] = QUERY_SERVICE(PROTOCOL_QUERY, "elasticloadbalancing", "2015-12-01"),
	[AWS_STS] = QUERY_SERVICE(PROTOCOL_QUERY, "sts", "2011-06-15"),
	[AWS_SNS] = QUERY_SERVICE(PROTOCOL_QUERY, "sns", "2010-03-31"),
	[AWS_ECS] = JSON_SERVICE("ecs", "AmazonEC2ContainerServiceV20141113", JSON_1),
	[AWS_CLOUDMAP] = JSON_SERVICE("servicediscovery", "Route53AutoNaming_v20170314", JSON_1),
	[AWS_CLOUDMAP_DATA] =
		JSON_SERVICE("servicediscovery", "Route53AutoNaming_v20170314", JSON_1),
	[AWS_SQS] = JSON_SERVICE("sqs", "AmazonSQS", JSON_0),
};

const char *const aws_service_names[AWS_SERVICES] = {
	[AWS_EC2] = "ec2",
	[AWS_AUTOSCALING] = "autoscaling",
	[AWS_ELBV2] = "elasticloadbalancing",
	[AWS_STS] = "sts",
	[AWS_SNS] = "sns",
	[AWS_ECS] = "ecs",
	[AWS_CLOUDMAP] = "servicediscovery",
	[AWS_CLOUDMAP_DATA] = "data-servicediscovery",
	[AWS_SQS] = "sqs",
};

static bool is_read(const char *action)
{
	static const char *const verbs[] = {"Describe", "List", "Get"};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strncmp(action, verbs[i], strlen(verbs[i])))
			return true;
	return false;
}

enum api_class api_class_of(enum aws_service service, const char *action)
{
	if (service == AWS_CLOUDMAP_DATA)
		return API_DISCOVER;
	if (service == AWS_SQS)
		return API_QUEUE;
	return is_read(action) ? API_READ : API_CHANGE;
}

unsigned api_class_worth(enum api_class class)
{
	/* DiscoverInstances and its revision may be called 1,000 times a second and more. */
	static const unsigned worth[API_CLASSES] = {
		[API_READ] = 1, [API_CHANGE] = 1, [API_DISCOVER] = 20, [API_QUEUE] = 20};

	return worth[class];
}
