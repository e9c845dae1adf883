/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of the credential chain.
 *
 * Happy path: the providers are asked in the SDKs' order, the first that is configured is the base.
 * IMDS stands last and needs no configuration. Failure modes: one that is configured wrongly ends
 * the chain, with what to do; those that are not configured are kept as a list, for the error that
 * may come of IMDS.
 */
#include "control/aws/credentials/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/aws/credentials/document.h"
#include "control/aws/secret.h"

#define FILE_MOST (256 << 10)

const char *plan_variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

int plan_wrong(struct plan *plan, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(plan->problem, sizeof(plan->problem), format, args);
	va_end(args);
	return -EINVAL;
}

int plan_absent(struct plan *plan, const char *format, ...)
{
	size_t size = strlen(plan->problem);
	va_list args;

	if (size) {
		snprintf(plan->problem + size, sizeof(plan->problem) - size, "; ");
		size = strlen(plan->problem);
	}
	va_start(args, format);
	vsnprintf(plan->problem + size, sizeof(plan->problem) - size, format, args);
	va_end(args);
	return -ENOENT;
}

static int read_all(int fd, char **ret_text, size_t *ret_size)
{
	struct secret_text out = {.data = NULL};
	char piece[4096];
	ssize_t got;

	while ((got = read(fd, piece, sizeof(piece))) > 0 && out.size <= FILE_MOST)
		secret_add(&out, piece, (size_t)got);
	explicit_bzero(piece, sizeof(piece));
	if (got < 0 || out.size > FILE_MOST) {
		int ret = got < 0 ? -errno : -EFBIG;

		secret_discard(&out);
		return ret;
	}
	while (out.size && (out.data[out.size - 1] == '\n' || out.data[out.size - 1] == '\r'))
		out.size--;
	*ret_size = out.size;
	*ret_text = secret_take(&out);
	return *ret_text ? 0 : -ENOMEM;
}

int plan_read_file(const char *path, char **ret_text, size_t *ret_size)
{
	/* A pipe or device would make the daemon wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat info;
	int ret;

	if (fd < 0)
		return -errno;
	ret = fstat(fd, &info) < 0 ? -errno : !S_ISREG(info.st_mode) ? -EINVAL : 0;
	if (ret == 0)
		ret = read_all(fd, ret_text, ret_size);
	close(fd);
	return ret;
}

int plan_imds(struct plan *plan)
{
	const char *disabled = plan_variable("AWS_EC2_METADATA_DISABLED");

	if (disabled && !strcasecmp(disabled, "true"))
		return plan_absent(plan, "instance metadata: AWS_EC2_METADATA_DISABLED is true");
	plan->base = PLAN_IMDS;
	return 0;
}

/* A profile that the configuration names outranks the environment, as in the SDKs. */
static int ask_in_order(struct plan *plan, const char *profile)
{
	const char *named = profile ? profile : plan_variable("AWS_PROFILE");
	int ret = -ENOENT;

	if (!profile)
		ret = plan_environment(plan);
	if (!profile && ret == -ENOENT)
		ret = plan_web_identity(plan);
	if (ret == -ENOENT)
		ret = plan_profile(plan, named ? named : "default", named);
	if (ret == -ENOENT)
		ret = plan_container(plan);
	if (ret == -ENOENT)
		ret = plan_imds(plan);
	return ret;
}

int plan_make(const char *profile, struct plan *ret_plan)
{
	char asked[PLAN_PROBLEM];
	int ret;

	*ret_plan = (struct plan){.base = PLAN_FIXED};
	ret = ask_in_order(ret_plan, profile);
	if (ret != -ENOENT)
		return ret;
	memcpy(asked, ret_plan->problem, sizeof(asked));
	return plan_wrong(ret_plan, "no credentials: %.480s", asked);
}

static void role_fini(struct plan_role *role)
{
	secret_free(role->arn);
	secret_free(role->external_id);
	secret_free(role->session_name);
}

void plan_fini(struct plan *plan)
{
	credentials_fini(&plan->fixed);
	role_fini(&plan->web);
	secret_free(plan->web_token_file);
	secret_free(plan->container_url);
	secret_free(plan->container_token);
	for (size_t i = 0; i < plan->role_count; i++)
		role_fini(&plan->roles[i]);
	*plan = (struct plan){.base = PLAN_FIXED};
}
