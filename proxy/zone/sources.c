/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking for the own zone. Happy path on EC2: a token is had from the instance metadata service
 * (IMDSv2: a PUT, which neither a redirect nor a plain proxy passes on), and with it the zone's id
 * and name. In an ECS task: the task's description at ECS_CONTAINER_METADATA_URI_V4 names the zone,
 * and where IMDS does not answer (Fargate has none) that name is all.
 *
 * AWS_EC2_METADATA_SERVICE_ENDPOINT names another endpoint than 169.254.169.254, as for AWS's own
 * libraries.
 *
 * Failure modes: nobody answers; IMDS's answer does not reach a container (its hop limit is 1 by
 * default); an answer is no zone, since anybody may own that address outside of EC2.
 */
#include "proxy/zone/sources.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/zone/fetch.h"

#define IMDS_ENDPOINT "http://169.254.169.254"
#define TOKEN_MAX     256
#define NAME_MAX_LEN  32
#define URL_MAX_LEN   512

static bool is_name(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len > 0 && len <= NAME_MAX_LEN && !text[len];
}

/* One more in the list; what is no name, or is there already, is left out. */
static void add_name(char *names, const char *name)
{
	size_t len = strlen(names);

	if (is_name(name) && strcmp(names, name) != 0)
		snprintf(names + len, ZONE_LIST - len, "%s%s", len ? "," : "", name);
}

static const char *imds_endpoint(void)
{
	const char *endpoint = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");

	return endpoint && *endpoint ? endpoint : IMDS_ENDPOINT;
}

/* The endpoint, with or without a slash at its end, and the path. */
static void imds_url(const char *path, char *ret_url)
{
	const char *endpoint = imds_endpoint();
	int len = (int)strlen(endpoint);

	while (len > 0 && endpoint[len - 1] == '/')
		len--;
	snprintf(ret_url, URL_MAX_LEN, "%.*s/latest/%s", len, endpoint, path);
}

static void imds_add(struct fetch *fetch, const char *path, const char *header, char *names)
{
	char url[URL_MAX_LEN];
	char *answer;

	imds_url(path, url);
	answer = fetch_run(fetch, &(struct fetch_request){.url = url, .header = header});
	if (!answer)
		return;
	answer[strcspn(answer, "\r\n")] = '\0';
	add_name(names, answer);
	free(answer);
}

static void ask_imds(struct fetch *fetch, char *names)
{
	static const char ttl[] = "X-aws-ec2-metadata-token-ttl-seconds: 60";
	char url[URL_MAX_LEN], header[TOKEN_MAX + 64];
	char *token;

	imds_url("api/token", url);
	token = fetch_run(fetch,
			  &(struct fetch_request){.method = "PUT", .url = url, .header = ttl});
	if (!token)
		return;
	if (strlen(token) <= TOKEN_MAX && !strpbrk(token, "\r\n")) {
		snprintf(header, sizeof(header), "X-aws-ec2-metadata-token: %s", token);
		imds_add(fetch, "meta-data/placement/availability-zone-id", header, names);
		imds_add(fetch, "meta-data/placement/availability-zone", header, names);
	}
	free(token);
}

static void ask_ecs(struct fetch *fetch, const char *uri, char *names)
{
	char url[URL_MAX_LEN];
	char *answer;
	json_t *task;
	const char *zone;

	snprintf(url, sizeof(url), "%s/task", uri);
	answer = fetch_run(fetch, &(struct fetch_request){.url = url});
	if (!answer)
		return;
	task = json_loads(answer, 0, NULL);
	zone = json_string_value(json_object_get(task, "AvailabilityZone"));
	if (zone)
		add_name(names, zone);
	json_decref(task);
	free(answer);
}

bool zone_ask(struct fetch *fetch, char *ret_names, char *ret_problem)
{
	const char *ecs = getenv("ECS_CONTAINER_METADATA_URI_V4");
	const char *problem;
	char names[ZONE_LIST] = "";

	ask_imds(fetch, names);
	problem = fetch_problem(fetch);
	snprintf(ret_problem, ZONE_PROBLEM, "%s: %s", imds_endpoint(),
		 *problem ? problem : "its answer is no zone");
	if (!names[0] && ecs && *ecs)
		ask_ecs(fetch, ecs, names);
	if (!names[0])
		return false;
	memcpy(ret_names, names, sizeof(names));
	return true;
}
