/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard at the door comes up while we are still who we were started as, and is changed by file
 * descriptors alone from then on.
 *
 * Happy path: attached before anything is bound, told of each reload, rid of what operators added
 * for a while, detached last.
 * Failure modes: one that is configured and cannot be had ends the start, with the interface and
 * the remedy; a reload that it cannot follow is refused, or leaves its rules as they were, which is
 * an event.
 */
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "proxy/admission.h"
#include "proxy/base/clock.h"
#include "proxy/base/conf/errors.h"
#include "proxy/base/log.h"
#include "proxy/events.h"
#include "proxy/main/supervisor.h"

#define LOOK_MS 500

unsigned supervisor_future_user(const struct config *config)
{
	const struct passwd *entry = config->user && !geteuid() ? getpwnam(config->user) : NULL;

	return entry ? entry->pw_uid : geteuid();
}

static void say_where(const struct admission *admission, const struct config *config)
{
	size_t count;
	const struct guard_hook *hooks = admission_hooks(admission, &count);

	for (size_t i = 0; i < count; i++)
		log_event(LOG_INFO, "guard_attached", "interface=%s mode=%s on_crash=%s",
			  hooks[i].name, admission_mode_names[hooks[i].mode],
			  config->guard.keep ? "keep" : "open");
}

static bool has_cookies(const struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].door.cookies != COOKIES_OFF)
			return true;
	return false;
}

static void on_over(void *context, const struct admission_entry *entry)
{
	struct supervisor *sv = context;
	char text[ADDR_TEXT];

	events_add(sv->events, LOG_INFO, "guard_entry_over", NULL, NULL, "%s of %s by %s is over",
		   entry->deny ? "deny" : "allow", admission_block_text(&entry->block, text),
		   entry->who);
}

static void on_look(struct timer *timer)
{
	struct supervisor *sv = container_of(timer, struct supervisor, guard_timer);

	admission_expire(sv->admission, clock_wall_us(), on_over, sv);
	loop_arm(&sv->loop, &sv->guard_timer, LOOK_MS);
}

int guarding_start(struct supervisor *sv, const struct config *config)
{
	char problem[GUARD_PROBLEM] = "";
	int err = admission_start(config, supervisor_future_user(config), &sv->admission, problem);

	if (err) {
		log_event(LOG_ERROR, "guard_failed", "error=\"%s\"", problem);
		return err;
	}
	if (!sv->admission)
		return 0;
	say_where(sv->admission, config);
	if (has_cookies(config) && !admission_answers_fully(sv->admission))
		log_event(LOG_WARN, "guard_cookies_bare",
			  "hint=\"connections that begin with a cookie have no window scale and no "
			  "SACK; with net.ipv4.tcp_timestamps=2 they would\"");
	timer_init(&sv->guard_timer, on_look);
	loop_arm(&sv->loop, &sv->guard_timer, LOOK_MS);
	return 0;
}

int guarding_check(struct supervisor *sv, const struct config *config, struct conf_errors *errors)
{
	char problem[GUARD_PROBLEM] = "";
	int err = sv->admission ? admission_check(config, problem) : 0;

	if (err)
		conf_error(errors, &(struct conf_where){.source = "guard"}, "%s", problem);
	return err ? -EINVAL : 0;
}

static bool same_interfaces(const struct guard_house_conf *a, const struct guard_house_conf *b)
{
	if (a->interface_count != b->interface_count || a->keep != b->keep)
		return false;
	for (size_t i = 0; i < a->interface_count; i++)
		if (strcmp(a->interfaces[i].name, b->interfaces[i].name) != 0 ||
		    a->interfaces[i].mode != b->interfaces[i].mode)
			return false;
	return true;
}

void guarding_apply(struct supervisor *sv, const struct config *before, const struct config *now)
{
	char problem[GUARD_PROBLEM] = "";

	if (!same_interfaces(&before->guard, &now->guard))
		log_event(LOG_WARN, "reload_partial",
			  "guard.interfaces and guard.on_crash change with --replace only");
	if (sv->admission && admission_apply(sv->admission, now, problem))
		events_add(sv->events, LOG_ERROR, "guard_failed", NULL, NULL,
			   "the guard goes by its old rules: %s", problem);
}

void guarding_stop(struct supervisor *sv)
{
	if (sv->admission)
		timer_cancel(&sv->guard_timer);
	admission_stop(sv->admission);
	sv->admission = NULL;
}
