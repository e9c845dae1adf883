/* SPDX-License-Identifier: Apache-2.0
 *
 * A writer of block YAML that can write comments, which libyaml cannot.
 *
 * Happy path: hap_yaml_open() and hap_yaml_close() around what is in a mapping or list,
 * hap_yaml_item() in front of the first key of each mapping in a list. A text that may not stand in
 * a configuration is the caller's mistake.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct hap_yaml {
	FILE *out;
	unsigned depth;
	unsigned dash; /* the next line begins an item of a list */
};

void hap_yaml_open(struct hap_yaml *yaml, const char *key);
void hap_yaml_close(struct hap_yaml *yaml);
void hap_yaml_item(struct hap_yaml *yaml);
void hap_yaml_item_end(struct hap_yaml *yaml);

void hap_yaml_text(struct hap_yaml *yaml, const char *key, const char *text);
void hap_yaml_number(struct hap_yaml *yaml, const char *key, uint64_t number);
void hap_yaml_percent(struct hap_yaml *yaml, const char *key, uint64_t percent);

/* In the largest unit that leaves a whole number. */
void hap_yaml_time(struct hap_yaml *yaml, const char *key, uint64_t ms);

/* A scalar in a list. */
void hap_yaml_entry(struct hap_yaml *yaml, const char *text);

/* As a text, or as hex:0d0a where that is not possible. */
void hap_yaml_bytes(struct hap_yaml *yaml, const char *key, const uint8_t *bytes, size_t count);
