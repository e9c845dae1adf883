/* SPDX-License-Identifier: Apache-2.0
 *
 * What sessions tell of their targets, for passive ejection (proxy/registry.h decides). Happy path:
 * a target works and its count of failures is 0, which costs one look. When failures in a row reach
 * the pool's `outlier.failures`, over all workers, main is woken, once, and again at each multiple.
 */
#include <unistd.h>

#include "proxy/session/internal.h"
#include "proxy/target.h"

void session_target_failed(struct session *session)
{
	uint32_t limit = session->pool->pool->conf->outlier.failures;
	uint64_t one = 1;
	uint32_t failures;

	if (!limit)
		return;
	failures = atomic_fetch_add_explicit(&session->target->failures, 1, memory_order_relaxed);
	if ((failures + 1) % limit == 0 && session->env->outlier_fd >= 0 &&
	    write(session->env->outlier_fd, &one, sizeof(one)) < 0)
		return; /* its counter is full: main has been told often enough */
}

void session_target_works(struct session *session)
{
	_Atomic uint32_t *failures = &session->target->failures;

	if (atomic_load_explicit(failures, memory_order_relaxed))
		atomic_store_explicit(failures, 0, memory_order_relaxed);
}
