/* SPDX-License-Identifier: Apache-2.0
 *
 * The resolver thread. Happy path: it looks every name up, compares the sorted answer with the last
 * one, wakes main when it differs, sleeps until the interval is over or the names change.
 *
 * Failure modes: a lookup fails or finds nothing: the last answer stays in force and the change
 * from working to failing (and back) is logged once; a lookup that hangs holds up the other names'
 * refresh and nothing else.
 */
#include "proxy/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/sandbox.h"

struct name {
	char *host;
	bool asked;   /* looked up at least once */
	bool failing; /* the last lookup did not answer */
	size_t count;
	struct addr addrs[RESOLVE_MAX];
};

struct resolver {
	pthread_t thread;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	bool stopping;
	bool stopped;
	bool due; /* look everything up now */
	uint32_t interval_ms;
	int wake_fd;
	struct name *names;
	size_t count;
};

static int compare_addrs(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct addr));
}

/* 0, or a getaddrinfo(3) error. */
static int look_up(const char *host, struct addr *ret_addrs, size_t *ret_count)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list;
	size_t count = 0;
	int err = getaddrinfo(host, NULL, &hints, &list);

	if (err)
		return err;
	for (struct addrinfo *info = list; info && count < RESOLVE_MAX; info = info->ai_next) {
		struct addr *addr = &ret_addrs[count];

		memset(addr, 0, sizeof(*addr));
		addr_from_sockaddr(info->ai_addr, info->ai_addrlen, addr);
		if (addr->family)
			count++;
	}
	freeaddrinfo(list);
	qsort(ret_addrs, count, sizeof(*ret_addrs), compare_addrs);
	*ret_count = count;
	return count ? 0 : EAI_NONAME;
}

static struct name *find_in(struct name *names, size_t count, const char *host)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(names[i].host, host))
			return &names[i];
	return NULL;
}

static struct name *find(struct resolver *resolver, const char *host)
{
	return find_in(resolver->names, resolver->count, host);
}

/* Put an answer in, with the lock held; whether it differs from the last one. */
static bool store(struct name *name, int err, const struct addr *addrs, size_t count)
{
	bool differs;

	if (err && !name->failing)
		log_event(LOG_WARN, "name_unresolved", "name=%s error=\"%s\" kept=%zu", name->host,
			  gai_strerror(err), name->count);
	else if (!err && name->failing)
		log_event(LOG_INFO, "name_resolved", "name=%s addresses=%zu", name->host, count);
	name->asked = true;
	name->failing = err != 0;
	if (err)
		return false;
	differs = count != name->count || memcmp(addrs, name->addrs, count * sizeof(*addrs)) != 0;
	memcpy(name->addrs, addrs, count * sizeof(*addrs));
	name->count = count;
	return differs;
}

static void wake_main(const struct resolver *resolver)
{
	uint64_t one = 1;
	ssize_t ignored = write(resolver->wake_fd, &one, sizeof(one));

	(void)ignored; /* a full counter wakes as well */
}

/* Look up the name at `index`; the list may be another one by the time the answer is here. */
static void refresh(struct resolver *resolver, size_t index)
{
	struct addr addrs[RESOLVE_MAX];
	struct name *name;
	size_t count = 0;
	char *host = strdup(resolver->names[index].host);
	int err;

	if (!host)
		return;
	pthread_mutex_unlock(&resolver->lock);
	err = look_up(host, addrs, &count);
	pthread_mutex_lock(&resolver->lock);
	name = find(resolver, host);
	free(host);
	if (name && store(name, err, addrs, count))
		wake_main(resolver);
	pthread_cond_broadcast(&resolver->changed);
}

static void sleep_until_due(struct resolver *resolver)
{
	uint64_t wake_us = clock_us() + resolver->interval_ms * US_PER_MS;
	struct timespec until = {.tv_sec = (time_t)(wake_us / US_PER_SEC),
				 .tv_nsec = (long)(wake_us % US_PER_SEC) * 1000};

	while (!resolver->stopping && !resolver->due)
		if (pthread_cond_timedwait(&resolver->changed, &resolver->lock, &until) ==
		    ETIMEDOUT)
			break;
}

static void *resolver_main(void *arg)
{
	struct resolver *resolver = arg;

	pthread_setname_np(pthread_self(), "resolver");
	sandbox_enter(SANDBOX_RESOLVER);
	pthread_mutex_lock(&resolver->lock);
	while (!resolver->stopping) {
		resolver->due = false;
		for (size_t i = 0; i < resolver->count && !resolver->stopping; i++)
			refresh(resolver, i);
		sleep_until_due(resolver);
	}
	resolver->stopped = true;
	pthread_cond_broadcast(&resolver->changed);
	pthread_mutex_unlock(&resolver->lock);
	return NULL;
}

int resolver_start(uint32_t interval_ms, int wake_fd, struct resolver **ret_resolver)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	pthread_condattr_t attr;
	int err;

	if (!resolver)
		return -ENOMEM;
	resolver->interval_ms = interval_ms;
	resolver->wake_fd = wake_fd;
	pthread_mutex_init(&resolver->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&resolver->changed, &attr);
	err = pthread_create(&resolver->thread, NULL, resolver_main, resolver);
	if (err) {
		free(resolver);
		return -err;
	}
	*ret_resolver = resolver;
	return 0;
}

static void free_names(struct name *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i].host);
	free(names);
}

static bool copy_name(struct resolver *resolver, struct name *into, const char *host)
{
	const struct name *known = find(resolver, host);

	if (known)
		*into = *known;
	into->host = strdup(host);
	return into->host != NULL;
}

int resolver_set_names(struct resolver *resolver, const char *const *names, size_t count,
		       uint32_t interval_ms)
{
	struct name *fresh = calloc(count + 1, sizeof(*fresh));
	size_t filled = 0;

	if (!fresh)
		return -ENOMEM;
	pthread_mutex_lock(&resolver->lock);
	for (size_t i = 0; i < count; i++) {
		if (find_in(fresh, filled, names[i]))
			continue; /* several targets of one host */
		if (!copy_name(resolver, &fresh[filled], names[i]))
			goto fail;
		filled++;
	}
	free_names(resolver->names, resolver->count);
	resolver->names = fresh;
	resolver->count = filled;
	resolver->interval_ms = interval_ms;
	resolver->due = true;
	pthread_cond_broadcast(&resolver->changed);
	pthread_mutex_unlock(&resolver->lock);
	return 0;
fail:
	pthread_mutex_unlock(&resolver->lock);
	free_names(fresh, filled);
	return -ENOMEM;
}

static bool all_asked(const struct resolver *resolver)
{
	for (size_t i = 0; i < resolver->count; i++)
		if (!resolver->names[i].asked)
			return false;
	return true;
}

/* With the lock held: wait until `done`, but not past the timeout. */
static void wait_for(struct resolver *resolver, bool (*done)(const struct resolver *),
		     unsigned timeout_ms)
{
	uint64_t end_us = clock_us() + timeout_ms * US_PER_MS;
	struct timespec until = {.tv_sec = (time_t)(end_us / US_PER_SEC),
				 .tv_nsec = (long)(end_us % US_PER_SEC) * 1000};

	while (!done(resolver))
		if (pthread_cond_timedwait(&resolver->changed, &resolver->lock, &until) ==
		    ETIMEDOUT)
			break;
}

void resolver_wait(struct resolver *resolver, unsigned timeout_ms)
{
	pthread_mutex_lock(&resolver->lock);
	wait_for(resolver, all_asked, timeout_ms);
	pthread_mutex_unlock(&resolver->lock);
}

size_t resolver_lookup(struct resolver *resolver, const char *host, struct addr *ret_addrs,
		       size_t max)
{
	const struct name *name;
	size_t count = 0;

	if (!resolver)
		return 0;
	pthread_mutex_lock(&resolver->lock);
	name = find(resolver, host);
	if (name)
		count = name->count < max ? name->count : max;
	if (count)
		memcpy(ret_addrs, name->addrs, count * sizeof(*ret_addrs));
	pthread_mutex_unlock(&resolver->lock);
	return count;
}

static bool is_stopped(const struct resolver *resolver)
{
	return resolver->stopped;
}

void resolver_stop(struct resolver *resolver)
{
	bool stopped;

	if (!resolver)
		return;
	pthread_mutex_lock(&resolver->lock);
	resolver->stopping = true;
	pthread_cond_broadcast(&resolver->changed);
	wait_for(resolver, is_stopped, 100);
	stopped = resolver->stopped;
	pthread_mutex_unlock(&resolver->lock);
	if (!stopped) {
		pthread_detach(resolver->thread);
		return;
	}
	pthread_join(resolver->thread, NULL);
	free_names(resolver->names, resolver->count);
	free(resolver);
}
