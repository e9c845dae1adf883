/* SPDX-License-Identifier: Apache-2.0
 *
 * A CloudFormation template held against a configuration: `doctor --template`.
 *
 * Happy path: template_load(), conf_settle() of a configuration, template_judge(), and a line for
 * each attribute that contradicts it, with its place. Failure modes: a template that cannot be
 * read, whose reasons are in struct conf_errors; a value that is known only once it is deployed (a
 * Ref to a resource, say) is passed over, since nothing can be said of it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/conf/tree.h"

struct template
{
	struct node *root;
	const char *parameters; /* "Name=value,...", instead of their defaults; borrowed, or NULL */
};

/* 0; -EINVAL with the reasons in `errors`; -ENOMEM. `path` must outlive it. */
int template_load(const char *path, const char *parameters, struct conf_errors *errors,
		  struct template *ret_template);
void template_fini(struct template *template);

/* Whether `value` is known before it is deployed, and then what it is: a scalar, or a function of
 * parameters, mappings and conditions. NULL is not known. */
#define TEMPLATE_TEXT 1024
bool template_text(const struct template *template, const struct node *value, char *ret_text);
bool template_number(const struct template *template, const struct node *value,
		     uint64_t *ret_number);

/* A property of a resource, or NULL. */
const struct node *template_property(const struct node *resource, const char *name);

/* The lines: an array of objects with verdict ("warn" or "fail"), file, line, column, resource,
 * attribute, found, configuration and remedy. `conf` is a settled tree. NULL without memory. */
json_t *template_judge(const struct template *template, const struct node *conf);
