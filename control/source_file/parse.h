/* SPDX-License-Identifier: Apache-2.0
 *
 * A file of targets, as bytes, to a set: a list of targets with the keys of the admin API, or a
 * mapping whose only key `targets` has that list. A target that is no more than its address may be
 * written as that alone.
 *
 * Failure modes: whatever is wrong is a finding with FILE:LINE:COLUMN, and then there is no set.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf_errors;
struct target_set;

struct file_form {
	const char *path; /* named in findings */
	bool json;        /* strictly, instead of YAML */
	uint32_t weight;  /* of targets that say nothing of it */
	bool backup;      /* likewise */
};

/* 0 with a set that is not sealed yet; -EINVAL with the findings in `errors`; or -ENOMEM. */
int file_targets_parse(const struct file_form *form, const void *bytes, size_t size,
		       struct conf_errors *errors, struct target_set **ret_set);
