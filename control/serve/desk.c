/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns requests from the moment they are whole until they are answered. The happy path is: the
 * handler answers at once, or waits for an event. A change, or the try of one, is an audit event.
 *
 * Failure modes: the process ends, then whoever waits for an event is told so.
 */
#include "control/serve/desk.h"

#include "control/journal.h"
#include "proxy/base/clock.h"
#include "proxy/base/http/door.h"

#define LATE_MS 5000 /* after its end a long poll is answered by the loop, if that turns */

/* The journal may be written to from anywhere in a turn, and a handler writes to it too. */
static void on_note(void *context)
{
	struct desk *desk = context;

	if (!list_empty(&desk->polls))
		loop_ready(desk->conf.loop, &desk->news);
}

/* The clock that its end was reckoned by: the loop's stands still within a turn. */
static bool is_over(const struct desk *desk, const struct request *request)
{
	return journal_count(desk->conf.journal) > request->after || clock_us() >= request->due_us;
}

static void arm_for(struct desk *desk, const struct request *request)
{
	uint64_t now_us = clock_us();
	uint64_t delay_ms = request->due_us > now_us ? (request->due_us - now_us) / US_PER_MS : 0;
	uint64_t due_ms = desk->conf.loop->now_us / US_PER_MS + delay_ms;

	if (!timer_is_armed(&desk->polls_due) || desk->polls_due.due_ms > due_ms)
		loop_arm(desk->conf.loop, &desk->polls_due, delay_ms + 1);
}

/* Polls in the order of their coming; none stays longer than its own end. */
static void look_at_polls(struct desk *desk)
{
	list_for_each_safe (link, &desk->polls) {
		struct request *request = container_of(link, struct request, link);

		if (!is_over(desk, request)) {
			arm_for(desk, request);
			continue;
		}
		list_remove(&request->link);
		request->route->handle(desk, request);
		visitor_answered(request);
	}
}

static void on_news(struct loop_task *task)
{
	look_at_polls(container_of(task, struct desk, news));
}

static void on_polls_due(struct timer *timer)
{
	look_at_polls(container_of(timer, struct desk, polls_due));
}

void serve_desk_init(struct desk *desk, const struct serve_conf *conf)
{
	*desk = (struct desk){.conf = *conf, .started_wall_us = clock_wall_us()};
	list_init(&desk->polls);
	desk->news.run = on_news;
	list_init(&desk->news.link);
	timer_init(&desk->polls_due, on_polls_due);
	journal_on_note(conf->journal, on_note, desk);
}

static void audit(struct desk *desk, const struct request *request)
{
	char text[REQUEST_AUDIT];

	request_audit(request, text);
	journal_note(desk->conf.journal, request->status < 300 ? LOG_INFO : LOG_WARN, "audit", NULL,
		     NULL, NULL, "%s", text);
}

static void refuse_to_wait(struct request *request)
{
	request_refuse(request, 503, "this process ends");
}

uint64_t serve_desk_submit(struct desk *desk, struct request *request)
{
	uint64_t now_us = clock_us();

	request->route->handle(desk, request);
	if (!request->status && desk->closed)
		refuse_to_wait(request);
	if (request->status) {
		if (request->method != METHOD_GET)
			audit(desk, request);
		return 0;
	}
	list_push_back(&desk->polls, &request->link);
	arm_for(desk, request);
	return (request->due_us - now_us) / US_PER_MS + LATE_MS;
}

void serve_desk_close(struct desk *desk)
{
	struct list *link;

	desk->closed = true;
	journal_on_note(desk->conf.journal, NULL, NULL);
	while ((link = list_pop_front(&desk->polls))) {
		struct request *request = container_of(link, struct request, link);

		refuse_to_wait(request);
		visitor_answered(request);
	}
	timer_cancel(&desk->polls_due);
	list_remove(&desk->news.link);
}
