/* SPDX-License-Identifier: Apache-2.0
 *
 * The version that all programs of this tree share: they are built, shipped and upgraded together.
 */
#pragma once

#define SLUICE_VERSION "0.1.0"
