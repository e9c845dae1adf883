/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the options that all verbs share; finds a row of the table of verbs (verbs.c) by its name,
 * or by what was probably meant.
 */
#include "control/ctl/verb.h"

#include <string.h>

#include "proxy/base/conf/nearest.h"

const struct verb_option global_options[GLOBALS] = {
	[GLOBAL_SOCKET] = {"--socket", "PATH", WORD_FILE,
			   .doc = "the proxy's admin socket [SLUICE_SOCKET, default "
				  "/run/sluice/admin.sock]"},
	[GLOBAL_CONTROL] = {"--control-socket", "PATH", WORD_FILE,
			    .doc = "sluice-control's socket [SLUICE_CONTROL_SOCKET, default "
				   "/run/sluice/control.sock]"},
	[GLOBAL_JSON] = {"--json", .doc = "print the API's own answer, for scripts"},
	[GLOBAL_WAIT] =
		{"--wait", "TIMEOUT", WORD_DURATION, .optional = true,
		 .doc = "return once it is done (drained, reloaded, gone); --wait=10m: or then"},
	[GLOBAL_HELP] = {"--help", .doc = "help on the program or on a verb"},
	[GLOBAL_VERSION] = {"--version", .doc = "print the version"},
};

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < verb_count; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

const char *verb_nearest(const char *name)
{
	struct nearest nearest;

	nearest_init(&nearest, name);
	for (size_t i = 0; i < verb_count; i++)
		nearest_offer(&nearest, verbs[i].name);
	return nearest_best(&nearest);
}
