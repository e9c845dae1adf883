/* SPDX-License-Identifier: Apache-2.0
 *
 * What main adds to what flags and variables said, and the end of it all.
 */
#include <string.h>

#include "proxy/options.h"

void options_fini(struct options *options)
{
	cmdline_fini(&options->line);
	memset(options, 0, sizeof(*options));
}

int options_add_target(struct options *options, const char *address)
{
	return given_add(&options->line.given, GIVEN_PATH_TARGET, address, "--demo", true);
}

int options_add_default(struct options *options, const char *path, const char *text,
			const char *origin)
{
	if (given_find(&options->line.given, path))
		return 0;
	return given_add(&options->line.given, path, text, origin, false);
}
