/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the copies of what configurations say of health checks. The happy path is: copied once per
 * pool and health_set(), shared by reference, freed with the last target that goes by it. Failure
 * mode: no memory, then there is no copy at all.
 */
#include "proxy/health/settings.h"

#include <stdlib.h>
#include <string.h>

static bool copy_text(char **text)
{
	if (*text)
		*text = strdup(*text);
	else
		return true;
	return *text;
}

/* One byte at least, so that NULL is a failure. */
static bool copy_bytes(struct bytes_conf *bytes)
{
	uint8_t *copy = malloc(bytes->size + 1);

	if (copy && bytes->size)
		memcpy(copy, bytes->data, bytes->size);
	bytes->data = copy;
	return copy;
}

static void settings_free(struct settings *settings)
{
	free(settings->conf.method);
	free(settings->conf.path);
	free(settings->conf.host);
	free(settings->conf.send.data);
	free(settings->conf.expect.data);
	free(settings);
}

struct settings *settings_new(const struct health_conf *conf)
{
	struct settings *settings = malloc(sizeof(*settings));
	bool copied;

	if (!settings)
		return NULL;
	*settings = (struct settings){.refs = 1, .conf = *conf};
	/* All of them, whatever fails: none may point to the original when they are freed. */
	copied = copy_text(&settings->conf.method);
	copied &= copy_text(&settings->conf.path);
	copied &= copy_text(&settings->conf.host);
	copied &= copy_bytes(&settings->conf.send);
	copied &= copy_bytes(&settings->conf.expect);
	if (copied)
		return settings;
	settings_free(settings);
	return NULL;
}

struct settings *settings_get(struct settings *settings)
{
	settings->refs++;
	return settings;
}

void settings_put(struct settings *settings)
{
	if (settings && !--settings->refs)
		settings_free(settings);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_bytes(const struct bytes_conf *a, const struct bytes_conf *b)
{
	return a->size == b->size && !memcmp(a->data, b->data, a->size);
}

static bool same_times(const struct health_conf *a, const struct health_conf *b)
{
	return a->interval_ms == b->interval_ms && a->fast_interval_ms == b->fast_interval_ms &&
	       a->timeout_ms == b->timeout_ms && a->jitter_percent == b->jitter_percent &&
	       a->rise == b->rise && a->fall == b->fall;
}

bool settings_equal(const struct settings *one, const struct settings *other)
{
	const struct health_conf *a = &one->conf, *b = &other->conf;

	return a->kind == b->kind && a->port == b->port && same_times(a, b) &&
	       a->status_low == b->status_low && a->status_high == b->status_high &&
	       same_text(a->method, b->method) && same_text(a->path, b->path) &&
	       same_text(a->host, b->host) && same_bytes(&a->send, &b->send) &&
	       same_bytes(&a->expect, &b->expect);
}
