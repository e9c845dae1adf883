/* SPDX-License-Identifier: Apache-2.0
 *
 * The provider "container" (ECS task roles, EKS Pod Identity): where the agent is and with which
 * token it is asked.
 *
 * Happy path: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is a path at 169.254.170.2;
 * AWS_CONTAINER_CREDENTIALS_FULL_URI is a whole URL, with AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
 * (read anew each time) or AWS_CONTAINER_AUTHORIZATION_TOKEN.
 * Failure modes: plain HTTP to any other host than the agents' and loopback would tell the token to
 * strangers, and is refused; a token that cannot be read, or is no header.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/aws/credentials/plan.h"
#include "control/aws/secret.h"

#define AGENT "http://169.254.170.2"

static bool is_agent(const char *host)
{
	static const char *const agents[] = {"169.254.170.2", "169.254.170.23"};
	struct in6_addr v6, eks;
	struct in_addr v4;

	for (size_t i = 0; i < sizeof(agents) / sizeof(agents[0]); i++)
		if (!strcmp(host, agents[i]))
			return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	inet_pton(AF_INET6, "fd00:ec2::23", &eks);
	return inet_pton(AF_INET6, host, &v6) == 1 &&
	       (IN6_IS_ADDR_LOOPBACK(&v6) || !memcmp(&v6, &eks, sizeof(v6)));
}

/* The URL is taken apart by libcurl, which will also follow it: there is only one reading. */
static bool is_allowed(const char *url)
{
	CURLU *parts = curl_url();
	char *scheme = NULL, *host = NULL, *user = NULL;
	bool allowed = false;
	size_t size;

	if (!parts || curl_url_set(parts, CURLUPART_URL, url, 0) ||
	    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) ||
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(parts, CURLUPART_USER, &user, 0) != CURLUE_NO_USER)
		goto fail;
	size = strlen(host);
	if (size > 2 && host[0] == '[') { /* as libcurl writes an IPv6 address */
		memmove(host, host + 1, size - 2);
		host[size - 2] = '\0';
	}
	allowed = !strcmp(scheme, "https") ||
		  (!strcmp(scheme, "http") && (is_agent(host) || !strcasecmp(host, "localhost")));
fail:
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_url_cleanup(parts);
	return allowed;
}

static bool is_header_value(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			return false;
	return size;
}

static int read_token(struct plan *plan)
{
	const char *file = plan_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *given = plan_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	size_t size = given ? strlen(given) : 0;
	int ret = 0;

	if (file)
		ret = plan_read_file(file, &plan->container_token, &size);
	else if (given && !(plan->container_token = secret_copy(given)))
		ret = -ENOMEM;
	if (ret == -ENOMEM)
		return ret;
	if (ret < 0)
		return plan_wrong(plan, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE %.200s: %s", file,
				  strerror(-ret));
	if (plan->container_token && !is_header_value(plan->container_token, size))
		return plan_wrong(plan, "the container's authorization token is empty or has line "
					"breaks");
	return 0;
}

int plan_container(struct plan *plan)
{
	const char *relative = plan_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = plan_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	struct secret_text url = {.data = NULL};

	if (!relative && !full)
		return plan_absent(plan, "container: AWS_CONTAINER_CREDENTIALS_*_URI is not set");
	if (relative && relative[0] != '/')
		return plan_wrong(plan, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin "
					"with a slash");
	if (relative)
		secret_add_text(&url, AGENT);
	secret_add_text(&url, relative ? relative : full);
	plan->base = PLAN_CONTAINER;
	plan->container_url = secret_take(&url);
	if (!plan->container_url)
		return -ENOMEM;
	if (!is_allowed(plan->container_url))
		return plan_wrong(plan,
				  "AWS_CONTAINER_CREDENTIALS_FULL_URI is not allowed: it must be "
				  "https, or http to loopback, 169.254.170.2, 169.254.170.23 or "
				  "fd00:ec2::23");
	return read_token(plan);
}
