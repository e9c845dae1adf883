/* SPDX-License-Identifier: Apache-2.0
 *
 * Getting one page: as many attempts as it is worth.
 *
 * Happy path: the budget lets it through, credentials are there, the request is sent, the answer is
 * good and goes to run_page(). Failure modes: clocks that differ by more than five minutes are
 * corrected and credentials that are refused are renewed, each once and at once; whatever may be
 * gone the next time is tried again after a while, as far as control/aws/retry.h lets it. The
 * credentials' callback never calls out: whoever it told could cancel others that wait there too.
 */
#include <errno.h>
#include <stdlib.h>

#include "control/aws/run/internal.h"
#include "control/aws/secret.h"
#include "proxy/base/clock.h"

#define CLOCK_APART_S 300

static void begin(struct aws_run *run);

static struct aws_counts *counts_of(const struct aws_run *run)
{
	return &run->aws->hub->counts[run->op.service];
}

static struct budget *budget_for(const struct aws_run *run)
{
	return budget_of(run->aws->hub->budgets, run->aws->identity->key, run->aws->region,
			 run->op.service, api_class_of(run->op.service, run->op.action));
}

/* --- the clock --- */

static int64_t apart_us(const struct aws_hub *hub, uint64_t date_s)
{
	return (int64_t)(date_s * US_PER_SEC) - (int64_t)clock_wall_us() - hub->skew_us;
}

/* Whether the clock was wrong, and is right now. */
static bool correct_clock(struct aws_run *run, const struct http_answer *answer)
{
	struct aws_hub *hub = run->aws->hub;
	int64_t apart;

	if (answer->err || !answer->date_s || run->clock_corrected ||
	    !failure_is_of_clock(&run->error))
		return false;
	apart = apart_us(hub, answer->date_s);
	if (llabs(apart) <= CLOCK_APART_S * (int64_t)US_PER_SEC)
		return false;
	run->clock_corrected = true;
	hub->skew_us += apart;
	list_for_each (link, &hub->chains) {
		struct identity *identity = container_of(link, struct identity, link);

		credential_chain_set_skew(identity->chain, hub->skew_us);
	}
	return true;
}

static bool renew_credentials(struct aws_run *run)
{
	if (run->credentials_renewed || !failure_is_of_credentials(&run->error))
		return false;
	run->credentials_renewed = true;
	credentials_refused(run->aws->identity->chain);
	return true;
}

/* --- again, or not --- */

static void again_later(struct aws_run *run, const struct http_answer *answer)
{
	const char *header = answer->err ? NULL : http_header(answer, "Retry-After");
	uint32_t wait_s = retry_after_s(header, answer->date_s);

	loop_arm(run->aws->hub->loop, &run->timer,
		 retry_delay_ms(run->attempt, retry_random(), wait_s));
	run->attempt++;
	counts_of(run)->retries++;
}

static void fail(struct aws_run *run, const struct http_answer *answer)
{
	struct retry_quota *quota = &run->aws->hub->quotas[run->op.service];
	enum aws_error_kind kind = run->error.kind;

	if (kind == AWS_THROTTLED) {
		struct budget *budget = budget_for(run);

		counts_of(run)->throttles++;
		if (budget)
			budget_throttled(budget);
	}
	if (correct_clock(run, answer) || renew_credentials(run)) {
		counts_of(run)->retries++;
		begin(run);
	} else if (!run->op.once && run->attempt < RETRY_ATTEMPTS &&
		   retry_is_worth_it(kind, run->error.code) && retry_pay(quota, kind, &run->paid)) {
		again_later(run, answer);
	} else {
		run_fail(run);
	}
}

static void on_answer(void *context, const struct http_answer *answer)
{
	struct aws_run *run = context;
	json_t *page = NULL;
	int err;

	run->call = NULL;
	if (failure_judge(run, answer)) {
		fail(run, answer);
		return;
	}
	err = answer_read(run->op.service, run->op.action, answer->body, answer->size, &page);
	if (err) {
		if (err == -ENOMEM)
			failure_set(run, AWS_MEMORY, "out of memory");
		else
			failure_set(run, AWS_GARBAGE,
				    "the answer of %zu bytes is cut short, or is none of this "
				    "action; is the endpoint right?",
				    answer->size);
		fail(run, answer);
		return;
	}
	retry_refund(&run->aws->hub->quotas[run->op.service], run->paid);
	run_page(run, page);
}

/* --- sending --- */

static void send_with(struct aws_run *run, const struct credentials *credentials)
{
	int err = request_send(run, credentials, on_answer);

	if (!err) {
		counts_of(run)->calls++;
		return;
	}
	if (err == -EINVAL)
		failure_set(run, AWS_REFUSED,
			    "there is no such endpoint; look at `region`, `endpoint`, `fips` and "
			    "`dual_stack`");
	else
		failure_set(run, AWS_MEMORY, "out of memory");
	run_fail_later(run);
}

static void on_credentials(struct credential_wait *wait, const struct credentials *credentials,
			   const struct aws_error *error)
{
	struct aws_run *run = container_of(wait, struct aws_run, wait);

	if (credentials) {
		send_with(run, credentials);
		return;
	}
	run->error = *error;
	run_fail_later(run);
}

static void ask_credentials(struct aws_run *run)
{
	run->wait.on_credentials = on_credentials;
	credentials_get(run->aws->identity->chain, &run->wait);
}

static void on_budget(struct timer *timer)
{
	ask_credentials(container_of(timer, struct aws_run, timer));
}

static void on_backoff(struct timer *timer)
{
	begin(container_of(timer, struct aws_run, timer));
}

static void begin(struct aws_run *run)
{
	struct budget *budget = budget_for(run);
	uint64_t wait_us;

	if (!budget) {
		failure_set(run, AWS_MEMORY, "out of memory");
		run_fail_later(run);
		return;
	}
	timer_init(&run->timer, on_backoff);
	wait_us = budget_take(budget, clock_us());
	if (!wait_us) {
		ask_credentials(run);
		return;
	}
	counts_of(run)->waits++;
	run->timer.on_due = on_budget;
	loop_arm(run->aws->hub->loop, &run->timer, wait_us / US_PER_MS + 1);
}

void attempt_first(struct aws_run *run)
{
	int err = request_encode(run);

	run->attempt = 1;
	run->paid = 0;
	run->clock_corrected = false;
	run->credentials_renewed = false;
	if (!err) {
		begin(run);
		return;
	}
	failure_set(run, err == -ENOMEM ? AWS_MEMORY : AWS_REFUSED, "%s",
		    err == -ENOMEM ? "out of memory" : "no request can say this");
	run_fail_later(run);
}

void attempt_drop(struct aws_run *run)
{
	timer_cancel(&run->timer);
	if (run->wait.on_credentials)
		credentials_forget_wait(run->aws->identity->chain, &run->wait);
	http_cancel(run->call);
	run->call = NULL;
	secret_free(run->body);
	secret_free(run->token);
	run->body = run->token = NULL;
}
