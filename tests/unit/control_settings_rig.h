/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of sluice-control from a text, for tests of whatever reads them.
 */
#pragma once

#include "control/options.h"
#include "control/settings.h"
#include "tests/unit/conf_rig.h"

#define ADMIN "admin: {socket: unix:/run/sluice/admin.sock}\n"

/* As settings_load() does it, from a file of its own. */
static inline int settings_of(const char *yaml, struct conf_errors *errors,
			      struct settings **ret_settings)
{
	static char path[32]; /* settings name it in what they complain of */
	struct control_options options = {.line.config_file = path};

	strcpy(path, "/tmp/sluice-settings-XXXXXX");
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
	close(fd);
	int err = settings_load(&options, errors, ret_settings);

	unlink(path);
	return err;
}

/* The same, valid or not a test. */
static inline struct settings *settings_valid(const char *yaml)
{
	struct conf_errors errors = {0};
	struct settings *settings = NULL;
	int err = settings_of(yaml, &errors, &settings);

	ck_assert_msg(err == 0, "%s", conf_error_text(&errors, 0));
	conf_errors_fini(&errors);
	return settings;
}
