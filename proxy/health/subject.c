/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns subjects' memory and the table that finds them. The happy path is: health_set() makes a
 * table of all jobs, with one copy of the settings for each run of jobs that share them; the
 * checker compares it with the table it has. Failure mode: no memory, then there is no new table.
 */
#include "proxy/health/subject.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct subject **bucket_of(const struct subject_table *table, uint64_t key)
{
	uint64_t hash = key * UINT64_C(0x9e3779b97f4a7c15);

	return &table->buckets[hash >> 32 & table->mask];
}

void subject_free(struct subject *subject)
{
	settings_put(subject->settings);
	free(subject->path);
	free(subject);
}

static bool set_addr(struct subject *subject, const struct health_job *job)
{
	subject->addr = job->addr;
	if (job->addr.family == AF_UNIX) {
		subject->path = strdup(job->addr.path);
		subject->addr.path = subject->path;
		return subject->path;
	}
	if (job->conf->port)
		subject->addr.port = job->conf->port;
	return true;
}

static struct subject *subject_new(const struct health_job *job, struct settings *settings)
{
	struct subject *subject = calloc(1, sizeof(*subject));

	if (!subject)
		return NULL;
	subject->key = job->key;
	subject->life = job->life;
	subject->proxy = job->proxy;
	subject->settings = settings_get(settings);
	rise_fall_init(&subject->count, job->status);
	list_init(&subject->link);
	report_slot_init(&subject->slot);
	if (set_addr(subject, job))
		return subject;
	subject_free(subject);
	return NULL;
}

static int table_alloc(struct subject_table *table, size_t count)
{
	size_t size = 16;

	while (size < count)
		size *= 2;
	*table = (struct subject_table){.buckets = calloc(size, sizeof(struct subject *)),
					.mask = size - 1};
	return table->buckets ? 0 : -ENOMEM;
}

static bool has(const struct subject_table *table, uint64_t key)
{
	for (struct subject *each = *bucket_of(table, key); each; each = each->next)
		if (each->key == key)
			return true;
	return false;
}

static int table_add(struct subject_table *table, const struct health_job *job,
		     struct settings *settings)
{
	struct subject **bucket = bucket_of(table, job->key), *subject;

	if (has(table, job->key))
		return 0;
	subject = subject_new(job, settings);
	if (!subject)
		return -ENOMEM;
	subject->next = *bucket;
	*bucket = subject;
	table->count++;
	return 0;
}

int subject_table_init(struct subject_table *table, const struct health_job *jobs, size_t count)
{
	const struct health_conf *conf = NULL;
	struct settings *settings = NULL;
	struct subject_table fresh;
	int r = table_alloc(&fresh, count);

	if (r < 0)
		return r;
	for (size_t i = 0; !r && i < count; i++) {
		if (jobs[i].conf->kind == HEALTH_OFF)
			continue;
		if (jobs[i].conf != conf) { /* jobs of a pool come together */
			settings_put(settings);
			settings = settings_new(jobs[i].conf);
			conf = jobs[i].conf;
		}
		r = settings ? table_add(&fresh, &jobs[i], settings) : -ENOMEM;
	}
	settings_put(settings);
	if (r < 0)
		subject_table_fini(&fresh);
	else
		*table = fresh;
	return r;
}

void subject_table_fini(struct subject_table *table)
{
	struct subject *subject;

	while ((subject = subject_table_pop(table)))
		subject_free(subject);
	free(table->buckets);
	table->buckets = NULL;
}

struct subject *subject_table_take(struct subject_table *table, uint64_t key)
{
	if (!table->count)
		return NULL;
	for (struct subject **at = bucket_of(table, key); *at; at = &(*at)->next) {
		struct subject *subject = *at;

		if (subject->key != key)
			continue;
		*at = subject->next;
		table->count--;
		return subject;
	}
	return NULL;
}

/* Emptied buckets are cut off at the end, so that popping all is linear. */
struct subject *subject_table_pop(struct subject_table *table)
{
	struct subject *subject;

	if (!table->count)
		return NULL;
	while (!table->buckets[table->mask])
		table->mask--;
	subject = table->buckets[table->mask];
	table->buckets[table->mask] = subject->next;
	table->count--;
	return subject;
}

bool subject_differs(const struct subject *a, const struct subject *b)
{
	return !addr_equal(&a->addr, &b->addr) || a->proxy != b->proxy ||
	       !settings_equal(a->settings, b->settings);
}

void subject_take_over(struct subject *subject, struct subject *fresh)
{
	struct settings *settings = subject->settings;
	char *path = subject->path;

	subject->addr = fresh->addr;
	subject->path = fresh->path;
	subject->proxy = fresh->proxy;
	subject->settings = fresh->settings;
	fresh->path = path;
	fresh->settings = settings;
}
