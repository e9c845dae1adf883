/* SPDX-License-Identifier: Apache-2.0
 *
 * Watches what one path names, with inotify(7): the directory in which the file lies, and each that
 * holds a symbolic link on the way there. So a file that is written, replaced by rename(2), or
 * swapped by turning a link (as Kubernetes does with `..data`) is noticed alike.
 *
 * Happy path: file_watch_follow() before each reading, on_change() some milliseconds after what
 * looks like another file. Failure modes: without inotify, or where a directory cannot be watched,
 * nothing is told, and whoever reads now and then still finds out.
 */
#pragma once

#include <stdbool.h>

struct file_watch;
struct loop;

/* 0 or -errno. `path` is borrowed. Watches nothing yet. */
int file_watch_new(struct loop *loop, const char *path, void (*on_change)(void *context),
		   void *context, struct file_watch **ret_watch);
void file_watch_free(struct file_watch *watch); /* accepts NULL */

/* Find out anew where the path leads, and watch that way. 0 or -errno. */
int file_watch_follow(struct file_watch *watch);

/* Whether somebody has begun to write into the file and has not closed it yet, as far as was seen
 * since it is watched. */
bool file_watch_sees_writer(struct file_watch *watch);
