/* SPDX-License-Identifier: Apache-2.0
 *
 * The timing wheel. A timer sits in the level whose slot width fits its distance; when time reaches
 * the start of a slot above level 0, its timers are put in again and land lower, until they are
 * due.
 *
 * Happy path: the loop asks timer_wheel_timeout() how long to sleep, wakes, advances. Advancing
 * jumps from one occupied slot to the next, so an idle hour costs a handful of steps.
 * There is nothing that can fail: no memory is taken.
 */
#include "proxy/base/timer.h"

#include "proxy/base/panic.h"

#define SLOT_BITS 6
#define MAX_DELAY ((UINT64_C(1) << (SLOT_BITS * TIMER_LEVELS)) - 1)
#define NEVER     UINT64_MAX

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms)
{
	wheel->now_ms = now_ms;
	for (int level = 0; level < TIMER_LEVELS; level++) {
		wheel->occupied[level] = 0;
		for (int slot = 0; slot < TIMER_SLOTS; slot++)
			list_init(&wheel->slots[level][slot]);
	}
}

void timer_init(struct timer *timer, void (*on_due)(struct timer *))
{
	list_init(&timer->link);
	timer->due_ms = 0;
	timer->on_due = on_due;
}

bool timer_is_armed(const struct timer *timer)
{
	return !list_empty(&timer->link);
}

void timer_cancel(struct timer *timer)
{
	list_remove(&timer->link);
}

/* File an unlinked timer under its distance from now, which is at least one tick. */
static void wheel_insert(struct timer_wheel *wheel, struct timer *timer)
{
	uint64_t delay = timer->due_ms - wheel->now_ms;
	uint64_t at = delay > MAX_DELAY ? wheel->now_ms + MAX_DELAY : timer->due_ms;
	int level = 0;
	unsigned slot;

	if (delay > MAX_DELAY)
		delay = MAX_DELAY;
	while (delay >> (SLOT_BITS * (level + 1)))
		level++;
	slot = (at >> (SLOT_BITS * level)) & (TIMER_SLOTS - 1);
	wheel->occupied[level] |= UINT64_C(1) << slot;
	list_push_back(&wheel->slots[level][slot], &timer->link);
}

void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t delay_ms)
{
	must(timer->on_due);
	list_remove(&timer->link);
	timer->due_ms = wheel->now_ms + (delay_ms ? delay_ms : 1);
	wheel_insert(wheel, timer);
}

/* The tick at which the next occupied slot of a level starts, after now. */
static uint64_t next_slot_start(const struct timer_wheel *wheel, int level)
{
	uint64_t current = wheel->now_ms >> (SLOT_BITS * level);
	unsigned turn = (current + 1) & (TIMER_SLOTS - 1);
	uint64_t bits = wheel->occupied[level];

	if (!bits)
		return NEVER;
	bits = turn ? bits >> turn | bits << (TIMER_SLOTS - turn) : bits;
	return (current + 1 + (unsigned)__builtin_ctzll(bits)) << (SLOT_BITS * level);
}

static uint64_t next_start(const struct timer_wheel *wheel)
{
	uint64_t first = NEVER;

	for (int level = 0; level < TIMER_LEVELS; level++) {
		uint64_t start = next_slot_start(wheel, level);

		if (start < first)
			first = start;
	}
	return first;
}

/* Empty one slot whose start is now: what is due runs, the rest moves to a lower level. */
static void slot_drain(struct timer_wheel *wheel, int level, unsigned slot)
{
	struct list *head = &wheel->slots[level][slot];
	struct list moved;
	struct list *link;

	wheel->occupied[level] &= ~(UINT64_C(1) << slot);
	if (list_empty(head))
		return;
	list_push_back(head, &moved);
	list_remove(head);
	while ((link = list_pop_front(&moved))) {
		struct timer *timer = container_of(link, struct timer, link);

		if (timer->due_ms <= wheel->now_ms)
			timer->on_due(timer);
		else
			wheel_insert(wheel, timer);
	}
}

void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms)
{
	for (;;) {
		uint64_t start = next_start(wheel);

		if (start > now_ms)
			break;
		wheel->now_ms = start;
		for (int level = TIMER_LEVELS - 1; level >= 0; level--) {
			uint64_t width = UINT64_C(1) << (SLOT_BITS * level);
			unsigned slot = (start >> (SLOT_BITS * level)) & (TIMER_SLOTS - 1);

			if (!(start & (width - 1)) && wheel->occupied[level] >> slot & 1)
				slot_drain(wheel, level, slot);
		}
	}
	if (now_ms > wheel->now_ms)
		wheel->now_ms = now_ms;
}

int timer_wheel_timeout(const struct timer_wheel *wheel)
{
	uint64_t start = next_start(wheel);

	if (start == NEVER)
		return -1;
	start -= wheel->now_ms;
	return start > INT32_MAX ? INT32_MAX : (int)start;
}
