/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of a state directory that are read whole and replaced whole: after a power cut each is the
 * old one or the new one. The directory is opened once; its files are reached below its descriptor.
 */
#pragma once

#include <stddef.h>

/* Made (mode 0700) if it is not there; its parent must be. 0 or -errno; the caller closes. */
int statefile_directory(const char *path, int *ret_dir_fd);

/* All of it, NUL-ended; the caller frees. 0; -ENOENT; -EINVAL when it is no regular file or larger
 * than `max`; or another -errno. */
int statefile_read(int dir_fd, const char *name, size_t max, char **ret_text, size_t *ret_size);

/* Write NAME.new, fsync(2) it, rename it over NAME and fsync the directory. 0 or -errno, after
 * which NAME is as it was (but when the directory's own fsync fails). */
int statefile_replace(int dir_fd, const char *name, const char *text, size_t size);

/* Keep it as NAME.bad, so that a person can look at it and nothing overwrites it. 0 or -errno. */
int statefile_put_aside(int dir_fd, const char *name);
