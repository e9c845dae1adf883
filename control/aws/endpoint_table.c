/* SPDX-License-Identifier: Apache-2.0
 *
 * Made by control/aws/endpoint_table.py from the endpoint rule sets of botocore 1.43.11
 * (Apache-2.0); not to be edited. It cannot fail: it is data alone.
 */
#include "control/aws/endpoint_table.h"

/* clang-format off */

const struct endpoint_partition endpoint_partitions[] = {
	{"aws", "^(us|eu|ap|sa|ca|me|af|il|mx)-[[:alnum:]_]+-[0-9]+$",
	 "amazonaws.com", "api.aws"},
	{"aws-cn", "^cn-[[:alnum:]_]+-[0-9]+$",
	 "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
	{"aws-eusc", "^eusc-(de)-[[:alnum:]_]+-[0-9]+$",
	 "amazonaws.eu", "api.amazonwebservices.eu"},
	{"aws-iso", "^us-iso-[[:alnum:]_]+-[0-9]+$",
	 "c2s.ic.gov", "api.aws.ic.gov"},
	{"aws-iso-b", "^us-isob-[[:alnum:]_]+-[0-9]+$",
	 "sc2s.sgov.gov", "api.aws.scloud"},
	{"aws-iso-e", "^eu-isoe-[[:alnum:]_]+-[0-9]+$",
	 "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
	{"aws-iso-f", "^us-isof-[[:alnum:]_]+-[0-9]+$",
	 "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
	{"aws-us-gov", "^us-gov-[[:alnum:]_]+-[0-9]+$",
	 "amazonaws.com", "api.aws"},
};
const unsigned endpoint_partition_count =
	sizeof(endpoint_partitions) / sizeof(endpoint_partitions[0]);

const struct endpoint_rule endpoint_rules[] = {
	{AWS_EC2, 0x7f, NULL,
	 {"ec2.*.$", "ec2-fips.*.$",
	  "ec2.*.@", "ec2-fips.*.@"}},
	{AWS_EC2, 0x80, NULL,
	 {"ec2.*.$", "ec2.*.$",
	  "ec2.*.@", "ec2-fips.*.@"}},
	{AWS_AUTOSCALING, 0x7f, NULL,
	 {"autoscaling.*.$", "autoscaling-fips.*.$",
	  "autoscaling.*.@", "autoscaling-fips.*.@"}},
	{AWS_AUTOSCALING, 0x80, NULL,
	 {"autoscaling.*.$", "autoscaling.*.$",
	  "autoscaling.*.@", "autoscaling-fips.*.@"}},
	{AWS_ELBV2, 0x7f, NULL,
	 {"elasticloadbalancing.*.$", "elasticloadbalancing-fips.*.$",
	  "elasticloadbalancing.*.@", "elasticloadbalancing-fips.*.@"}},
	{AWS_ELBV2, 0x80, NULL,
	 {"elasticloadbalancing.*.$", "elasticloadbalancing.*.$",
	  "elasticloadbalancing.*.@", "elasticloadbalancing-fips.*.@"}},
	{AWS_STS, 0x7f, NULL,
	 {"sts.*.$", "sts-fips.*.$",
	  "sts.*.@", "sts-fips.*.@"}},
	{AWS_STS, 0x80, NULL,
	 {"sts.*.$", "sts.*.$",
	  "sts.*.@", "sts-fips.*.@"}},
	{AWS_SNS, 0x80, "us-gov-east-1",
	 {"sns.*.$", "sns.*.$",
	  "sns.*.@", "sns-fips.*.@"}},
	{AWS_SNS, 0x80, "us-gov-west-1",
	 {"sns.*.$", "sns.*.$",
	  "sns.*.@", "sns-fips.*.@"}},
	{AWS_SNS, 0xff, NULL,
	 {"sns.*.$", "sns-fips.*.$",
	  "sns.*.@", "sns-fips.*.@"}},
	{AWS_ECS, 0xff, NULL,
	 {"ecs.*.$", "ecs-fips.*.$",
	  "ecs.*.@", "ecs-fips.*.@"}},
	{AWS_CLOUDMAP, 0x83, NULL,
	 {"servicediscovery.*.$", "servicediscovery-fips.*.$",
	  "servicediscovery.*.$", "servicediscovery-fips.*.@"}},
	{AWS_CLOUDMAP, 0x7c, NULL,
	 {"servicediscovery.*.$", "servicediscovery-fips.*.$",
	  "servicediscovery.*.@", "servicediscovery-fips.*.@"}},
	{AWS_CLOUDMAP_DATA, 0x83, NULL,
	 {"data-servicediscovery.*.$", "data-servicediscovery-fips.*.$",
	  "data-servicediscovery.*.$", "data-servicediscovery-fips.*.@"}},
	{AWS_CLOUDMAP_DATA, 0x7c, NULL,
	 {"data-servicediscovery.*.$", "data-servicediscovery-fips.*.$",
	  "data-servicediscovery.*.@", "data-servicediscovery-fips.*.@"}},
	{AWS_SQS, 0x7f, NULL,
	 {"sqs.*.$", "sqs-fips.*.$",
	  "sqs.*.@", "sqs-fips.*.@"}},
	{AWS_SQS, 0x80, NULL,
	 {"sqs.*.$", "sqs.*.$",
	  "sqs.*.@", "sqs-fips.*.@"}},
};
const unsigned endpoint_rule_count =
	sizeof(endpoint_rules) / sizeof(endpoint_rules[0]);
/* clang-format on */
