/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes Prometheus' text form, version 0.0.4 (prometheus.io/docs/instrumenting/
 * exposition_formats): a metric's help and type, then its samples, each with labels and a value.
 * One buffer grows, since 10,000 targets are ten megabytes and main waits for them.
 *
 * Failure mode: memory is short, then everything after that is ignored and there is no text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exposition {
	char *text;
	size_t size;
	size_t capacity;
	const char *name; /* of the metric whose samples come */
	bool labelled;    /* the sample that is being written has a label */
	bool failed;
};

/* A metric; `type` is counter, gauge or histogram. `name` must stay valid for its samples. */
void exposition_metric(struct exposition *out, const char *name, const char *type,
		       const char *help);

/* One sample: begin, any number of labels, one value. `suffix` is "" but for histograms. */
void exposition_sample(struct exposition *out, const char *suffix);
void exposition_label(struct exposition *out, const char *name, const char *value);
void exposition_label_number(struct exposition *out, const char *name, uint64_t value);
void exposition_label_real(struct exposition *out, const char *name, double value);
void exposition_integer(struct exposition *out, uint64_t value);
void exposition_real(struct exposition *out, double value);

/* Labels that many samples share: written once into an exposition of their own, which is begun with
 * exposition_labels_begin(), and copied from there. */
void exposition_labels_begin(struct exposition *labels);
void exposition_labels(struct exposition *out, const char *labels, size_t size);

/* A metric with one sample that has no label. */
void exposition_single(struct exposition *out, const char *name, const char *type, const char *help,
		       uint64_t value);

/* The text, which becomes the caller's; NULL without memory. `out` is empty then. */
char *exposition_take(struct exposition *out);
