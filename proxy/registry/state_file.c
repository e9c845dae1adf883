/* SPDX-License-Identifier: Apache-2.0
 *
 * The file in the state directory. Happy path: read once at start; written beside itself, synced
 * and renamed over itself, so that after a power cut it is the old one or the new one.
 *
 * Failure modes: no directory, or one that may not be used: an event, and -errno with each attempt
 * to write. A file that cannot be read or understood, all of it or in parts: an event, and it is
 * kept aside as overrides.json.bad, so that a person can look at it and nothing overwrites it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/jot.h"
#include "proxy/base/statefile.h"
#include "proxy/events.h"
#include "proxy/registry/store.h"

#define FILE_NAME "overrides.json"
/* Far more than 10,000 targets take. */
#define SIZE_MAX_BYTES (64 << 20)

static void put_aside(struct store *store, const char *why)
{
	bool kept = !statefile_put_aside(store->dir_fd, FILE_NAME);

	events_add(store->events, LOG_ERROR, "state_bad", NULL, NULL, "%s/%s: %s%s",
		   store->directory, FILE_NAME, why,
		   kept ? "; kept aside as " FILE_NAME ".bad" : "; it could not be put aside");
}

static void parse(struct store *store, const char *text, size_t size)
{
	json_error_t error;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	char why[256];

	if (!root) {
		snprintf(why, sizeof(why), "line %d: %s", error.line, error.text);
		put_aside(store, why);
		return;
	}
	if (state_from_json(store, root) < 0) {
		put_aside(store, "parts of it make no sense, the rest is used");
		store->dirty = true;
	}
	json_decref(root);
}

void state_load(struct store *store)
{
	char *text = NULL;
	size_t size = 0;

	store->err = statefile_directory(store->directory, &store->dir_fd);
	if (store->err) {
		events_add(store->events, LOG_ERROR, "state_unusable", NULL, NULL,
			   "%s: %s; what operators say will not survive a restart",
			   store->directory, strerror(-store->err));
		return;
	}
	int err = statefile_read(store->dir_fd, FILE_NAME, SIZE_MAX_BYTES, &text, &size);

	if (!err)
		parse(store, text, size);
	else if (err != -ENOENT)
		put_aside(store, strerror(-err));
	free(text);
}

int state_write(struct store *store)
{
	json_t *root;
	char *text;
	int err;

	if (store->dir_fd < 0) {
		err = statefile_directory(store->directory, &store->dir_fd);
		if (err)
			return err;
	}
	root = state_to_json(store);
	text = jot_dump(root);
	err = text ? statefile_replace(store->dir_fd, FILE_NAME, text, strlen(text)) : -ENOMEM;
	free(text);
	json_decref(root);
	return err;
}
