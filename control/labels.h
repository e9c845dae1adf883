/* SPDX-License-Identifier: Apache-2.0
 *
 * What a target's own tags or attributes say of it: port, weight, zone and backup, under the names
 * that `from_tags:` or `from_attributes:` give.
 *
 * Happy path: labels_open() reads the mapping once, labels_read() each target's tags. Failure mode:
 * a value that is none (weight "heavy") leaves what the mapping says and adds a note.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct node;
struct notes;

/* What counts for one target. */
struct said {
	uint16_t port;    /* 0: neither the mapping nor a label has one */
	uint32_t weight;  /* 0..1000 */
	const char *zone; /* borrowed from the answer; NULL: not said */
	bool backup;
};

struct labels {
	struct said otherwise; /* the mapping's own words */
	/* Names of tags, borrowed from the mapping; NULL: not asked for. */
	const char *port;
	const char *weight;
	const char *zone;
	const char *backup;
};

/* `conf` is the completed mapping of a source of `kind`; `key` is "from_tags" or
 * "from_attributes", and may be missing in it. */
void labels_open(const char *kind, const struct node *conf, const char *key,
		 struct labels *ret_labels);

/* `from` is a list of tags, or an object of attributes, or NULL; `who` is for notes. */
struct said labels_read(const struct labels *labels, const char *who, const json_t *from,
			struct notes *notes);
