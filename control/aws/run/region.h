/* SPDX-License-Identifier: Apache-2.0
 *
 * The region of a place that names none: the instance's, as its metadata service says.
 */
#pragma once

struct aws_run;

/* Ask, and go on with run_begin() or run_fail(). Never from inside this call. */
void region_find(struct aws_run *run);
void region_forget(struct aws_run *run); /* also if it does not wait */
