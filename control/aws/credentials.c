/* SPDX-License-Identifier: Apache-2.0
 *
 * The credentials of one profile and role: kept, renewed ahead of their end, handed to whoever
 * waits.
 *
 *      obtained ............ renewed in the background ...... must be renewed ...... end
 *                            15 min ahead, with jitter        10 min ahead
 *
 * Happy path: credentials_get() is answered with what is kept; the timer asks the chain anew
 * (credentials/resolve.h) before anyone has to wait for it. However many wait, one request is under
 * way. Credentials that live for less than half an hour have both moments in proportion.
 * Failure modes: renewing fails: what is kept goes on being used up to its end, and if it is from
 * IMDS beyond (the service may be down for longer than they live, and AWS itself then accepts
 * them), with a warning at each attempt. Nothing is kept, or the service refused it: waiters get
 * the error.
 */
#include "control/aws/credentials.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/credentials/document.h"
#include "control/aws/credentials/plan.h"
#include "control/aws/credentials/resolve.h"
#include "control/aws/retry.h"
#include "control/aws/secret.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/panic.h"

#define MINUTE_US   (60 * US_PER_SEC)
#define RENEW_US    (15 * MINUTE_US)
#define MUST_US     (10 * MINUTE_US)
#define RETRY_US    MINUTE_US        /* between attempts to renew, at least; twice that at most */
#define LEAST_US    (5 * US_PER_SEC) /* for credentials that are about to end */
#define STALE_US    (5 * MINUTE_US)
#define REGION_TEXT 64

struct credential_chain {
	struct credential_conf conf; /* texts are ours */
	int64_t skew_us;
	struct credentials current; /* key_id NULL: none */
	uint64_t must_wall_us;      /* when it has to be renewed; 0: never */
	bool refused;               /* the service does not take `current` */
	uint64_t retry_at_us;       /* CLOCK_MONOTONIC: `current` is used as it is until then */
	struct resolve *resolve;    /* under way */
	struct timer renew;
	struct loop_task deliver;
	struct credential_wait *first; /* waiters, oldest first */
	struct credential_wait *told;  /* those who are being answered */
	bool is_telling;
	bool is_freed; /* by one who was being answered */
};

static uint64_t now_wall_us(const struct credential_chain *chain)
{
	return clock_wall_us() + (uint64_t)chain->skew_us;
}

static void chain_fini(struct credential_chain *chain)
{
	secret_free((char *)chain->conf.profile);
	secret_free((char *)chain->conf.region);
	secret_free((char *)chain->conf.role_arn);
	secret_free((char *)chain->conf.external_id);
	secret_free((char *)chain->conf.sts_endpoint);
	credentials_fini(&chain->current);
	free(chain);
}

/* NULL stays NULL. */
static bool take_copy(const char **text)
{
	const char *given = *text;

	*text = secret_copy(given);
	return !given || *text;
}

static void on_deliver(struct loop_task *task);
static void on_renew(struct timer *timer);

int credential_chain_new(const struct credential_conf *conf, struct credential_chain **ret_chain)
{
	struct credential_chain *chain = calloc(1, sizeof(*chain));
	bool copied;

	if (!chain)
		return -ENOMEM;
	chain->conf = *conf;
	copied = take_copy(&chain->conf.profile);
	copied = take_copy(&chain->conf.region) && copied;
	copied = take_copy(&chain->conf.role_arn) && copied;
	copied = take_copy(&chain->conf.external_id) && copied;
	copied = take_copy(&chain->conf.sts_endpoint) && copied;
	if (!copied) {
		chain_fini(chain);
		return -ENOMEM;
	}
	timer_init(&chain->renew, on_renew);
	list_init(&chain->deliver.link);
	chain->deliver.run = on_deliver;
	*ret_chain = chain;
	return 0;
}

static void drop_all(struct credential_wait *wait)
{
	for (; wait; wait = wait->next)
		wait->waiting = false;
}

void credential_chain_free(struct credential_chain *chain)
{
	if (!chain)
		return;
	drop_all(chain->first);
	drop_all(chain->told);
	chain->first = chain->told = NULL;
	resolve_cancel(chain->resolve);
	timer_cancel(&chain->renew);
	list_remove(&chain->deliver.link);
	chain->is_freed = true;
	if (!chain->is_telling)
		chain_fini(chain);
}

static bool is_imds(const struct credentials *credentials)
{
	return !strcmp(credentials->provider, "imds");
}

static bool has_expired(const struct credential_chain *chain, const struct credentials *credentials)
{
	return credentials->expires_wall_us && credentials->expires_wall_us <= now_wall_us(chain);
}

/* Whether what is kept may be used, if there is no newer. */
static bool is_usable(const struct credential_chain *chain)
{
	const struct credentials *current = &chain->current;

	return current->key_id && !chain->refused &&
	       (!has_expired(chain, current) || is_imds(current));
}

/* Whether it may be handed out without asking first. */
static bool is_good(const struct credential_chain *chain)
{
	return is_usable(chain) &&
	       (!chain->must_wall_us || now_wall_us(chain) < chain->must_wall_us ||
		chain->conf.loop->now_us < chain->retry_at_us);
}

/* Those who wait now; one who comes again meanwhile waits for the next time. */
static void tell_all(struct credential_chain *chain, const struct credentials *credentials,
		     const struct aws_error *error)
{
	chain->told = chain->first;
	chain->first = NULL;
	chain->is_telling = true;
	while (chain->told) {
		struct credential_wait *wait = chain->told;

		chain->told = wait->next;
		wait->waiting = false;
		wait->on_credentials(wait, credentials, error);
	}
	chain->is_telling = false;
	if (chain->is_freed)
		chain_fini(chain);
}

static void on_resolved(void *context, struct credentials *found, const struct aws_error *error);

static void ask(struct credential_chain *chain)
{
	const struct resolve_conf conf = {
		.chain = &chain->conf,
		.skew_us = &chain->skew_us,
		.on_end = on_resolved,
		.context = chain,
	};
	struct aws_error error = {.kind = AWS_MEMORY, .text = "credentials: out of memory"};

	if (chain->resolve)
		return;
	timer_cancel(&chain->renew);
	chain->resolve = resolve_start(&conf);
	if (!chain->resolve)
		tell_all(chain, NULL, &error);
}

static void on_renew(struct timer *timer)
{
	ask(container_of(timer, struct credential_chain, renew));
}

static void on_deliver(struct loop_task *task)
{
	struct credential_chain *chain = container_of(task, struct credential_chain, deliver);

	if (is_good(chain))
		tell_all(chain, &chain->current, NULL);
	else if (chain->first)
		ask(chain);
}

/* A random moment from `least_us` to twice that. */
static uint64_t spread_us(uint64_t least_us)
{
	return least_us + (uint64_t)retry_random() * least_us / UINT32_MAX;
}

/* Use what is kept until a while from now, and try again then. */
static void put_off(struct credential_chain *chain, uint64_t least_us)
{
	uint64_t delay_us = spread_us(least_us);

	chain->retry_at_us = chain->conf.loop->now_us + delay_us;
	loop_arm(chain->conf.loop, &chain->renew, delay_us / US_PER_MS);
}

/* `current` is new: when will it be renewed? */
static void plan_renewal(struct credential_chain *chain)
{
	uint64_t end_us = chain->current.expires_wall_us, now_us = now_wall_us(chain);
	uint64_t life_us = end_us > now_us ? end_us - now_us : 0;
	uint64_t renew_us = life_us / 2 < RENEW_US ? life_us / 2 : RENEW_US;
	uint64_t must_us = life_us / 3 < MUST_US ? life_us / 3 : MUST_US;
	uint64_t jitter_us = (renew_us - must_us) / 2 * retry_random() / UINT32_MAX;
	uint64_t delay_us = life_us - renew_us + jitter_us;

	chain->retry_at_us = 0;
	chain->must_wall_us = end_us ? end_us - must_us : 0;
	if (life_us)
		loop_arm(chain->conf.loop, &chain->renew,
			 (delay_us > LEAST_US ? delay_us : LEAST_US) / US_PER_MS);
}

static int64_t expired_s(const struct credential_chain *chain)
{
	return ((int64_t)now_wall_us(chain) - (int64_t)chain->current.expires_wall_us) /
	       (int64_t)US_PER_SEC;
}

/* The chain gave some. Takes `found` over. */
static void keep(struct credential_chain *chain, struct credentials *found)
{
	bool expired = has_expired(chain, found);

	credentials_fini(&chain->current);
	chain->current = *found;
	chain->refused = false;
	plan_renewal(chain);
	if (!expired)
		return;
	log_event(LOG_WARN, "credentials_expired",
		  "provider=%s expired_s=%" PRId64 " error=\"the provider gives no newer ones\"",
		  found->provider, expired_s(chain));
	put_off(chain, STALE_US);
}

/* The chain failed; true when what is kept is used all the same. */
static bool go_on_with_old(struct credential_chain *chain, const struct aws_error *error)
{
	const struct credentials *old = &chain->current;

	if (!is_usable(chain))
		return false;
	log_event(LOG_WARN,
		  has_expired(chain, old) ? "credentials_expired" : "credentials_not_renewed",
		  "provider=%s expired_s=%" PRId64 " error=\"%s\"", old->provider, expired_s(chain),
		  error->text);
	put_off(chain, RETRY_US);
	return true;
}

static void on_resolved(void *context, struct credentials *found, const struct aws_error *error)
{
	struct credential_chain *chain = context;
	struct aws_error expired = {.kind = AWS_CREDENTIALS};

	chain->resolve = NULL;
	if (found && has_expired(chain, found) && !is_imds(found)) {
		snprintf(expired.text, sizeof(expired.text),
			 "the credentials of provider %s have expired already: renew them, or look "
			 "at "
			 "this host's clock",
			 found->provider);
		credentials_fini(found);
		found = NULL;
		error = &expired;
	}
	if (found) {
		keep(chain, found);
	} else if (!go_on_with_old(chain, error)) {
		credentials_fini(&chain->current);
		tell_all(chain, NULL, error);
		return;
	}
	tell_all(chain, &chain->current, NULL);
}

void credentials_get(struct credential_chain *chain, struct credential_wait *wait)
{
	struct credential_wait **at = &chain->first;

	must(!wait->waiting);
	while (*at)
		at = &(*at)->next;
	*at = wait;
	wait->next = NULL;
	wait->waiting = true;
	if (!chain->resolve || is_good(chain))
		loop_ready(chain->conf.loop, &chain->deliver);
}

/* Whether it stood on the list, of which it is gone now. */
static bool take_off(struct credential_wait **at, struct credential_wait *wait)
{
	while (*at && *at != wait)
		at = &(*at)->next;
	if (!*at)
		return false;
	*at = wait->next;
	return true;
}

void credentials_forget_wait(struct credential_chain *chain, struct credential_wait *wait)
{
	if (!take_off(&chain->first, wait))
		take_off(&chain->told, wait);
	wait->waiting = false;
}

void credentials_refused(struct credential_chain *chain)
{
	chain->refused = true;
}

const char *credentials_provider(const struct credential_chain *chain)
{
	return chain->current.key_id ? chain->current.provider : NULL;
}

uint64_t credentials_expiry_wall_us(const struct credential_chain *chain)
{
	return chain->current.key_id ? chain->current.expires_wall_us : 0;
}

void credential_chain_set_skew(struct credential_chain *chain, int64_t skew_us)
{
	chain->skew_us = skew_us;
}

const char *credentials_region(const char *profile, char *buf)
{
	static const char *const variables[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};
	const char *named = profile ? profile : plan_variable("AWS_PROFILE");

	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *region = plan_variable(variables[i]);

		if (region && strlen(region) < REGION_TEXT)
			return strcpy(buf, region);
	}
	return profile_region(named ? named : "default", buf, REGION_TEXT) == 0 ? buf : NULL;
}
