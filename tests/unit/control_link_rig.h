/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the link share: a double of the HTTP client, whose calls are looked at and
 * answered as the test wants, time that is the test's, and what the link told.
 *
 * Each test that includes it links with --wrap=clock_gettime.
 */
#pragma once

#include <errno.h>
#include <time.h>

#include "control/aws/http.h"
#include "control/link.h"
#include "proxy/base/clock.h"
#include "proxy/base/loop.h"
#include "tests/unit/conf_rig.h"

#define SOCKET "/nowhere/admin.sock"

struct http_call {
	struct list link; /* calls */
	char *method;
	char *path;
	char *body; /* or NULL */
	void (*on_end)(void *context, const struct http_answer *answer);
	void *context;
};

int __wrap_clock_gettime(clockid_t id, struct timespec *now);

static struct loop loop;
static struct list calls;
static struct link *link_to;
static uint64_t now_us;

/* What the link told. */
static unsigned ups, downs, pushes;
static char down_problem[256], push_problem[256], pushed_source[64];
static uint64_t pushed_generation;
static void (*do_on_up)(void);

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
	*now = (struct timespec){.tv_sec = (time_t)(now_us / US_PER_SEC),
				 .tv_nsec = (long)(now_us % US_PER_SEC * 1000)};
	return 0;
}

/* --- the double --- */

struct http_call *http_start(struct http *http, const struct http_request *request)
{
	struct http_call *call = calloc(1, sizeof(*call));
	const char *path = strstr(request->url, "//localhost/");

	ck_assert_ptr_nonnull(path);
	ck_assert_str_eq(request->unix_socket, SOCKET);
	ck_assert(request->direct);
	call->method = strdup(request->method);
	call->path = strdup(path + strlen("//localhost"));
	call->body = request->body ? strndup(request->body, request->body_size) : NULL;
	call->on_end = request->on_end;
	call->context = request->context;
	list_push_back(&calls, &call->link);
	return call;
}

void http_cancel(struct http_call *call)
{
	if (!call)
		return;
	list_remove(&call->link);
	free(call->method);
	free(call->path);
	free(call->body);
	free(call);
}

static inline unsigned count_calls(const char *method, const char *path)
{
	unsigned count = 0;

	list_for_each (at, &calls) {
		const struct http_call *call = container_of(at, struct http_call, link);

		count += !strcmp(call->method, method) && !strncmp(call->path, path, strlen(path));
	}
	return count;
}

/* The one call of this method and path under way. */
static inline struct http_call *asked(const char *method, const char *path)
{
	ck_assert_msg(count_calls(method, path) == 1, "%u of %s %s", count_calls(method, path),
		      method, path);
	list_for_each (at, &calls) {
		struct http_call *call = container_of(at, struct http_call, link);

		if (!strcmp(call->method, method) && !strncmp(call->path, path, strlen(path)))
			return call;
	}
	return NULL;
}

static inline void finish(struct http_call *call, const struct http_answer *answer)
{
	struct http_call ended = *call;

	call->method = call->path = call->body = NULL;
	list_remove(&call->link);
	free(call);
	ended.on_end(ended.context, answer);
	free(ended.method);
	free(ended.path);
	free(ended.body);
}

static inline void answer(struct http_call *call, long status, const char *body)
{
	finish(call, &(struct http_answer){
			     .err = AWS_OK, .status = status, .body = body, .size = strlen(body)});
}

static inline void break_off(struct http_call *call)
{
	finish(call, &(struct http_answer){.err = AWS_UNREACHABLE, .problem = "connection reset"});
}

/* --- the rig --- */

static inline void pass_ms(uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i++) {
		now_us += US_PER_MS;
		loop.now_us = now_us;
		timer_wheel_advance(&loop.wheel, now_us / US_PER_MS);
	}
}

static inline void on_up(void *context)
{
	ups++;
	if (do_on_up)
		do_on_up();
}

static inline void on_down(void *context, const char *problem)
{
	downs++;
	snprintf(down_problem, sizeof(down_problem), "%s", problem);
}

static inline void on_pushed(void *context, const char *pool, const char *source,
			     uint64_t generation, const char *problem)
{
	ck_assert_str_eq(pool, "web");
	pushes++;
	pushed_generation = generation;
	snprintf(pushed_source, sizeof(pushed_source), "%s", source);
	snprintf(push_problem, sizeof(push_problem), "%s", problem ? problem : "");
}

static inline void start(void)
{
	static const char *const pools[] = {"web"};
	struct link_conf conf = {
		.loop = &loop,
		.socket = SOCKET,
		.pools = pools,
		.pool_count = 1,
		.on_up = on_up,
		.on_down = on_down,
		.on_pushed = on_pushed,
	};

	now_us = 1000 * US_PER_SEC;
	ups = downs = pushes = 0;
	do_on_up = NULL;
	down_problem[0] = push_problem[0] = '\0';
	list_init(&calls);
	ck_assert_int_eq(loop_init(&loop), 0);
	ck_assert_int_eq(link_start(&conf, &link_to), 0);
	ck_assert(list_empty(&calls)); /* nothing from inside link_start() */
	pass_ms(2);
}

static inline void stop(void)
{
	link_stop(link_to);
	ck_assert(list_empty(&calls));
	loop_fini(&loop);
}

static inline void answer_status(int pid)
{
	char text[200];

	snprintf(text, sizeof(text),
		 "{\"pid\":%d,\"started\":\"2026-01-01T00:00:00.000Z\","
		 "\"workers\":[{\"sessions_open\":3},{\"sessions_open\":4}]}",
		 pid);
	answer(asked("GET", "/v1/status"), 200, text);
}

#define NO_SOURCES "{\"sources\":[],\"members\":[]}"

static inline void come_up(int pid, const char *pool)
{
	answer_status(pid);
	answer(asked("GET", "/v1/events?limit=0"), 200, "{\"events\":[],\"last_id\":7}");
	answer(asked("GET", "/v1/pools/web"), 200, pool);
	pass_ms(2);
}

static inline struct target_set *make_set(const char *address, unsigned count)
{
	struct target_set *set = target_set_new();
	const struct found_target *twice;
	char text[64];

	for (unsigned i = 0; i < count; i++) {
		struct found_target target = {.address = text, .weight = 100};

		snprintf(text, sizeof(text), "%s:%u", address, 80 + i);
		ck_assert_int_eq(target_set_add(set, &target), 0);
	}
	ck_assert_int_eq(target_set_seal(set, &twice), 0);
	return set;
}

static inline void push(const char *source, const char *address, bool unverified)
{
	struct target_set *set = make_set(address, 1);

	ck_assert_int_eq(link_push(link_to, "web", source, set, unverified), 0);
	target_set_free(set);
	pass_ms(2);
}

static inline struct http_call *asked_put(uint64_t generation, const char *address)
{
	struct http_call *call = asked("PUT", "/v1/pools/web/sources/ec2");
	json_t *body = json_loads(call->body, JSON_REJECT_DUPLICATES, NULL);
	const json_t *first = json_array_get(json_object_get(body, "targets"), 0);

	ck_assert_int_eq(json_integer_value(json_object_get(body, "generation")), generation);
	ck_assert_ptr_nonnull(
		strstr(json_string_value(json_object_get(first, "address")), address));
	json_decref(body);
	return call;
}

#define APPLIED "{\"result\":\"applied\",\"generation\":1}"

/* --- answers --- */

#define MEMBER(id, address, state, listings)                                                       \
	"{\"id\":" id ",\"address\":\"" address "\",\"zone\":\"z9\",\"weight\":9,"                 \
	"\"max_connections\":0,\"backup\":false,\"state\":\"" state "\",\"listings\":[" listings   \
	"]}"
#define LISTING(source, weight, more)                                                              \
	"{\"source\":\"" source "\",\"weight\":" weight ",\"zone\":null,\"max_connections\":5,"    \
	"\"backup\":true,\"draining\":" more "}"

static const char two_sources[] =
	"{\"sources\":[{\"name\":\"config\",\"generation\":3,\"kind\":null},"
	"{\"name\":\"ec2\",\"generation\":40,\"kind\":\"ec2\"},"
	"{\"name\":\"script\",\"generation\":2,\"kind\":null}],\"members\":[" MEMBER(
		"\"i-1\"", "10.0.0.1:80", "down",
		LISTING("config", "1", "false") "," LISTING(
			"ec2", "70",
			"true")) "," MEMBER("\"i-2\"", "10.0.0.2:80", "serving",
					    LISTING("ec2", "71",
						    "false")) "," MEMBER("null", "10.0.0.3:80",
									 "removed",
									 "") "," MEMBER("null",
											"10.0.0.4:"
											"80",
											"serving",
											LISTING("sc"
												"ri"
												"p"
												"t",
												"1",
												"fa"
												"ls"
												"e")) "]}";
