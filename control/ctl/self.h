/* SPDX-License-Identifier: Apache-2.0
 *
 * The drain of the proxy itself: what `drain --self` and `undrain --self` do.
 */
#pragma once

struct ctl;

int self_drain(struct ctl *ctl);
int self_undrain(struct ctl *ctl);
