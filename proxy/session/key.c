/* SPDX-License-Identifier: Apache-2.0
 *
 * What a session is balanced by: its client's address, the PROXY header's where there is one.
 * Behind a balancer that does not tell it, every session has the balancer's own address, and Maglev
 * sends them all to one or two targets; nothing fails then, it is only never what was meant. So a
 * session whose address is a trusted balancer's is counted, and main warns when all are
 * (listener_stats.h).
 */
#include "proxy/listener_stats.h"
#include "proxy/session/internal.h"

bool session_is_from_trusted(const struct session *session)
{
	const struct listener_conf *listener = session->listener;

	for (size_t i = 0; i < listener->trusted_count; i++)
		if (addr_block_contains(&listener->trusted[i], &session->client.peer))
			return true;
	return false;
}

uint64_t session_key(struct session *session)
{
	const struct addr *source = session_source(session);
	struct listener_counts *counts = &session->listener_stats->counts[session->env->worker].c;

	if (session->pool->pool->conf->balance == BALANCE_MAGLEV && !session->attempted) {
		count_add(&counts->keyed, 1);
		if (source == &session->client.peer && session_is_from_trusted(session))
			count_add(&counts->keyed_trusted, 1);
	}
	return addr_hash_host(source);
}
