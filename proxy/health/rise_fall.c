/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the counting of verdicts. The happy path is: a verdict lengthens one of the two runs and
 * ends the other, and a run that is long enough changes the status. Nothing here can fail.
 */
#include "proxy/health/rise_fall.h"

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"

/* Which status may follow which; to stay is always allowed. */
static const uint8_t follows[HEALTH_STATUSES] = {
	[HEALTH_UNKNOWN] = 1 << HEALTH_UP | 1 << HEALTH_DOWN,
	[HEALTH_UP] = 1 << HEALTH_GOING_DOWN | 1 << HEALTH_DOWN,
	[HEALTH_GOING_DOWN] = 1 << HEALTH_UP | 1 << HEALTH_DOWN,
	[HEALTH_DOWN] = 1 << HEALTH_GOING_UP | 1 << HEALTH_UP,
	[HEALTH_GOING_UP] = 1 << HEALTH_UP | 1 << HEALTH_DOWN,
};

static void change(struct rise_fall *state, enum health_status status)
{
	must(status == state->status || follows[state->status] & 1 << status);
	state->status = status;
}

void rise_fall_init(struct rise_fall *state, enum health_status status)
{
	*state = (struct rise_fall){.status = status, .rise_factor = 1};
	if (status == HEALTH_UNCHECKED)
		state->status = HEALTH_UNKNOWN;
}

uint32_t rise_fall_needed(const struct rise_fall *state, const struct health_conf *conf)
{
	return conf->rise * state->rise_factor;
}

bool rise_fall_is_settled(const struct rise_fall *state)
{
	return state->status == HEALTH_UP;
}

/* It goes down: the shorter it was up, the less its next rise will be believed. */
static void damp(struct rise_fall *state, const struct health_conf *conf, uint64_t now_us)
{
	uint64_t quiet_us = (uint64_t)conf->interval_ms * US_PER_MS * QUIET_INTERVALS;
	uint64_t periods = quiet_us ? (now_us - state->up_us) / quiet_us : 0;

	if (!state->up_us)
		return;
	if (!periods && state->rise_factor < RISE_FACTOR_MAX)
		state->rise_factor *= 2;
	for (; periods && state->rise_factor > 1; periods--)
		state->rise_factor /= 2;
}

static bool is_up(const struct rise_fall *state)
{
	return state->status == HEALTH_UP || state->status == HEALTH_GOING_DOWN;
}

static void count_good(struct rise_fall *state, const struct health_conf *conf, uint64_t now_us)
{
	state->passed++;
	state->failed = 0;
	if (is_up(state) || state->status == HEALTH_UNKNOWN) {
		change(state, HEALTH_UP);
	} else if (state->passed >= rise_fall_needed(state, conf)) {
		change(state, HEALTH_UP);
		state->up_us = now_us;
	} else {
		change(state, HEALTH_GOING_UP);
	}
}

static void count_bad(struct rise_fall *state, const struct health_conf *conf, uint64_t now_us)
{
	state->failed++;
	state->passed = 0;
	if (is_up(state) && state->failed < conf->fall) {
		change(state, HEALTH_GOING_DOWN);
		return;
	}
	if (is_up(state))
		damp(state, conf, now_us);
	change(state, HEALTH_DOWN);
}

void rise_fall_count(struct rise_fall *state, const struct health_conf *conf, bool good,
		     uint64_t now_us)
{
	if (good)
		count_good(state, conf, now_us);
	else
		count_bad(state, conf, now_us);
}
