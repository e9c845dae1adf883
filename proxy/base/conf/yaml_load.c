/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a tree's bytes come from: a file, or for a container without any a variable of its
 * environment. See yaml_tree.h. Failure modes: what is not there or cannot be read is one error
 * about the whole of it; memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/conf/yaml_tree.h"
#include "proxy/base/slurp.h"

#define VARIABLE_PREFIX "env:"

static int load_variable(const char *path, struct conf_errors *errors, struct node **ret_root)
{
	struct conf_where whole = {.source = path};
	const char *text = getenv(path + strlen(VARIABLE_PREFIX));

	if (text)
		return yaml_tree_parse(path, text, strlen(text), errors, ret_root);
	conf_error(errors, &whole,
		   "found no such variable in the environment; expected one whose value is the "
		   "configuration");
	return -EINVAL;
}

/* How many bytes, or -errno. */
static ssize_t read_file(const char *path, char *bytes, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t size = fd < 0 ? -errno : slurp(fd, bytes, room);

	if (fd >= 0)
		close(fd);
	return size;
}

static int load_file(const char *path, bool template, struct conf_errors *errors,
		     struct node **ret_root)
{
	struct conf_where whole = {.source = path};
	char *bytes = malloc(YAML_BYTES_MAX + 1);
	int err = -EINVAL;

	if (!bytes)
		return -ENOMEM;
	ssize_t size = read_file(path, bytes, YAML_BYTES_MAX + 1);

	if (size < 0)
		conf_error(errors, &whole, "cannot read it (%s); expected a %s file",
			   strerrordesc_np((int)-size), template ? "template" : "configuration");
	else if (template)
		err = yaml_tree_parse_template(path, bytes, (size_t)size, errors, ret_root);
	else
		err = yaml_tree_parse(path, bytes, (size_t)size, errors, ret_root);
	free(bytes);
	return err;
}

int yaml_tree_load(const char *path, struct conf_errors *errors, struct node **ret_root)
{
	if (strncmp(path, VARIABLE_PREFIX, strlen(VARIABLE_PREFIX)) == 0)
		return load_variable(path, errors, ret_root);
	return load_file(path, false, errors, ret_root);
}

int yaml_tree_load_template(const char *path, struct conf_errors *errors, struct node **ret_root)
{
	return load_file(path, true, errors, ret_root);
}
