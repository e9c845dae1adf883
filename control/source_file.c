/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets from a file, which somebody else writes.
 *
 * Happy path: the file is read when asked for, as a whole, and watched, so that a change is asked
 * for at once (on_hint); the interval finds what inotify(7) cannot see (another host's write on a
 * network file system).
 * Failure modes: a file that is not there, that is being written just now, that changed while it
 * was read, or that is wrong at any line fails the snapshot, and what was read before stays. A
 * writer that renames a finished file over the old one is never seen half-way.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/source.h"
#include "control/source_file/parse.h"
#include "control/source_file/watch.h"
#include "proxy/base/conf/discover_rules.h"
#include "proxy/base/conf/schema.h"
#include "proxy/base/conf/yaml_tree.h"
#include "proxy/base/loop.h"
#include "proxy/base/slurp.h"

struct source_of_file {
	struct source source;
	struct loop_task task; /* the fetch, one turn after it was asked for */
	struct file_form form;
	struct file_watch *watch; /* NULL: only the interval finds out */
};

static struct source_of_file *of(struct source *source)
{
	return container_of(source, struct source_of_file, source);
}

static bool same_state(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* -EBUSY when it became another while it was read; -EISDIR for what is no regular file. */
static ssize_t read_settled(int fd, char *bytes, size_t room)
{
	struct stat before, after;
	ssize_t size;

	if (fstat(fd, &before) < 0)
		return -errno;
	if (!S_ISREG(before.st_mode))
		return -EISDIR;
	size = slurp(fd, bytes, room);
	if (size >= 0 && fstat(fd, &after) < 0)
		return -errno;
	if (size >= 0 && !same_state(&before, &after))
		return -EBUSY;
	return size;
}

/* Never waits for the other end of a FIFO. */
static ssize_t read_file(const char *path, char *bytes, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t size = fd < 0 ? -errno : read_settled(fd, bytes, room);

	if (fd >= 0)
		close(fd);
	return size;
}

static void tell_unreadable(struct source_of_file *file, int err)
{
	const char *path = file->form.path;

	if (err == -EBUSY)
		source_failed(&file->source, "busy",
			      "%s: is being written, so it is read when it is closed; better "
			      "write another file and rename it over this one",
			      path);
	else if (err == -EISDIR)
		source_failed(&file->source, "unreadable",
			      "%s: is no regular file; name the file itself", path);
	else
		source_failed(&file->source, "unreadable",
			      "%s: cannot be read (%s); put it there, readable for this user", path,
			      strerrordesc_np(-err));
}

static void tell_invalid(struct source_of_file *file, int err, const struct conf_errors *errors)
{
	size_t more = errors->errors.count > 1 ? errors->errors.count - 1 : 0;
	const char *first = conf_error_text(errors, 0);

	if (err == -ENOMEM || !first)
		source_failed(&file->source, "memory", "out of memory");
	else if (more)
		source_failed(&file->source, "invalid", "%.400s (and %zu more)", first, more);
	else
		source_failed(&file->source, "invalid", "%s", first);
}

static void parse_and_tell(struct source_of_file *file, const char *bytes, size_t size)
{
	struct conf_errors errors = {0};
	struct target_set *set = NULL;
	int err = file_targets_parse(&file->form, bytes, size, &errors, &set);

	if (err)
		tell_invalid(file, err, &errors);
	else
		source_done(&file->source, set);
	conf_errors_fini(&errors);
}

/* Watched first, so that nothing that happens from now on is missed. */
static void on_task(struct loop_task *task)
{
	struct source_of_file *file = container_of(task, struct source_of_file, task);
	char *bytes = malloc(YAML_BYTES_MAX + 1);
	ssize_t size = -ENOMEM;

	if (file->watch)
		file_watch_follow(file->watch);
	if (bytes)
		size = read_file(file->form.path, bytes, YAML_BYTES_MAX + 1);
	if (size >= 0 && file->watch && file_watch_sees_writer(file->watch))
		size = -EBUSY;
	if (size < 0)
		tell_unreadable(file, (int)size);
	else
		parse_and_tell(file, bytes, (size_t)size);
	free(bytes);
}

static void on_change(void *context)
{
	struct source *source = context;

	if (source->on_hint)
		source->on_hint(source);
}

static int file_open(const struct node *conf, const struct source_world *world,
		     struct conf_errors *errors, struct source **ret_source)
{
	const struct schema_map *map = discover_source_map("file");
	struct source_of_file *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	file->source = (struct source){.kind = &source_file, .conf = conf, .world = *world};
	file->task.run = on_task;
	list_init(&file->task.link);
	file->form = (struct file_form){
		.path = schema_text(conf, "path"),
		.json = schema_number(map, conf, "format"),
		.weight = (uint32_t)schema_number(map, conf, "weight"),
		.backup = schema_number(map, conf, "backup"),
	};
	*ret_source = &file->source;
	return 0;
}

static void file_close(struct source *source)
{
	struct source_of_file *file = of(source);

	list_remove(&file->task.link);
	file_watch_free(file->watch);
	free(file);
}

/* The watch is made here, since open() does no I/O; without one there is still the interval. */
static void file_fetch(struct source *source)
{
	struct source_of_file *file = of(source);

	source->notice[0] = '\0';
	if (!file->watch && file_watch_new(source->world.loop, file->form.path, on_change, source,
					   &file->watch) < 0)
		strcpy(source->notice, "inotify cannot be used, so changes wait for the interval");
	loop_ready(source->world.loop, &file->task);
}

static uint32_t file_calls(const struct source *source, size_t expected)
{
	return 0;
}

const struct source_kind source_file = {
	.name = "file",
	.actions = (const struct source_action[]){{.action = NULL}},
	.open = file_open,
	.close = file_close,
	.fetch = file_fetch,
	.calls_x100 = file_calls,
};
