/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the schedule. The happy path is: a timer is due, its target's check begins (or stands in
 * line while too many are under way), the verdict is counted, main hears of it if it is news, and
 * the timer is armed again. Targets that begin together are spread over their fast interval, and
 * each interval is blurred, so that they do not end up in step.
 *
 * Intervals go from start to start. A check that took longer than half of its interval is followed
 * by a rest of as much, so that a black hole does not keep a socket busy all the time.
 *
 * Failure modes: a check for which we lack a file descriptor or memory says nothing of its target
 * and is put off; a target leaves while its check is under way, then that is aborted, and the
 * memory lives to the end of the turn.
 */
#include "proxy/health/checker.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"

#define SAY_AGAIN 10 /* verdicts of which nothing is new, until a report all the same */

/* xorshift64 (Marsaglia, 2003). */
static uint64_t next_random(struct checker *checker)
{
	uint64_t x = checker->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return checker->random = x;
}

/* `jitter_percent` is how wide the blur is, half of it to either side. */
static uint64_t blur_ms(struct checker *checker, uint32_t interval_ms, uint32_t jitter_percent)
{
	uint64_t width_ms = (uint64_t)interval_ms * jitter_percent / 100;

	if (!width_ms)
		return interval_ms;
	return interval_ms - width_ms / 2 + next_random(checker) % (width_ms + 1);
}

static void arm_next(struct subject *subject, bool put_off)
{
	const struct health_conf *conf = &subject->settings->conf;
	struct checker *checker = subject->checker;
	bool slow = !put_off && rise_fall_is_settled(&subject->count);
	uint64_t interval_ms = blur_ms(checker, slow ? conf->interval_ms : conf->fast_interval_ms,
				       conf->jitter_percent);
	uint64_t took_ms = (checker->loop.now_us - subject->check.started_us) / US_PER_MS;

	if (took_ms > interval_ms / 2)
		took_ms = interval_ms / 2;
	loop_arm(&checker->loop, &subject->due, interval_ms - took_ms);
}

static void start_check(struct subject *subject)
{
	struct check_order order = {
		.addr = &subject->addr, .conf = &subject->settings->conf, .proxy = subject->proxy};

	for (size_t i = 0; i < sizeof(order.random); i += sizeof(uint64_t)) {
		uint64_t word = next_random(subject->checker);

		memcpy(order.random + i, &word, sizeof(word));
	}
	subject->checker->under_way++;
	check_start(&subject->check, &order);
}

static void move_line(struct checker *checker)
{
	struct list *link;

	while (checker->under_way < checker->max_checks && (link = list_pop_front(&checker->line)))
		start_check(container_of(link, struct subject, link));
}

static void on_due(struct timer *timer)
{
	struct subject *subject = container_of(timer, struct subject, due);

	list_push_back(&subject->checker->line, &subject->link);
	move_line(subject->checker);
}

static void describe(const struct subject *subject, struct health_report *ret_report)
{
	const struct rise_fall *count = &subject->count;
	const struct verdict *verdict = &subject->check.verdict;

	*ret_report =
		(struct health_report){.key = subject->key,
				       .status = count->status,
				       .passed = count->passed,
				       .failed = count->failed,
				       .needed = rise_fall_needed(count, &subject->settings->conf),
				       .took_us = verdict->took_us};
	if (count->status == HEALTH_GOING_UP && count->rise_factor > 1)
		snprintf(ret_report->text, sizeof(ret_report->text),
			 "%s; it flaps, so %u in a row are needed", verdict->text,
			 rise_fall_needed(count, &subject->settings->conf));
	else
		snprintf(ret_report->text, sizeof(ret_report->text), "%s", verdict->text);
}

/* A status on its way to another one is always news: the count is what people watch. */
static bool is_news(const struct subject *subject, const struct health_report *report)
{
	const struct health_report *said = &subject->said;

	return !subject->has_said || report->status == HEALTH_GOING_UP ||
	       report->status == HEALTH_GOING_DOWN || report->status != said->status ||
	       strcmp(report->text, said->text) || subject->unsaid + 1 >= SAY_AGAIN;
}

static void report_verdict(struct subject *subject)
{
	struct health_report report;

	describe(subject, &report);
	if (!is_news(subject, &report)) {
		subject->unsaid++;
		return;
	}
	subject->said = report;
	subject->has_said = true;
	subject->unsaid = 0;
	reports_push(subject->checker->reports, &subject->slot, &report);
}

static void put_off(const struct subject *subject)
{
	static struct log_limit limit;
	char addr[ADDR_TEXT];

	log_limited(&limit, LOG_WARN, "health_check_put_off", "target=%s error=%s",
		    addr_format(&subject->addr, addr),
		    strerrorname_np(subject->check.verdict.error));
}

static void on_verdict(struct check *check)
{
	struct subject *subject = container_of(check, struct subject, check);
	struct checker *checker = subject->checker;

	checker->under_way--;
	if (check->verdict.kind == VERDICT_NONE) {
		put_off(subject);
	} else {
		rise_fall_count(&subject->count, &subject->settings->conf,
				check->verdict.kind == VERDICT_GOOD, checker->loop.now_us);
		report_verdict(subject);
	}
	arm_next(subject, check->verdict.kind == VERDICT_NONE);
	move_line(checker);
}

static void free_subject(struct loop_task *task)
{
	subject_free(container_of(task, struct subject, end));
}

/* A new target of the checker's. */
static void enrol(struct checker *checker, struct subject *subject)
{
	subject->checker = checker;
	timer_init(&subject->due, on_due);
	check_init(&subject->check, &checker->loop, on_verdict);
	list_init(&subject->end.link);
	subject->end.run = free_subject;
}

/* Whatever stage its check is at, it is at none afterwards. */
static void stop_checking(struct subject *subject)
{
	if (subject->check.state != CHECK_IDLE)
		subject->checker->under_way--;
	check_abort(&subject->check);
	timer_cancel(&subject->due);
	list_remove(&subject->link);
}

static void forget(struct subject *subject)
{
	stop_checking(subject);
	reports_drop(subject->checker->reports, &subject->slot);
	loop_defer(&subject->checker->loop, &subject->end);
}

/* Spread the targets of a list over their fast interval. */
static void begin_all(struct checker *checker, struct list *beginning, size_t count)
{
	struct list *link;

	for (uint64_t i = 0; (link = list_pop_front(beginning)); i++) {
		struct subject *subject = container_of(link, struct subject, link);

		loop_arm(&checker->loop, &subject->due,
			 subject->settings->conf.fast_interval_ms * i / count);
	}
}

/* Put what is known of a target in the place of its new description. True when it is to be checked
 * differently from now on. */
static bool keep(struct subject **place, struct subject *known)
{
	struct subject *fresh = *place;
	bool differs = subject_differs(known, fresh);

	known->next = fresh->next;
	*place = known;
	if (differs) {
		stop_checking(known);
		subject_take_over(known, fresh);
	}
	subject_free(fresh);
	return differs;
}

void checker_set(struct checker *checker, struct subject_table *fresh)
{
	struct subject *gone;
	struct list beginning;
	size_t count = 0;

	list_init(&beginning);
	for (size_t i = 0; i <= fresh->mask; i++) {
		for (struct subject **at = &fresh->buckets[i]; *at; at = &(*at)->next) {
			struct subject *known = subject_table_take(&checker->table, (*at)->key);

			if (known && known->life != (*at)->life) {
				forget(known);
				known = NULL;
			}
			if (!known)
				enrol(checker, *at);
			else if (!keep(at, known))
				continue;
			list_push_back(&beginning, &(*at)->link);
			count++;
		}
	}
	while ((gone = subject_table_pop(&checker->table)))
		forget(gone);
	subject_table_fini(&checker->table);
	checker->table = *fresh;
	begin_all(checker, &beginning, count);
	move_line(checker);
}

int checker_init(struct checker *checker, struct reports *reports, unsigned max_checks)
{
	int r;

	*checker = (struct checker){.reports = reports, .max_checks = max_checks};
	list_init(&checker->line);
	if (getrandom(&checker->random, sizeof(checker->random), 0) < 0 || !checker->random)
		checker->random = clock_us() | 1;
	r = loop_init(&checker->loop);
	return r;
}

void checker_fini(struct checker *checker)
{
	struct subject *subject;

	while ((subject = subject_table_pop(&checker->table)))
		forget(subject);
	subject_table_fini(&checker->table);
	loop_reap(&checker->loop);
	loop_fini(&checker->loop);
}
