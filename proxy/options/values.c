/* SPDX-License-Identifier: Apache-2.0
 *
 * What flags and variables said, in the order they said it. See values.h.
 */
#include "proxy/options/values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/options.h"

static void value_fini(struct option_value *value)
{
	free(value->path);
	free(value->text);
	free(value->origin);
}

const char *options_place(const char *path, const char *text)
{
	bool is_socket = strncmp(text, "unix:", strlen("unix:")) == 0;

	return is_socket && strcmp(path, OPTIONS_PATH_ADMIN) == 0 ? OPTIONS_PATH_SOCKET : path;
}

int options_add(struct options *options, const char *path, const char *text, const char *origin,
		bool is_flag)
{
	struct option_value *values =
		reallocarray(options->values, options->count + 1, sizeof(*values));

	if (!values)
		return -ENOMEM;
	options->values = values;
	struct option_value value = {.path = strdup(options_place(path, text)),
				     .text = strdup(text),
				     .origin = strdup(origin),
				     .is_flag = is_flag};

	if (!value.path || !value.text || !value.origin) {
		value_fini(&value);
		return -ENOMEM;
	}
	options->values[options->count++] = value;
	return 0;
}

void options_drop_variables(struct options *options, const char *variable)
{
	size_t kept = 0;

	for (size_t i = 0; i < options->count; i++) {
		struct option_value *value = &options->values[i];

		if (!value->is_flag && strcmp(value->origin, variable) == 0)
			value_fini(value);
		else
			options->values[kept++] = *value;
	}
	options->count = kept;
}

const struct option_value *options_find(const struct options *options, const char *path)
{
	for (size_t i = 0; i < options->count; i++)
		if (strcmp(options->values[i].path, path) == 0)
			return &options->values[i];
	return NULL;
}

int options_add_list(struct options *options, const char *path, const char *text,
		     const char *origin)
{
	while (*text) {
		size_t len = strcspn(text, ",");
		char *item = strndup(text, len);
		int err = item ? options_add(options, path, item, origin, false) : -ENOMEM;

		free(item);
		if (err < 0)
			return err;
		text += len + (text[len] == ',');
	}
	return 0;
}

int options_add_inherited(struct options *options, char *const envp[])
{
	static const char prefix[] = "STATE_DIRECTORY=";

	for (; *envp && !options_find(options, OPTIONS_PATH_STATE); envp++) {
		const char *text = *envp + strlen(prefix);

		if (strncmp(*envp, prefix, strlen(prefix)) != 0 || strcspn(text, ":") == 0)
			continue;
		char *first = strndup(text, strcspn(text, ":"));
		int err = first ? options_add(options, OPTIONS_PATH_STATE, first, "STATE_DIRECTORY",
					      false)
				: -ENOMEM;

		free(first);
		if (err < 0)
			return err;
		options->values[options->count - 1].is_fallback = true;
	}
	return 0;
}

void options_fini(struct options *options)
{
	for (size_t i = 0; i < options->count; i++)
		value_fini(&options->values[i]);
	free(options->values);
	free(options->config_file);
	memset(options, 0, sizeof(*options));
}

int options_add_target(struct options *options, const char *address)
{
	return options_add(options, OPTIONS_PATH_TARGET, address, "--demo", true);
}

int options_add_default(struct options *options, const char *path, const char *text,
			const char *origin)
{
	return options_find(options, path) ? 0 : options_add(options, path, text, origin, false);
}
