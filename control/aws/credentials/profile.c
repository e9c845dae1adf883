/* SPDX-License-Identifier: Apache-2.0
 *
 * The provider "profile": the shared credentials file and the configuration file of the AWS SDKs
 * (AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE, else ~/.aws/credentials and ~/.aws/config).
 *
 * Happy path: the profile has keys; or a role_arn, on top of a source_profile (which may itself
 * have one, and so on), a credential_source or a web_identity_token_file. Failure modes: a file
 * that cannot be parsed (its line, never its words), a profile that is not there, a circle of
 * source_profiles, half of a pair, what needs a person or a program (mfa_serial, SSO,
 * credential_process): each says what to do instead. A file that is not there, or that we may not
 * read, is nothing as long as nobody asked for a profile.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/aws/credentials/document.h"
#include "control/aws/credentials/plan.h"
#include "control/aws/ini.h"
#include "control/aws/secret.h"

#define PATH_TEXT 512

struct files {
	struct ini *credentials; /* NULL: not there */
	struct ini *config;
	char problem[PLAN_PROBLEM]; /* why one is not there */
};

static const char *home(void)
{
	const char *home = plan_variable("HOME");
	const struct passwd *entry = home ? NULL : getpwuid(getuid());

	return home ? home : entry ? entry->pw_dir : "";
}

/* Where the file is: what the variable says, whose `~` is the home directory, or in ~/.aws. */
static const char *path_of(const char *variable, const char *name, char *buf)
{
	const char *path = plan_variable(variable);

	if (!path)
		snprintf(buf, PATH_TEXT, "%s/.aws/%s", home(), name);
	else if (path[0] == '~' && path[1] == '/')
		snprintf(buf, PATH_TEXT, "%s%s", home(), path + 1);
	else
		snprintf(buf, PATH_TEXT, "%s", path);
	return buf;
}

/* 0 also when it is not there: then `*ret_ini` stays NULL and `files->problem` says so. */
static int load_one(const char *variable, const char *name, struct files *files,
		    struct ini **ret_ini)
{
	char path[PATH_TEXT];
	unsigned line = 0;
	char *text;
	size_t size;
	int ret = plan_read_file(path_of(variable, name, path), &text, &size);

	if (ret == -ENOMEM)
		return ret;
	if (ret < 0) {
		size_t used = strlen(files->problem);

		if (ret == -ENOENT)
			snprintf(files->problem + used, sizeof(files->problem) - used,
				 "%sno %.100s", used ? ", " : "", path);
		else
			snprintf(files->problem + used, sizeof(files->problem) - used,
				 "%s%.100s: %s", used ? ", " : "", path, strerror(-ret));
		return 0;
	}
	ret = ini_parse(text, size, ret_ini, &line);
	secret_free(text);
	if (ret == -EINVAL)
		snprintf(files->problem, sizeof(files->problem),
			 "%.200s: line %u is neither `[section]` nor `key = value`", path, line);
	return ret;
}

static void unload(struct files *files)
{
	ini_free(files->credentials);
	ini_free(files->config);
}

/* Call unload() in any case. */
static int load(struct files *ret_files)
{
	int ret;

	*ret_files = (struct files){.config = NULL};
	ret = load_one("AWS_SHARED_CREDENTIALS_FILE", "credentials", ret_files,
		       &ret_files->credentials);
	if (ret == 0)
		ret = load_one("AWS_CONFIG_FILE", "config", ret_files, &ret_files->config);
	return ret;
}

/* In the configuration file a profile's section is called [profile NAME]. */
static const char *config_section(const struct files *files, const char *profile, char *buf)
{
	snprintf(buf, PATH_TEXT, "profile %s", profile);
	if (!strcmp(profile, "default") && files->config && !ini_has(files->config, buf))
		return profile;
	return buf;
}

/* Of the credentials file, then of the other. NULL if it is in neither, or empty. */
static const char *value_of(const struct files *files, const char *profile, const char *key)
{
	const char *value = files->credentials ? ini_get(files->credentials, profile, key) : NULL;
	char section[PATH_TEXT];

	if (!value && files->config)
		value = ini_get(files->config, config_section(files, profile, section), key);
	return value && *value ? value : NULL;
}

static bool has_profile(const struct files *files, const char *profile)
{
	char section[PATH_TEXT];

	return (files->credentials && ini_has(files->credentials, profile)) ||
	       (files->config && ini_has(files->config, config_section(files, profile, section)));
}

static bool has_keys(const struct files *files, const char *profile)
{
	return value_of(files, profile, "aws_access_key_id") ||
	       value_of(files, profile, "aws_secret_access_key");
}

static int take_keys(struct plan *plan, const struct files *files, const char *profile)
{
	struct credentials found = {
		.key_id = (char *)value_of(files, profile, "aws_access_key_id"),
		.secret = (char *)value_of(files, profile, "aws_secret_access_key"),
		.token = (char *)value_of(files, profile, "aws_session_token"),
		.provider = "profile",
	};

	if (!found.key_id || !found.secret)
		return plan_wrong(plan, "profile %.64s has no %s", profile,
				  found.key_id ? "aws_secret_access_key" : "aws_access_key_id");
	if (!credentials_are_clean(&found))
		return plan_wrong(plan,
				  "the keys of profile %.64s have characters that no "
				  "credentials have",
				  profile);
	plan->base = PLAN_FIXED;
	return credentials_copy(&found, &plan->fixed);
}

static int fill_role(struct plan_role *role, const struct files *files, const char *profile)
{
	const char *external_id = value_of(files, profile, "external_id");
	const char *session = value_of(files, profile, "role_session_name");
	const char *duration = value_of(files, profile, "duration_seconds");

	role->arn = secret_copy(value_of(files, profile, "role_arn"));
	role->external_id = secret_copy(external_id);
	role->session_name = secret_copy(session);
	if (duration)
		role->duration_s = (uint32_t)strtoul(duration, NULL, 10);
	if (!role->arn || (external_id && !role->external_id) || (session && !role->session_name))
		return -ENOMEM;
	return 0;
}

static int take_web_identity(struct plan *plan, const struct files *files, const char *profile)
{
	plan->base = PLAN_WEB_IDENTITY;
	plan->web_token_file = secret_copy(value_of(files, profile, "web_identity_token_file"));
	return plan->web_token_file ? fill_role(&plan->web, files, profile) : -ENOMEM;
}

static int take_source(struct plan *plan, const char *profile, const char *source)
{
	char why[PLAN_PROBLEM];
	int ret;

	if (!strcmp(source, "Environment"))
		ret = plan_environment(plan);
	else if (!strcmp(source, "EcsContainer"))
		ret = plan_container(plan);
	else if (!strcmp(source, "Ec2InstanceMetadata"))
		ret = plan_imds(plan);
	else
		return plan_wrong(plan,
				  "profile %.64s: credential_source is not Environment, "
				  "EcsContainer or Ec2InstanceMetadata",
				  profile);
	if (ret != -ENOENT)
		return ret;
	memcpy(why, plan->problem, sizeof(why));
	return plan_wrong(plan, "profile %.64s: credential_source %s has none: %.300s", profile,
			  source, why);
}

/* What can only be used by a person, or runs a program, with what to use instead. */
static int refuse_unsupported(struct plan *plan, const struct files *files, const char *profile)
{
	static const struct {
		const char *key, *advice;
	} unsupported[] = {
		{"credential_process", "programs are not run; use role_arn with source_profile, "
				       "or the role of the instance or task"},
		{"sso_session", "single sign-on needs a person; use role_arn, or the role of the "
				"instance or task"},
		{"sso_start_url", "single sign-on needs a person; use role_arn, or the role of "
				  "the instance or task"},
		{"login_session", "a login needs a person; use role_arn, or the role of the "
				  "instance or task"},
	};

	for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++)
		if (value_of(files, profile, unsupported[i].key))
			return plan_wrong(plan, "profile %.64s: %s is not supported: %s", profile,
					  unsupported[i].key, unsupported[i].advice);
	return -ENOENT;
}

/* The role of `profile` goes on the plan; `*profile` becomes the profile below it, or NULL when the
 * base is found. */
static int take_role(struct plan *plan, const struct files *files, const char **profile)
{
	const char *name = *profile, *below = value_of(files, name, "source_profile");
	const char *source = value_of(files, name, "credential_source");
	int ret;

	if (value_of(files, name, "mfa_serial"))
		return plan_wrong(plan,
				  "profile %.64s: mfa_serial needs a person; let the role "
				  "be assumed without it",
				  name);
	if (!below == !source)
		return plan_wrong(plan,
				  "profile %.64s needs one of source_profile and "
				  "credential_source beside its role_arn",
				  name);
	if (plan->role_count == PLAN_ROLES)
		return plan_wrong(plan, "profile %.64s: more than %d roles on top of each other",
				  name, PLAN_ROLES);
	ret = fill_role(&plan->roles[plan->role_count++], files, name);
	if (ret < 0)
		return ret;
	*profile = below;
	return source ? take_source(plan, name, source) : 0;
}

/* Whether `name` is one of the profiles whose role was taken already. */
static bool is_circle(const char *const *visited, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(visited[i], name))
			return true;
	return false;
}

/* Roles were found from the top down and are assumed from the bottom up. */
static void turn_roles_round(struct plan *plan)
{
	for (size_t i = 0; i < plan->role_count / 2; i++) {
		struct plan_role role = plan->roles[i];

		plan->roles[i] = plan->roles[plan->role_count - 1 - i];
		plan->roles[plan->role_count - 1 - i] = role;
	}
}

/* What stands in a profile that has no role to assume with other credentials. */
static int take_base(struct plan *plan, const struct files *files, const char *profile)
{
	if (has_keys(files, profile))
		return take_keys(plan, files, profile);
	return refuse_unsupported(plan, files, profile);
}

static int follow(struct plan *plan, const struct files *files, const char *profile)
{
	const char *visited[PLAN_ROLES];
	int ret = 0;

	while (ret == 0 && profile) {
		size_t depth = plan->role_count;
		bool again = is_circle(visited, depth, profile);

		/* A profile may be its own source, for the keys that stand beside its role. */
		if (again &&
		    !(depth && !strcmp(visited[depth - 1], profile) && has_keys(files, profile)))
			return plan_wrong(plan,
					  "the source_profiles go round in a circle: %.64s "
					  "comes again",
					  profile);
		if (depth && !has_profile(files, profile))
			return plan_wrong(plan, "source_profile %.64s does not exist", profile);
		if (!value_of(files, profile, "role_arn") || (depth && has_keys(files, profile))) {
			ret = take_base(plan, files, profile);
			if (ret == -ENOENT && depth)
				ret = plan_wrong(plan, "source_profile %.64s has no credentials",
						 profile);
			break;
		}
		if (value_of(files, profile, "web_identity_token_file")) {
			ret = take_web_identity(plan, files, profile);
			break;
		}
		if (depth < PLAN_ROLES)
			visited[depth] = profile;
		ret = take_role(plan, files, &profile);
	}
	if (ret == 0)
		turn_roles_round(plan);
	return ret;
}

int plan_profile(struct plan *plan, const char *profile, bool is_asked_for)
{
	struct files files;
	int ret = load(&files);

	if (ret == -EINVAL)
		plan_wrong(plan, "%s", files.problem);
	if (ret < 0)
		goto fail;
	if (has_profile(&files, profile))
		ret = follow(plan, &files, profile);
	else if (is_asked_for)
		ret = plan_wrong(plan, "there is no profile %.64s%s%.300s", profile,
				 files.problem[0] ? ": " : "", files.problem);
	else
		ret = plan_absent(plan, "profile %.64s: %.200s", profile,
				  files.problem[0] ? files.problem : "it does not exist");
	if (ret == -ENOENT && has_profile(&files, profile))
		plan_absent(plan, "profile %.64s has no credentials", profile);
fail:
	unload(&files);
	return ret;
}

int profile_region(const char *profile, char *buf, size_t size)
{
	const char *region = NULL;
	struct files files;
	int ret = load(&files);

	if (ret == 0)
		region = value_of(&files, profile, "region");
	if (ret == 0 && (!region || strlen(region) >= size))
		ret = -ENOENT;
	if (ret == 0)
		snprintf(buf, size, "%s", region);
	unload(&files);
	return ret;
}
