/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard's life, from a configuration's point of view: it comes up with one, follows the next,
 * and tells its figures by listener. A listener's counters stay its own over reloads, by its name.
 *
 * Failure modes: the guard's own, passed on with its sentence.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admission/internal.h"
#include "proxy/model.h"

/* On bpffs; links of an older layout are left alone. */
#define PIN_PATH "/sys/fs/bpf/sluice/guard-v1"

const char *const admission_verdict_names[GUARD_VERDICTS] = {
	[GUARD_PASSED] = "passed",
	[GUARD_SYN_PASSED] = "syn_passed",
	[GUARD_ALLOWED] = "allowed",
	[GUARD_DENIED] = "denied",
	[GUARD_RATE_LIMITED] = "rate_limited",
	[GUARD_COOKIE_SENT] = "cookie_sent",
	[GUARD_COOKIE_PROVED] = "cookie_proved",
	[GUARD_COOKIE_REFUSED] = "cookie_refused",
	[GUARD_STRAY] = "stray",
	[GUARD_VOUCHED] = "vouched",
	[GUARD_UNANSWERABLE] = "unanswerable",
	[GUARD_MALFORMED] = "malformed",
};
const char *const admission_mode_names[] = {
	[GUARD_AUTO] = "auto", [GUARD_NATIVE] = "native", [GUARD_GENERIC] = "generic"};
const char *const admission_cookie_names[COOKIE_MODES] = {
	[COOKIES_OFF] = "off", [COOKIES_AUTO] = "auto", [COOKIES_ALWAYS] = "always"};

static int short_of_memory(char *problem)
{
	snprintf(problem, GUARD_PROBLEM, "the guard: %s", strerror(ENOMEM));
	return -ENOMEM;
}

int admission_check(const struct config *config, char *ret_problem)
{
	struct doors doors;
	int err = config->guard.interface_count ? doors_make(NULL, config, &doors) : 0;

	if (!config->guard.interface_count)
		return 0;
	if (err)
		return short_of_memory(ret_problem);
	err = guard_check(doors.doors, doors.count, ret_problem, GUARD_PROBLEM);
	doors_free(&doors);
	return err;
}

/* --- slots --- */

static bool has_listener(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->listener_count; i++)
		if (!strcmp(config->listeners[i].name, name))
			return true;
	return false;
}

/* There are as many slots as a configuration may have listeners. */
static void give_slot(struct admission *admission, const char *name)
{
	uint32_t slot;

	if (doors_slot(admission, name))
		return;
	slot = doors_slot(admission, "");
	snprintf(admission->slots[slot], sizeof(admission->slots[slot]), "%s", name);
	if (admission->guard)
		guard_forget(admission->guard, slot);
}

static void give_slots(struct admission *admission, const struct config *config)
{
	for (uint32_t slot = 1; slot < GUARD_LISTENERS; slot++)
		if (admission->slots[slot][0] && !has_listener(config, admission->slots[slot]))
			admission->slots[slot][0] = '\0';
	for (size_t i = 0; i < config->listener_count; i++)
		give_slot(admission, config->listeners[i].name);
}

/* --- life --- */

static int open_guard(struct admission *admission, unsigned owner, const struct doors *doors,
		      char *ret_problem)
{
	static const enum guard_mode modes[HOOK_MODES] = {[HOOK_AUTO] = GUARD_AUTO,
							  [HOOK_NATIVE] = GUARD_NATIVE,
							  [HOOK_GENERIC] = GUARD_GENERIC};
	const struct guard_house_conf *house = &admission->config->guard;
	struct guard_hook hooks[GUARD_INTERFACES] = {0};
	struct guard_conf conf = {.hooks = hooks,
				  .hook_count = house->interface_count,
				  .keep = house->keep,
				  .pin_path = PIN_PATH,
				  .owner = owner};

	for (size_t i = 0; i < house->interface_count && i < GUARD_INTERFACES; i++) {
		snprintf(hooks[i].name, sizeof(hooks[i].name), "%s", house->interfaces[i].name);
		hooks[i].mode = modes[house->interfaces[i].mode];
	}
	guard_sweep(PIN_PATH, hooks, conf.hook_count);
	if (!conf.hook_count)
		return 0;
	return guard_open(&conf, doors->doors, doors->count, &admission->guard, ret_problem,
			  GUARD_PROBLEM);
}

int admission_start(const struct config *config, unsigned owner, struct admission **ret_admission,
		    char *ret_problem)
{
	struct admission *admission = calloc(1, sizeof(*admission));
	struct doors doors;
	int err;

	if (!admission)
		return short_of_memory(ret_problem);
	admission->config = config;
	give_slots(admission, config);
	if (doors_make(admission, config, &doors)) {
		free(admission);
		return short_of_memory(ret_problem);
	}
	err = open_guard(admission, owner, &doors, ret_problem);
	doors_free(&doors);
	if (err || !admission->guard) {
		free(admission);
		admission = NULL;
	}
	if (!err)
		*ret_admission = admission;
	return err;
}

void admission_stop(struct admission *admission)
{
	if (!admission)
		return;
	guard_close(admission->guard);
	free(admission->entries);
	free(admission);
}

int admission_enforce(struct admission *admission, char *ret_problem)
{
	struct doors doors;
	int err = doors_make(admission, admission->config, &doors);

	if (err)
		return short_of_memory(ret_problem);
	err = guard_apply(admission->guard, doors.doors, doors.count, ret_problem, GUARD_PROBLEM);
	doors_free(&doors);
	return err;
}

int admission_apply(struct admission *admission, const struct config *config, char *ret_problem)
{
	admission->config = config;
	give_slots(admission, config);
	return admission_enforce(admission, ret_problem);
}

/* --- figures --- */

const struct guard_hook *admission_hooks(const struct admission *admission, size_t *ret_count)
{
	return guard_hooks(admission->guard, ret_count);
}

bool admission_answers_fully(const struct admission *admission)
{
	return guard_answers_fully(admission->guard);
}

void admission_read(const struct admission *admission, const char *listener,
		    struct guard_counts *ret_counts)
{
	uint32_t slot = listener ? doors_slot(admission, listener) : 0;

	if (listener && !slot)
		*ret_counts = (struct guard_counts){0};
	else
		guard_read(admission->guard, slot, ret_counts);
}
