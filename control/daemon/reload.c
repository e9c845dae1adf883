/* SPDX-License-Identifier: Apache-2.0
 *
 * SIGHUP. Happy path: the file is read again, what is new in it is opened, what left it is closed
 * and taken back from the proxy, and everything else goes on as if nothing had happened.
 * Failure modes: any error in the file, or of a source that cannot be opened: it is logged and
 * nothing is changed. What only a restart changes is named.
 */
#include <errno.h>
#include <string.h>

#include "control/daemon/internal.h"
#include "control/journal.h"
#include "control/options.h"
#include "control/settings.h"
#include "proxy/base/conf/errors.h"
#include "proxy/base/log.h"

void reload_log_findings(const struct conf_errors *errors)
{
	const char *text;

	for (size_t i = 0; (text = conf_error_text(errors, i)); i++)
		log_event(LOG_ERROR, "config_error", "%s", text);
	for (size_t i = 0; (text = conf_warning_text(errors, i)); i++)
		log_event(LOG_WARN, "config_warning", "%s", text);
}

static bool same_pools(const struct settings *a, const struct settings *b)
{
	if (a->pool_count != b->pool_count)
		return false;
	for (size_t i = 0; i < a->pool_count; i++)
		if (strcmp(a->pools[i], b->pools[i]) != 0)
			return false;
	return true;
}

/* Nothing can be wrong with it any more. */
static int adopt(struct daemon *daemon, struct settings *settings, struct list *left)
{
	struct settings *before = daemon->settings;
	int err = 0;

	if (settings_need_restart(before, settings))
		log_event(LOG_WARN, "reload_partial",
			  "user, state_directory, admin.socket and most of control: change with a "
			  "restart only");
	daemon->settings = settings_ref(settings);
	feeding_end(daemon, left);
	if (!same_pools(before, settings))
		err = feeding_connect(daemon);
	if (!err)
		err = feeding_start(daemon);
	log_set_level_name(settings->log_level);
	settings_free(before);
	return err;
}

static const char *why_failed(int err, const struct conf_errors *errors)
{
	return conf_failed(errors) ? conf_error_text(errors, 0) : strerror(-err);
}

/* 0 or -errno, with the reasons in `errors` and the log. */
static int change(struct daemon *daemon, struct conf_errors *errors)
{
	struct settings *settings = NULL;
	struct list left;
	int err = settings_load(daemon->options, errors, &settings);

	list_init(&left);
	if (!err)
		err = subscriptions_open(&daemon->subs, settings, errors, &left);
	reload_log_findings(errors);
	if (err)
		journal_note(daemon->journal, LOG_ERROR, "reload_failed", NULL, NULL, NULL,
			     "nothing was changed: %s", why_failed(err, errors));
	else if ((err = adopt(daemon, settings, &left)))
		journal_note(daemon->journal, LOG_ERROR, "reload_failed", NULL, NULL, NULL, "%s",
			     strerror(-err));
	else
		journal_note(daemon->journal, LOG_INFO, "reloaded", NULL, NULL, NULL,
			     "%zu sources of %zu pools", settings->source_count,
			     settings->pool_count);
	settings_free(settings);
	return err;
}

void reload(struct daemon *daemon)
{
	struct conf_errors errors = {0};
	int err;

	manager_reloading();
	err = change(daemon, &errors);
	manager_reloaded(daemon, err ? why_failed(err, &errors) : NULL);
	conf_errors_fini(&errors);
}
