/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of all kinds of source. It stands alone, so that what needs one kind links no other.
 */
#include "control/source.h"

const struct source_kind *const source_kinds[] = {
	&source_ec2,      &source_asg, &source_ecs,  &source_elbv2,
	&source_cloudmap, &source_dns, &source_file, NULL,
};
