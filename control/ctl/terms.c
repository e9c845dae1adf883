/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the reading of --for, --until and --why. Failure modes: both ends are given, or one that is
 * no time, or a note that is no UTF-8: said, CTL_USAGE.
 */
#include "control/ctl/terms.h"

#include "control/ctl/ctl.h"
#include "proxy/base/timestamp.h"

int terms_add(struct ctl *ctl, json_t *body)
{
	const char *until = args_option(&ctl->args, "--until");
	const char *why = args_option(&ctl->args, "--why");
	uint64_t for_ms = args_number(&ctl->args, "--for", 0), wall_us;

	if (until && for_ms)
		return ctl_usage(ctl, "--for and --until say the same thing: give one of them");
	if (until && timestamp_parse(until, &wall_us) < 0)
		return ctl_usage(ctl, "--until: \"%s\" is no time such as 2026-01-02T03:04:05Z",
				 until);
	if (until)
		json_object_set_new(body, "until", json_string(until));
	if (for_ms)
		json_object_set_new(body, "for_s", json_integer((json_int_t)(for_ms + 999) / 1000));
	if (why && json_object_set_new(body, "why", json_string(why)) < 0)
		return ctl_usage(ctl, "--why is no UTF-8");
	return CTL_OK;
}
