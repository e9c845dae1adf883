/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots of targets. Happy path: add one by one, seal once, and from then on every question is a
 * walk over a sorted array. Addresses are kept in one notation, so that "[2001:DB8::1]:80" and
 * "[2001:db8::1]:80" are one target.
 *
 * Failure modes: what a target says cannot stand in the admin API (-EINVAL, the set stays as it
 * was); memory; a contradiction, found when sealing, after which the set is only good for freeing.
 */
#include "control/target_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/digest.h"
#include "proxy/base/addr.h"
#include "proxy/base/conf/text.h"
#include "proxy/base/panic.h"

#define ID_MAX   255
#define ZONE_MAX 63

/* The texts of a target lie in one piece: address, id, zone. */
struct item {
	struct found_target target;
	char *texts;
};

struct target_set {
	struct item *items; /* sorted by identity once sealed */
	size_t count;
	size_t room;
	size_t usable;
	bool sealed;
};

const char *const set_change_names[] = {"added", "removed", "drained", "returned", "changed"};

struct target_set *target_set_new(void)
{
	return calloc(1, sizeof(struct target_set));
}

void target_set_free(struct target_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->count; i++)
		free(set->items[i].texts);
	free(set->items);
	free(set);
}

static bool text_fits(const char *text, size_t max)
{
	return *text && strlen(text) <= max && text_is_clean(text);
}

/* As the admin API sees it; the address comes out in its one notation (ADDR_TEXT bytes). */
static bool target_is_valid(const struct found_target *target, char *ret_address)
{
	struct addr addr;

	if (!target->address || !text_fits(target->address, ADDR_TEXT) ||
	    strchr(target->address, ' ') || addr_parse(target->address, &addr) < 0 ||
	    (addr.family != AF_UNIX && !addr.port))
		return false;
	if (target->id && (!text_fits(target->id, ID_MAX) || strchr(target->id, ' ')))
		return false;
	if (target->zone && (!text_fits(target->zone, ZONE_MAX) || strchr(target->zone, ' ')))
		return false;
	addr_format(&addr, ret_address);
	return target->weight <= FOUND_WEIGHT_MAX;
}

static char *append(char **at, const char *text)
{
	char *start = *at;

	if (!text)
		return NULL;
	*at = stpcpy(start, text) + 1;
	return start;
}

static int copy_texts(struct item *item, const char *address)
{
	const char *id = item->target.id, *zone = item->target.zone;
	size_t size = strlen(address) + (id ? strlen(id) : 0) + (zone ? strlen(zone) : 0) + 3;
	char *at = malloc(size);

	item->texts = at;
	if (!at)
		return -ENOMEM;
	item->target.address = append(&at, address);
	item->target.id = append(&at, id);
	item->target.zone = append(&at, zone);
	return 0;
}

static int make_room(struct target_set *set)
{
	size_t room = set->room ? 2 * set->room : 16;
	struct item *items;

	if (set->count < set->room)
		return 0;
	items = reallocarray(set->items, room, sizeof(*items));
	if (!items)
		return -ENOMEM;
	set->items = items;
	set->room = room;
	return 0;
}

int target_set_add(struct target_set *set, const struct found_target *target)
{
	struct item item = {.target = *target};
	char address[ADDR_TEXT];
	int err;

	must(!set->sealed);
	if (!target_is_valid(target, address))
		return -EINVAL;
	err = make_room(set);
	if (!err)
		err = copy_texts(&item, address);
	if (!err)
		set->items[set->count++] = item;
	return err;
}

static int compare_texts(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int compare_identity(const struct found_target *a, const struct found_target *b)
{
	int order = compare_texts(a->id, b->id);

	return order ? order : strcmp(a->address, b->address);
}

static int compare_items(const void *a, const void *b)
{
	return compare_identity(&((const struct item *)a)->target,
				&((const struct item *)b)->target);
}

static bool same_values(const struct found_target *a, const struct found_target *b)
{
	return !compare_texts(a->zone, b->zone) && a->weight == b->weight &&
	       a->max_connections == b->max_connections && a->backup == b->backup &&
	       a->draining == b->draining;
}

static bool is_usable(const struct found_target *target)
{
	return !target->draining && target->weight > 0;
}

/* NULL when no identity stands there with different values. */
static const struct found_target *find_contradiction(const struct target_set *set)
{
	for (size_t i = 1; i < set->count; i++) {
		const struct found_target *a = &set->items[i - 1].target;
		const struct found_target *b = &set->items[i].target;

		if (!compare_identity(a, b) && !same_values(a, b))
			return a;
	}
	return NULL;
}

static void drop_repetitions(struct target_set *set)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->count; i++) {
		struct item *item = &set->items[i];

		if (kept && !compare_items(&set->items[kept - 1], item)) {
			free(item->texts);
			continue;
		}
		set->usable += is_usable(&item->target);
		set->items[kept++] = *item;
	}
	set->count = kept;
}

int target_set_seal(struct target_set *set, const struct found_target **ret_twice)
{
	const struct found_target *twice;

	must(!set->sealed);
	if (set->count)
		qsort(set->items, set->count, sizeof(*set->items), compare_items);
	twice = find_contradiction(set);
	if (twice) {
		*ret_twice = twice;
		return -EEXIST;
	}
	drop_repetitions(set);
	set->sealed = true;
	return 0;
}

struct target_set *target_set_copy(const struct target_set *set)
{
	struct target_set *copy = target_set_new();

	must(set->sealed);
	for (size_t i = 0; copy && i < set->count; i++)
		if (target_set_add(copy, &set->items[i].target) < 0) {
			target_set_free(copy);
			return NULL;
		}
	if (copy) {
		copy->usable = set->usable;
		copy->sealed = true;
	}
	return copy;
}

size_t target_set_count(const struct target_set *set)
{
	return set ? set->count : 0;
}

size_t target_set_usable(const struct target_set *set)
{
	return set ? set->usable : 0;
}

const struct found_target *target_set_at(const struct target_set *set, size_t index)
{
	must(set->sealed && index < set->count);
	return &set->items[index].target;
}

const struct found_target *target_set_find(const struct target_set *set, const char *id,
					   const char *address)
{
	struct item key = {.target = {.id = id}};
	char text[ADDR_TEXT];
	struct addr addr;
	const struct item *item;

	if (!target_set_count(set) || addr_parse(address, &addr) < 0)
		return NULL;
	must(set->sealed);
	key.target.address = addr_format(&addr, text);
	item = bsearch(&key, set->items, set->count, sizeof(*set->items), compare_items);
	return item ? &item->target : NULL;
}

bool target_set_equal(const struct target_set *a, const struct target_set *b)
{
	if (target_set_count(a) != target_set_count(b))
		return false;
	for (size_t i = 0; i < target_set_count(a); i++)
		if (compare_items(&a->items[i], &b->items[i]) ||
		    !same_values(&a->items[i].target, &b->items[i].target))
			return false;
	return true;
}

void target_set_digest(const struct target_set *set, char *ret_text)
{
	struct digest digest;

	digest_begin(&digest);
	for (size_t i = 0; i < target_set_count(set); i++) {
		const struct found_target *target = &set->items[i].target;

		digest_text(&digest, target->id);
		digest_text(&digest, target->address);
		digest_text(&digest, target->zone);
		digest_number(&digest, target->weight);
		digest_number(&digest, target->max_connections);
		digest_number(&digest, target->backup);
		digest_number(&digest, target->draining);
	}
	digest_end(&digest, ret_text, SET_DIGEST_TEXT);
}

/* False when nothing changed. */
static bool what_changed(const struct found_target *was, const struct found_target *is,
			 enum set_change *ret_change)
{
	if (was && is && same_values(was, is))
		return false;
	if (!was)
		*ret_change = SET_ADDED;
	else if (!is)
		*ret_change = SET_REMOVED;
	else if (was->draining != is->draining)
		*ret_change = is->draining ? SET_DRAINED : SET_RETURNED;
	else
		*ret_change = SET_CHANGED;
	return true;
}

size_t target_set_diff(const struct target_set *before, const struct target_set *after,
		       void (*visit)(void *context, enum set_change change,
				     const struct found_target *was, const struct found_target *is),
		       void *context)
{
	size_t i = 0, j = 0, changes = 0;

	while (i < target_set_count(before) || j < target_set_count(after)) {
		const struct found_target *was = NULL, *is = NULL;
		enum set_change change;
		int order = i == target_set_count(before) ? 1
			    : j == target_set_count(after)
				    ? -1
				    : compare_items(&before->items[i], &after->items[j]);

		if (order <= 0)
			was = &before->items[i++].target;
		if (order >= 0)
			is = &after->items[j++].target;
		if (!what_changed(was, is, &change))
			continue;
		changes++;
		if (visit)
			visit(context, change, was, is);
	}
	return changes;
}
