/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with a target, in a few words for people: how a check ended other than by its
 * answer. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* connect(2) failed with `error`, a positive errno. */
void words_connect_failed(int error, char *buf, size_t size);

/* The connection ended ("closed", "reset") after `bytes` of an answer in which there was `lack`
 * (NULL: nothing in particular). */
void words_ended(const char *how, const char *lack, size_t bytes, char *buf, size_t size);

/* The time was over. */
void words_late(bool connected, const char *lack, size_t bytes, uint32_t timeout_ms, char *buf,
		size_t size);

/* More bytes came than are read. */
void words_endless(const char *lack, size_t bytes, char *buf, size_t size);
