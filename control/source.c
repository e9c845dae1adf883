/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of every fetch. See control/source.h.
 */
#include "control/source.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/aws/aws.h"

void source_done(struct source *source, struct target_set *set)
{
	const struct found_target *twice = NULL;
	int err = target_set_seal(set, &twice);

	if (!err) {
		source->on_done(source, set);
		return;
	}
	if (twice)
		source_failed(source, "contradiction",
			      "%s is listed twice, with different properties, so the whole answer "
			      "is not believed",
			      twice->id ? twice->id : twice->address);
	else
		source_failed(source, "memory", "out of memory");
	target_set_free(set);
}

void source_failed(struct source *source, const char *error_kind, const char *format, ...)
{
	char problem[512];
	va_list args;

	va_start(args, format);
	vsnprintf(problem, sizeof(problem), format, args);
	va_end(args);
	source->on_failed(source, error_kind, problem);
}

void source_failed_call(struct source *source, const struct aws_error *error)
{
	source_failed(source, aws_error_kind_names[error->kind], "%s", error->text);
}

struct target_set *source_new_set(struct source *source)
{
	struct target_set *set = target_set_new();

	if (!set)
		source_failed(source, aws_error_kind_names[AWS_MEMORY], "out of memory");
	return set;
}

int source_add(struct source *source, struct target_set *set, const struct found_target *target)
{
	int err = target_set_add(set, target);

	if (err == -ENOMEM)
		source_failed(source, aws_error_kind_names[AWS_MEMORY], "out of memory");
	else if (err)
		source_failed(source, aws_error_kind_names[AWS_GARBAGE],
			      "the answer has a target that is none: id \"%.100s\", address "
			      "\"%.100s\", zone \"%.100s\"",
			      target->id ? target->id : "", target->address,
			      target->zone ? target->zone : "");
	return err;
}

const struct found_target *source_current(const struct source *source, const char *id)
{
	const struct target_set *set = source->current ? source->current(source) : NULL;

	for (size_t i = 0; i < target_set_count(set); i++) {
		const struct found_target *target = target_set_at(set, i);

		if (target->id && strcmp(target->id, id) == 0)
			return target;
	}
	return NULL;
}
