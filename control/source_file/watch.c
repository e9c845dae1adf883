/* SPDX-License-Identifier: Apache-2.0
 *
 * inotify(7) for one path. See control/source_file/watch.h for what is watched and why.
 *
 * Entries are pairs of directory and name. An event of another name in the same directory is
 * nothing to us. Directories are watched rather than the file, since a watch on a file stays with
 * the old inode when another is renamed over it.
 */
#include "control/source_file/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "proxy/base/loop.h"

#define ENTRIES   32 /* links on the way, and the file */
#define SETTLE_MS 20 /* what one replacement causes comes within this */
#define WRITES    IN_MODIFY
#define REPLACES  (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE)
#define GONE      (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)

struct entry {
	int wd;
	char name[NAME_MAX + 1];
};

struct way {
	struct entry entries[ENTRIES];
	unsigned count;
	bool whole; /* it leads to a name that is no link: the last entry's */
};

struct file_watch {
	struct loop_source source;
	struct loop_task reap;
	struct timer settle;
	struct loop *loop;
	const char *path;
	struct way way;
	bool writing;
	void (*on_change)(void *context);
	void *context;
};

static void watch_reap(struct loop_task *task)
{
	free(container_of(task, struct file_watch, reap));
}

static bool entry_is(const struct entry *entry, int wd, const char *name)
{
	return entry->wd == wd && strcmp(entry->name, name) == 0;
}

static bool is_file(const struct way *way, int wd, const char *name)
{
	return way->whole && entry_is(&way->entries[way->count - 1], wd, name);
}

static bool way_has(const struct way *way, int wd)
{
	for (unsigned i = 0; i < way->count; i++)
		if (way->entries[i].wd == wd)
			return true;
	return false;
}

static bool is_on_the_way(const struct way *way, const struct inotify_event *event)
{
	for (unsigned i = 0; event->len && i < way->count; i++)
		if (entry_is(&way->entries[i], event->wd, event->name))
			return true;
	return false;
}

/* True when another file may be there now, or this one is complete. */
static bool event_changes(struct file_watch *watch, const struct inotify_event *event)
{
	bool lost = event->mask & IN_Q_OVERFLOW;

	if (lost || (event->mask & GONE && way_has(&watch->way, event->wd))) {
		watch->writing = false;
		return true;
	}
	if (!is_on_the_way(&watch->way, event))
		return false;
	if (is_file(&watch->way, event->wd, event->name))
		watch->writing = event->mask & WRITES;
	return event->mask & REPLACES;
}

/* Whether any event that waits says so. */
static bool read_events(struct file_watch *watch)
{
	char bytes[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool changed = false;
	ssize_t size;

	while ((size = read(watch->source.fd, bytes, sizeof(bytes))) > 0) {
		const char *at = bytes;

		while (at < bytes + size) {
			const struct inotify_event *event = (const struct inotify_event *)at;

			changed |= event_changes(watch, event);
			at += sizeof(*event) + event->len;
		}
	}
	return changed;
}

static void on_event(struct loop_source *source, uint32_t events)
{
	struct file_watch *watch = container_of(source, struct file_watch, source);

	if (read_events(watch))
		loop_arm(watch->loop, &watch->settle, SETTLE_MS);
}

static void on_settled(struct timer *timer)
{
	struct file_watch *watch = container_of(timer, struct file_watch, settle);

	watch->on_change(watch->context);
}

int file_watch_new(struct loop *loop, const char *path, void (*on_change)(void *context),
		   void *context, struct file_watch **ret_watch)
{
	struct file_watch *watch = calloc(1, sizeof(*watch));
	int err = -ENOMEM;

	if (!watch)
		return err;
	watch->source.on_event = on_event;
	watch->reap.run = watch_reap;
	list_init(&watch->reap.link);
	timer_init(&watch->settle, on_settled);
	watch->loop = loop;
	watch->path = path;
	watch->on_change = on_change;
	watch->context = context;
	watch->source.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	err = watch->source.fd < 0 ? -errno : loop_add(loop, &watch->source, EPOLLIN);
	if (err)
		goto fail;
	*ret_watch = watch;
	return 0;
fail:
	if (watch->source.fd >= 0)
		close(watch->source.fd);
	free(watch);
	return err;
}

void file_watch_free(struct file_watch *watch)
{
	if (!watch)
		return;
	timer_cancel(&watch->settle);
	close(watch->source.fd);
	watch->source.fd = -1;
	loop_defer(watch->loop, &watch->reap);
}

/* --- where the path leads --- */

static int watch_name(struct file_watch *watch, struct way *way, const char *directory,
		      const char *name)
{
	uint32_t mask = WRITES | REPLACES | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
	struct entry *entry = &way->entries[way->count];

	if (way->count == ENTRIES)
		return -ELOOP;
	entry->wd = inotify_add_watch(watch->source.fd, directory, mask);
	if (entry->wd < 0)
		return -errno;
	strcpy(entry->name, name);
	way->count++;
	return 0;
}

/* Cut the first name off `rest`; false behind the last. */
static bool next_name(char *rest, char *ret_name)
{
	size_t skip = strspn(rest, "/"), length = strcspn(rest + skip, "/");

	if (!length || length > NAME_MAX)
		return false;
	memcpy(ret_name, rest + skip, length);
	ret_name[length] = '\0';
	memmove(rest, rest + skip + length, strlen(rest + skip + length) + 1);
	return true;
}

static int append(char *path, const char *name)
{
	size_t used = strlen(path);

	if (used + strlen(name) + 2 > PATH_MAX)
		return -ENAMETOOLONG;
	if (used && path[used - 1] != '/')
		path[used++] = '/';
	strcpy(path + used, name);
	return 0;
}

/* Put where a link leads in front of `rest`; `at` starts anew when that is absolute. */
static int turn_off(char *at, char *rest, const char *link)
{
	char all[PATH_MAX];

	if (strlen(link) + strlen(rest) + 2 > sizeof(all))
		return -ENAMETOOLONG;
	stpcpy(stpcpy(stpcpy(all, link), "/"), rest);
	strcpy(rest, all);
	if (link[0] == '/')
		strcpy(at, "/");
	return 0;
}

/* `full` is `at` with `name`. Watches in `at` if this name decides anything. */
static int step(struct file_watch *watch, struct way *way, char *at, char *rest, const char *full,
		const char *name)
{
	char link[PATH_MAX];
	ssize_t size = readlink(full, link, sizeof(link) - 1);
	bool last = strspn(rest, "/") == strlen(rest);
	bool missing = size < 0 && errno == ENOENT;
	int err = 0;

	if (size >= 0 || last || missing)
		err = watch_name(watch, way, at, name);
	if (err)
		return err;
	if (size < 0) {
		way->whole = last;
		if (missing)
			rest[0] = '\0';
		strcpy(at, full);
		return 0;
	}
	link[size] = '\0';
	return turn_off(at, rest, link);
}

static int walk(struct file_watch *watch, struct way *way)
{
	char at[PATH_MAX], rest[PATH_MAX], full[PATH_MAX], name[NAME_MAX + 1];
	int err = 0;

	if (strlen(watch->path) >= sizeof(rest))
		return -ENAMETOOLONG;
	strcpy(rest, watch->path);
	strcpy(at, rest[0] == '/' ? "/" : ".");
	while (!err && next_name(rest, name)) {
		strcpy(full, at);
		err = append(full, name);
		if (!err)
			err = step(watch, way, at, rest, full, name);
	}
	return err;
}

static bool same_file(const struct way *a, const struct way *b)
{
	const struct entry *file = a->whole ? &a->entries[a->count - 1] : NULL;

	return file && is_file(b, file->wd, file->name);
}

int file_watch_follow(struct file_watch *watch)
{
	struct way before = watch->way, *way = &watch->way;
	int err;

	*way = (struct way){0};
	err = walk(watch, way);
	for (unsigned i = 0; i < before.count; i++)
		if (!way_has(way, before.entries[i].wd))
			inotify_rm_watch(watch->source.fd, before.entries[i].wd);
	if (!same_file(way, &before))
		watch->writing = false;
	return err;
}

bool file_watch_sees_writer(struct file_watch *watch)
{
	if (read_events(watch))
		loop_arm(watch->loop, &watch->settle, SETTLE_MS);
	return watch->writing;
}
