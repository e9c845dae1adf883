/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators said of blocks of addresses, and until when. Every change is tried on a copy,
 * which becomes ours once the guard has taken it.
 *
 * Failure modes: no room, no memory, a guard that takes nothing; then the old entries stand.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admission/internal.h"

static bool same_block(const struct addr_block *a, const struct addr_block *b)
{
	return a->bits == b->bits && addr_equal(&a->base, &b->base);
}

static struct admission_entry *find(struct admission_entry *entries, size_t count,
				    const struct addr_block *block, const char *listener)
{
	for (size_t i = 0; i < count; i++)
		if (same_block(&entries[i].block, block) && !strcmp(entries[i].listener, listener))
			return &entries[i];
	return NULL;
}

/* With room for `more`. NULL without memory. */
static struct admission_entry *copy(const struct admission *admission, size_t more)
{
	struct admission_entry *entries =
		calloc(admission->entry_count + more + 1, sizeof(*entries));

	if (entries && admission->entry_count)
		memcpy(entries, admission->entries, admission->entry_count * sizeof(*entries));
	return entries;
}

/* `entries` become ours, if the guard takes them; they are freed else. */
static int become(struct admission *admission, struct admission_entry *entries, size_t count)
{
	struct admission_entry *before = admission->entries;
	size_t count_before = admission->entry_count;
	char problem[GUARD_PROBLEM];
	int err;

	admission->entries = entries;
	admission->entry_count = count;
	err = admission_enforce(admission, problem);
	if (err) {
		admission->entries = before;
		admission->entry_count = count_before;
	}
	free(err ? entries : before);
	return err;
}

int admission_put(struct admission *admission, const struct admission_entry *entries, size_t count)
{
	struct admission_entry *all = copy(admission, count);
	size_t total = admission->entry_count;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct admission_entry *entry =
			find(all, total, &entries[i].block, entries[i].listener);

		if (!entry)
			entry = &all[total++];
		*entry = entries[i];
	}
	if (total > ADMISSION_ENTRIES) {
		free(all);
		return -ENOSPC;
	}
	return become(admission, all, total);
}

int admission_remove(struct admission *admission, const struct addr_block *blocks, size_t count,
		     const char *listener)
{
	struct admission_entry *all = copy(admission, 0);
	size_t total = admission->entry_count;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct admission_entry *entry = find(all, total, &blocks[i], listener);

		if (!entry) {
			free(all);
			return -ENOENT;
		}
		total--;
		memmove(entry, entry + 1, (size_t)(all + total - entry) * sizeof(*entry));
	}
	return become(admission, all, total);
}

static bool is_over(const struct admission_entry *entry, uint64_t now_wall_us)
{
	return entry->until_wall_us && entry->until_wall_us <= now_wall_us;
}

void admission_expire(struct admission *admission, uint64_t now_wall_us,
		      void (*on_over)(void *context, const struct admission_entry *entry),
		      void *context)
{
	struct admission_entry *left;
	size_t count = 0;

	for (size_t i = 0; i < admission->entry_count; i++)
		count += !is_over(&admission->entries[i], now_wall_us);
	if (count == admission->entry_count)
		return;
	left = calloc(count + 1, sizeof(*left));
	if (!left)
		return; /* the next time */
	count = 0;
	for (size_t i = 0; i < admission->entry_count; i++)
		if (!is_over(&admission->entries[i], now_wall_us))
			left[count++] = admission->entries[i];
		else
			on_over(context, &admission->entries[i]);
	become(admission, left, count);
}

const struct admission_entry *admission_entries(const struct admission *admission,
						size_t *ret_count)
{
	*ret_count = admission->entry_count;
	return admission->entries;
}

const char *admission_block_text(const struct addr_block *block, char *buf)
{
	size_t len = strlen(addr_format_host(&block->base, buf));

	snprintf(buf + len, ADDR_TEXT - len, "/%u", block->bits);
	return buf;
}
