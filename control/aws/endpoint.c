/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a service answers, from the generated tables (endpoint_table.c) and the environment.
 *
 * Happy path: the region's name tells its partition, the first rule of the service that fits tells
 * the host, and its signs are filled in. Failure modes: what cannot be a region (it would become
 * part of a host name), a partition without such a variant, a URL that is none: -EINVAL.
 */
#include "control/aws/endpoint.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/aws/endpoint_table.h"

/* A service's id as the SDKs spell it in AWS_ENDPOINT_URL_<SERVICE>. */
static const char *const variable_suffixes[AWS_SERVICES] = {
	[AWS_EC2] = "EC2",
	[AWS_AUTOSCALING] = "AUTO_SCALING",
	[AWS_ELBV2] = "ELASTIC_LOAD_BALANCING_V2",
	[AWS_STS] = "STS",
	[AWS_SNS] = "SNS",
	[AWS_ECS] = "ECS",
	[AWS_CLOUDMAP] = "SERVICEDISCOVERY",
	[AWS_CLOUDMAP_DATA] = "SERVICEDISCOVERY",
	[AWS_SQS] = "SQS",
};

static bool matches(const char *pattern, const char *text)
{
	regex_t regex;
	bool match;

	if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB))
		return false;
	match = !regexec(&regex, text, 0, NULL, 0);
	regfree(&regex);
	return match;
}

bool endpoint_region_is_valid(const char *region)
{
	/* "fips-us-east-1" is an old way to say which variant is wanted, and no region. */
	return strlen(region) < 32 && strncmp(region, "fips-", 5) != 0 &&
	       matches("^[a-z]+(-[a-z]+)+-[0-9]+$", region);
}

/* Its place in the table; the first, "aws", for what no pattern fits. */
static unsigned partition_of(const char *region)
{
	for (unsigned i = 0; i < endpoint_partition_count; i++)
		if (matches(endpoint_partitions[i].region_pattern, region))
			return i;
	return 0;
}

const char *endpoint_partition(const char *region)
{
	return endpoint_partitions[partition_of(region)].name;
}

static const struct endpoint_rule *find_rule(enum aws_service service, unsigned partition,
					     const char *region)
{
	for (unsigned i = 0; i < endpoint_rule_count; i++) {
		const struct endpoint_rule *rule = &endpoint_rules[i];

		if (rule->service == service && (rule->in & 1u << partition) &&
		    (!rule->region || !strcmp(rule->region, region)))
			return rule;
	}
	return NULL;
}

/* What a character of a host in the table stands for. */
static const char *meaning(const char *sign, const struct endpoint_partition *partition,
			   const char *region)
{
	switch (*sign) {
	case '*':
		return region;
	case '$':
		return partition->suffix;
	case '@':
		return partition->dual_stack_suffix;
	default:
		return NULL;
	}
}

static int fill_in(const char *host, const struct endpoint_partition *partition, const char *region,
		   char *ret_host)
{
	char text[ENDPOINT_HOST];
	size_t size = 0;

	for (; *host; host++) {
		const char *part = meaning(host, partition, region);
		size_t part_size = part ? strlen(part) : 1;

		if (size + part_size >= sizeof(text))
			return -EINVAL;
		memcpy(text + size, part ? part : host, part_size);
		size += part_size;
	}
	text[size] = '\0';
	memcpy(ret_host, text, size + 1);
	return 0;
}

int endpoint_host(enum aws_service service, const char *region, bool fips, bool dual_stack,
		  char *ret_host)
{
	unsigned variant = (fips ? ENDPOINT_FIPS : 0) | (dual_stack ? ENDPOINT_DUAL_STACK : 0);
	const struct endpoint_rule *rule;
	unsigned partition;

	if (!endpoint_region_is_valid(region))
		return -EINVAL;
	partition = partition_of(region);
	rule = find_rule(service, partition, region);
	if (!rule || !rule->host[variant])
		return -EINVAL;
	return fill_in(rule->host[variant], &endpoint_partitions[partition], region, ret_host);
}

/* NULL when it is not set, or empty. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static const char *chosen_url(enum aws_service service, const char *configured)
{
	const char *ignore = variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
	const char *url;
	char name[64];

	if (ignore && !strcasecmp(ignore, "true"))
		return configured;
	snprintf(name, sizeof(name), "AWS_ENDPOINT_URL_%s", variable_suffixes[service]);
	url = variable(name);
	if (!url)
		url = variable("AWS_ENDPOINT_URL");
	return url ? url : configured;
}

/* Without the slashes at its end, as paths are put behind it. */
static int take_url(const char *url, char *ret_url, size_t size)
{
	size_t length = strlen(url);
	const char *host = !strncasecmp(url, "https://", 8)  ? url + 8
			   : !strncasecmp(url, "http://", 7) ? url + 7
							     : "";

	while (length && url[length - 1] == '/')
		length--;
	if (!*host || *host == '/' || length >= size)
		return -EINVAL;
	for (size_t i = 0; i < length; i++)
		if (url[i] <= ' ' || url[i] >= 127 || strchr("?#@\"<>\\^`{|}", url[i]))
			return -EINVAL;
	memcpy(ret_url, url, length);
	ret_url[length] = '\0';
	return 0;
}

int endpoint_url(enum aws_service service, const char *region, const char *configured, bool fips,
		 bool dual_stack, char *ret_url, size_t size)
{
	const char *url = chosen_url(service, configured);
	char host[ENDPOINT_HOST];
	int ret;

	if (url)
		return take_url(url, ret_url, size);
	ret = endpoint_host(service, region, fips, dual_stack, host);
	if (ret < 0)
		return ret;
	if (size < strlen("https://") + strlen(host) + 1)
		return -EINVAL;
	snprintf(ret_url, size, "https://%s", host);
	return 0;
}
