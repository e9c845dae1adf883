/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of credentials share: HTTP without a network, time without waiting, a home without
 * files, and what was logged. Each test runs in a process of its own, so nothing is put back.
 *
 * A test says which answers there are (route()), turns the loop, and looks at what was asked
 * (asked). Link with RIG_WRAP: -Wl,--wrap= of http_start, http_cancel, http_header, clock_gettime,
 * epoll_wait, log_event.
 */
#pragma once

#include <errno.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "control/aws/credentials.h"
#include "control/aws/http.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "tests/unit/conf_rig.h"

#define WALL_S UINT64_C(1767225600) /* 2026-01-01T00:00:00Z, where the clock begins */
#define ROUTES 64

#define IMDS_TOKEN "PUT http://169.254.169.254/latest/api/token"
#define IMDS_ROLE  "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/ "
#define IMDS_KEYS  "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/node "
#define AGENT_KEYS "GET http://169.254.170.2/v2/keys "
#define STS_URL    "POST https://sts.eu-west-1.amazonaws.com/ "

/* An answer to requests that begin with `what` ("GET http://... "), or none: `never`. */
struct route {
	const char *what;
	long status;
	const char *body;
	enum aws_error_kind err;
	uint64_t date_s;
	unsigned times; /* that it is given; 0: for ever */
	bool never;
	unsigned used;
};

struct http_call {
	struct loop_task task;
	const struct route *route;
	void (*on_end)(void *context, const struct http_answer *answer);
	void *context;
};

static struct loop loop;
static uint64_t passed_us; /* since the clock began */
static uint64_t until_us;  /* no sleep goes beyond; 0: none */
static struct route routes[ROUTES];
static size_t route_count;
static char asked[1 << 20]; /* "METHOD URL BODY|header|header\n" of each request */
static unsigned calls_open;
static char logged[1 << 18];

int __wrap_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
struct http_call *__wrap_http_start(struct http *http, const struct http_request *request);
void __wrap_http_cancel(struct http_call *call);
const char *__wrap_http_header(const struct http_answer *answer, const char *name);
void __wrap_log_event(enum log_level level, const char *event, const char *format, ...);

int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
	ret->tv_sec = (time_t)(passed_us / US_PER_SEC + (id == CLOCK_REALTIME ? WALL_S : 1000));
	ret->tv_nsec = (long)(passed_us % US_PER_SEC * 1000);
	return 0;
}

/* Sleeping is time that has passed; nothing ever happens to a descriptor. */
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	ck_assert_msg(timeout >= 0, "nothing is under way any more, and the test still waits");
	passed_us += (uint64_t)timeout * US_PER_MS;
	if (until_us && passed_us > until_us)
		passed_us = until_us;
	return 0;
}

__attribute__((format(printf, 3, 0))) void __wrap_log_event(enum log_level level, const char *event,
							    const char *format, ...)
{
	size_t size = strlen(logged);
	va_list args;

	size += (size_t)snprintf(logged + size, sizeof(logged) - size, "%d %s ", level, event);
	va_start(args, format);
	vsnprintf(logged + size, sizeof(logged) - size, format, args);
	va_end(args);
	ck_assert_uint_lt(strlen(logged) + 2, sizeof(logged));
	strcat(logged, "\n");
}

static void answer_call(struct loop_task *task)
{
	struct http_call *call = container_of(task, struct http_call, task);
	const struct route *route = call->route;
	char body[32768];
	struct http_answer answer = {.err = AWS_UNREACHABLE, .problem = "no route", .call = call};

	if (route && !route->err) {
		snprintf(body, sizeof(body), "%s", route->body ? route->body : "");
		answer = (struct http_answer){.status = route->status,
					      .body = body,
					      .size = strlen(body),
					      .date_s = route->date_s,
					      .call = call};
	} else if (route) {
		answer.err = route->err;
		answer.problem = route->err == AWS_TIMEOUT ? "timed out" : "refused";
	}
	calls_open--;
	call->on_end(call->context, &answer);
	free(call);
}

static void note_request(const struct http_request *request)
{
	size_t size = strlen(asked);

	size += (size_t)snprintf(asked + size, sizeof(asked) - size, "%s %s %.*s", request->method,
				 request->url, (int)request->body_size,
				 request->body ? (const char *)request->body : "");
	for (const char *const *line = request->headers; line && *line; line++)
		size += (size_t)snprintf(asked + size, sizeof(asked) - size, "|%s", *line);
	snprintf(asked + size, sizeof(asked) - size, "\n");
	ck_assert_uint_lt(size + 1000, sizeof(asked));
}

static const struct route *take_route(const char *line)
{
	for (size_t i = 0; i < route_count; i++) {
		struct route *route = &routes[i];

		if (strncmp(line, route->what, strlen(route->what)) != 0 ||
		    (route->times && route->used == route->times))
			continue;
		route->used++;
		return route;
	}
	return NULL;
}

struct http_call *__wrap_http_start(struct http *http, const struct http_request *request)
{
	struct http_call *call = calloc(1, sizeof(*call));
	const char *line = asked + strlen(asked);

	note_request(request);
	call->route = take_route(line);
	call->on_end = request->on_end;
	call->context = request->context;
	call->task.run = answer_call;
	list_init(&call->task.link);
	calls_open++;
	if (!call->route || !call->route->never)
		loop_ready(&loop, &call->task);
	return call;
}

void __wrap_http_cancel(struct http_call *call)
{
	if (!call)
		return;
	calls_open--;
	list_remove(&call->task.link);
	free(call);
}

const char *__wrap_http_header(const struct http_answer *answer, const char *name)
{
	return NULL;
}

static char folder[32]; /* of files that a test wrote; "" while there is none */
static char written[8][128];
static size_t written_count;

static inline void set_file(const char *variable, const char *name, const char *text)
{
	char *path = written[written_count++ % COUNT(written)];
	FILE *file;

	if (!folder[0]) {
		strcpy(folder, "/tmp/credentials.XXXXXX");
		ck_assert_ptr_nonnull(mkdtemp(folder));
	}
	snprintf(path, sizeof(written[0]), "%s/%s", folder, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	setenv(variable, path, 1);
}

/* Nothing is set, no file is there, nobody answers. Once in a test. */
static inline void rig_begin(void)
{
	for (size_t i = 0; environ[i];) {
		char name[128];

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(environ[i], "="), environ[i]);
		if (!strncmp(name, "AWS_", 4) || !strcmp(name, "KUBERNETES_SERVICE_HOST"))
			unsetenv(name);
		else
			i++;
	}
	setenv("HOME", "/nowhere", 1);
	ck_assert_int_eq(loop_init(&loop), 0);
}

static inline struct route *route(const char *what, long status, const char *body)
{
	struct route *added = &routes[route_count++];

	ck_assert_uint_le(route_count, ROUTES);
	*added = (struct route){.what = what, .status = status, .body = body};
	return added;
}

/* Times that a request which begins so was made. */
static inline unsigned times_asked(const char *what)
{
	unsigned count = 0;

	for (const char *line = asked; *line; line = strchr(line, '\n') + 1)
		count += !strncmp(line, what, strlen(what));
	return count;
}

/* JSON or XML with an end so many seconds after the clock began; static, one of four. */
static inline const char *keys_json(const char *key_id, int64_t expires_s)
{
	static char texts[8][512];
	static unsigned next;
	char *text = texts[next++ % 8];
	time_t time = (time_t)((int64_t)WALL_S + expires_s);
	char date[32];

	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime(&time));
	snprintf(text, sizeof(texts[0]),
		 "{\"Code\": \"Success\", \"AccessKeyId\": \"%s\", \"SecretAccessKey\": "
		 "\"hush-%s\", \"Token\": \"token-%s\", \"Expiration\": \"%s\"}",
		 key_id, key_id, key_id, date);
	return text;
}

static inline const char *keys_xml(const char *action, const char *key_id, int64_t expires_s)
{
	static char texts[8][1024];
	static unsigned next;
	char *text = texts[next++ % 8];
	time_t time = (time_t)((int64_t)WALL_S + expires_s);
	char date[32];

	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime(&time));
	snprintf(text, sizeof(texts[0]),
		 "<%sResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><%sResult>"
		 "<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>hush-%s"
		 "</SecretAccessKey><SessionToken>token-%s</SessionToken><Expiration>%s"
		 "</Expiration></Credentials></%sResult></%sResponse>",
		 action, action, key_id, key_id, key_id, date, action, action);
	return text;
}

/* Somebody who waits, and what came of it. */
struct waiter {
	struct credential_wait wait;
	unsigned told;
	char key_id[64]; /* "" after an error */
	char token[64];
	char provider[32];
	struct aws_error error;
};

static inline void on_told(struct credential_wait *wait, const struct credentials *credentials,
			   const struct aws_error *error)
{
	struct waiter *waiter = container_of(wait, struct waiter, wait);

	ck_assert(!credentials != !error);
	waiter->told++;
	snprintf(waiter->key_id, sizeof(waiter->key_id), "%s",
		 credentials ? credentials->key_id : "");
	snprintf(waiter->token, sizeof(waiter->token), "%s",
		 credentials && credentials->token ? credentials->token : "");
	snprintf(waiter->provider, sizeof(waiter->provider), "%s",
		 credentials ? credentials->provider : "");
	waiter->error = error ? *error : (struct aws_error){.kind = AWS_OK};
	ck_assert(!error || error->text[0]);
	ck_assert_ptr_null(strstr(waiter->error.text, "hush"));
	ck_assert_ptr_null(strstr(waiter->error.text, "token-"));
}

/* Ask, turn the loop until the answer is there. */
static inline struct waiter get(struct credential_chain *chain)
{
	struct waiter waiter = {.wait.on_credentials = on_told};

	credentials_get(chain, &waiter.wait);
	ck_assert_uint_eq(waiter.told, 0);
	while (!waiter.told)
		loop_turn(&loop);
	ck_assert_uint_eq(waiter.told, 1);
	ck_assert_ptr_null(strstr(logged, "hush"));
	ck_assert_ptr_null(strstr(logged, "token-"));
	return waiter;
}

/* Whatever can happen without time passing. */
static inline void settle(void)
{
	while (!list_empty(&loop.ready) || !list_empty(&loop.deferred))
		loop_turn(&loop);
}

/* Turn the loop for so many seconds. */
static inline void pass_s(uint64_t seconds)
{
	settle();
	until_us = passed_us + seconds * US_PER_SEC;
	while (passed_us < until_us && timer_wheel_timeout(&loop.wheel) >= 0) {
		loop_turn(&loop);
		settle();
	}
	if (passed_us < until_us)
		passed_us = until_us;
	until_us = 0;
	loop.now_us = clock_us();
}

/* The end of each test: nothing is left, and Check's own clock is right again. `chain` or NULL. */
static inline void rig_end(struct credential_chain *chain)
{
	credential_chain_free(chain);
	settle();
	ck_assert_uint_eq(calls_open, 0);
	loop_fini(&loop);
	for (size_t i = 0; i < COUNT(written) && written[i][0]; i++)
		unlink(written[i]);
	ck_assert(!folder[0] || rmdir(folder) == 0);
	passed_us = 0;
}

static inline struct credential_chain *chain_of(const char *profile, const char *role_arn)
{
	const struct credential_conf conf = {
		.loop = &loop,
		.profile = profile,
		.region = "eu-west-1",
		.role_arn = role_arn,
		.external_id = role_arn ? "ours" : NULL,
	};
	struct credential_chain *chain;

	ck_assert_int_eq(credential_chain_new(&conf, &chain), 0);
	return chain;
}
