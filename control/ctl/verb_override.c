/* SPDX-License-Identifier: Apache-2.0
 *
 * `set-weight`, `drain`, `undrain` and `maint`: the operator's word on a target, which the proxy
 * keeps through reloads and restarts; and the drain of the proxy itself.
 */
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/self.h"
#include "control/ctl/targets.h"
#include "control/ctl/terms.h"
#include "control/ctl/verbs.h"
#include "proxy/base/conf/units.h"

#define WEIGHT_MAX 1000

/* PATCH the target with `body`, which is taken over. */
static int patch(struct ctl *ctl, json_t *body)
{
	struct path path;
	int code;

	target_path(ctl, "", &path);
	code = target_change(ctl, "PATCH", &path, body);
	json_decref(body);
	return code;
}

static int override(struct ctl *ctl, const char *kind)
{
	json_t *body = json_pack("{s:s}", "override", kind);
	int code = terms_add(ctl, body);

	if (!code)
		return patch(ctl, body);
	json_decref(body);
	return code;
}

/* Exactly one of TARGET and --self. 0 or CTL_USAGE. */
static int check_self(struct ctl *ctl)
{
	bool self = args_option(&ctl->args, "--self");

	if (self && ctl->args.word_count)
		return ctl_usage(ctl, "either TARGET or --self, not both");
	if (!self && !ctl->args.word_count)
		return ctl_usage(ctl, "needs TARGET, or --self for the proxy itself");
	return 0;
}

int verb_drain(struct ctl *ctl)
{
	int code = check_self(ctl);

	if (code)
		return code;
	return args_option(&ctl->args, "--self") ? self_drain(ctl) : override(ctl, "drain");
}

int verb_undrain(struct ctl *ctl)
{
	int code = check_self(ctl);

	if (code)
		return code;
	if (args_option(&ctl->args, "--self"))
		return self_undrain(ctl);
	return patch(ctl, json_pack("{s:s}", "override", "none"));
}

int verb_maint(struct ctl *ctl)
{
	return override(ctl, "maintenance");
}

int verb_set_weight(struct ctl *ctl)
{
	const char *text = ctl->args.words[1], *why;
	uint64_t weight = 0;
	json_t *body;
	int code;

	if (strcmp(text, "default") == 0)
		body = json_pack("{s:n}", "weight");
	else if (units_integer(text, &weight, &why) < 0)
		return ctl_usage(ctl, "WEIGHT: \"%s\" %s (0 to %d, or default)", text, why,
				 WEIGHT_MAX);
	else if (weight > WEIGHT_MAX)
		return ctl_usage(ctl, "WEIGHT: %s is more than %d", text, WEIGHT_MAX);
	else
		body = json_pack("{s:I}", "weight", (json_int_t)weight);
	code = terms_add(ctl, body);
	if (!code)
		return patch(ctl, body);
	json_decref(body);
	return code;
}
