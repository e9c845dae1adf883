/* SPDX-License-Identifier: Apache-2.0
 *
 * Where credentials are to come from, decided from the environment and the SDKs' files alone,
 * before anything is asked: one base, and roles to assume on top of it, in order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/aws/credentials.h"

#define PLAN_ROLES   8
#define PLAN_PROBLEM 512

enum plan_base {
	PLAN_FIXED,        /* `fixed` has them */
	PLAN_WEB_IDENTITY, /* `web` and STS */
	PLAN_CONTAINER,    /* `container_url` */
	PLAN_IMDS
};

/* A role to assume. Texts are the plan's. */
struct plan_role {
	char *arn;
	char *external_id;
	char *session_name;
	uint32_t duration_s; /* 0: the service's default */
};

struct plan {
	enum plan_base base;
	struct credentials fixed;
	struct plan_role web;
	char *web_token_file;
	char *container_url;
	char *container_token;
	struct plan_role roles[PLAN_ROLES];
	size_t role_count;
	/* Which providers were asked before, and why they had none; or what is wrong. */
	char problem[PLAN_PROBLEM];
};

/* 0; -EINVAL with the sentence in `ret_plan->problem` when something is configured and wrong;
 * -ENOMEM. Call plan_fini() in any case. `profile` NULL: AWS_PROFILE, else "default". */
int plan_make(const char *profile, struct plan *ret_plan);
void plan_fini(struct plan *plan);

/* --- what each provider says; for plan.c and profile.c ---
 * 0: its credentials are the base; -ENOENT: it is not configured here; -EINVAL: it is, wrongly
 * (`problem` says how); -ENOMEM. */
int plan_environment(struct plan *plan);
int plan_web_identity(struct plan *plan);
int plan_profile(struct plan *plan, const char *profile, bool is_asked_for);
int plan_container(struct plan *plan);
int plan_imds(struct plan *plan);

/* Sets the problem and gives -EINVAL. */
int plan_wrong(struct plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds "; what" to the problem and gives -ENOENT. */
int plan_absent(struct plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* NULL when it is not set, or empty. */
const char *plan_variable(const char *name);

/* A small regular file as a text, without the line breaks at its end; freed with secret_free(). 0,
 * -EFBIG, -EINVAL (no regular file, a NUL in it), -ENOMEM or another -errno. */
int plan_read_file(const char *path, char **ret_text, size_t *ret_size);

/* The value of `key` in the profile, from the credentials file, then the configuration file. 0,
 * -ENOENT, -EINVAL, -ENOMEM. */
int profile_region(const char *profile, char *buf, size_t size);
