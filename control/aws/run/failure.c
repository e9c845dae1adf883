/* SPDX-License-Identifier: Apache-2.0
 *
 * What went wrong, in one sentence that says what to do about it.
 *
 * Happy path: the status is 200. Else the code that the service gives decides what kind of error it
 * is; where there is none (something on the way answered), the status does. What the service says
 * is repeated after answer_redact(), so that no part of the request comes back through it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/aws/run/internal.h"

struct meaning {
	const char *code;
	enum aws_error_kind kind;
	const char *advice;
};

#define POLICY                                                                                     \
	"allow that action in the policy of this role (`sluice-control --iam-policy FILE` prints " \
	"the least one that will do)"
#define RENEWED "renewed credentials were refused too: look at the role, or at the keys in use"
#define ENABLED "look whether the keys are right, and the region is enabled for this account"
#define SECRET  "the secret key does not belong to the key id, or a proxy changes the request"
#define CLOCK   "set this machine's clock, e.g. with chrony from 169.254.169.123"

/* Sources: the "Common errors" pages of each service's API reference. */
static const struct meaning meanings[] = {
	{"UnauthorizedOperation", AWS_DENIED, POLICY},
	{"AccessDenied", AWS_DENIED, POLICY},
	{"AccessDeniedException", AWS_DENIED, POLICY},
	{"AuthorizationError", AWS_DENIED, POLICY},
	{"AuthorizationErrorException", AWS_DENIED, POLICY},
	{"NotAuthorized", AWS_DENIED, POLICY},
	{"OptInRequired", AWS_DENIED, "this account is not signed up for the service"},
	{"ExpiredToken", AWS_CREDENTIALS, RENEWED},
	{"ExpiredTokenException", AWS_CREDENTIALS, RENEWED},
	{"RequestExpired", AWS_CREDENTIALS, RENEWED ", or at this machine's clock"},
	{"AuthFailure", AWS_CREDENTIALS, ENABLED},
	{"InvalidClientTokenId", AWS_CREDENTIALS, ENABLED},
	{"UnrecognizedClientException", AWS_CREDENTIALS, ENABLED},
	{"InvalidAccessKeyId", AWS_CREDENTIALS, ENABLED},
	{"InvalidToken", AWS_CREDENTIALS, ENABLED},
	{"MissingAuthenticationToken", AWS_CREDENTIALS, ENABLED},
	{"MissingAuthenticationTokenException", AWS_CREDENTIALS, ENABLED},
	{"IncompleteSignature", AWS_CREDENTIALS, SECRET},
	{"SignatureDoesNotMatch", AWS_CREDENTIALS, SECRET},
	{"InvalidSignatureException", AWS_CREDENTIALS, SECRET},
	{"RequestTimeTooSkewed", AWS_CLOCK, CLOCK},
	{"RequestInTheFuture", AWS_CLOCK, CLOCK},
};

void failure_set(struct aws_run *run, enum aws_error_kind kind, const char *format, ...)
{
	struct aws_error *error = &run->error;
	const char *region = run->aws->region;
	va_list args;
	int used;

	error->kind = kind;
	used = snprintf(error->text, sizeof(error->text),
			"%s:%s%s%s: ", services[run->op.service].iam, run->op.action,
			*region ? " in " : "", region);
	if (used < 0 || (size_t)used >= sizeof(error->text))
		return;
	va_start(args, format);
	vsnprintf(error->text + used, sizeof(error->text) - (size_t)used, format, args);
	va_end(args);
	answer_redact(error->text, run->token);
}

static void no_answer(struct aws_run *run, const struct http_answer *answer)
{
	switch (answer->err) {
	case AWS_MEMORY:
		failure_set(run, AWS_MEMORY, "out of memory");
		return;
	case AWS_TIMEOUT:
		failure_set(run, AWS_TIMEOUT,
			    "%s; look at the route, the security groups and the VPC endpoint, or "
			    "set HTTPS_PROXY",
			    answer->problem);
		return;
	case AWS_UNREACHABLE:
	case AWS_GARBAGE:
	default:
		failure_set(run, answer->err, "%s", answer->problem);
	}
}

/* No code of AWS: a proxy, a captive portal, or a service in bad shape. */
static void judge_status(struct aws_run *run, const char *said)
{
	static const char stranger[] = "the answer has no error code of AWS, so something between "
				       "here and there may have given it";
	long status = run->error.status;

	if (status >= 500)
		failure_set(run, AWS_SERVER, "HTTP %ld%s%s", status, *said ? ": " : "", said);
	else if (status == 401 || status == 403 || status == 407)
		failure_set(run, AWS_DENIED, "HTTP %ld; %s", status, stranger);
	else if (status >= 400)
		failure_set(run, AWS_REFUSED, "HTTP %ld; %s", status, stranger);
	else
		failure_set(run, AWS_GARBAGE, "HTTP %ld; is the endpoint right?", status);
}

static const struct meaning *find_meaning(const char *code)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (!strcmp(meanings[i].code, code))
			return &meanings[i];
	return NULL;
}

static void judge_code(struct aws_run *run, const char *said)
{
	const char *code = run->error.code;
	const char *colon = *said ? ": " : "";
	const struct meaning *meaning = find_meaning(code);

	/* A long sentence of theirs must not push our advice out. */
	if (retry_is_throttle(code, run->error.status))
		failure_set(run, AWS_THROTTLED,
			    "%s%s%.200s; the account's allowance is used up, by others as well: "
			    "longer intervals or `control.fleet_size` make our share smaller",
			    code, colon, said);
	else if (meaning)
		failure_set(run, meaning->kind, "%s%s%.200s; %s", code, colon, said,
			    meaning->advice);
	else
		failure_set(run, run->error.status >= 500 ? AWS_SERVER : AWS_REFUSED, "%s%s%.300s",
			    code, colon, said);
}

int failure_judge(struct aws_run *run, const struct http_answer *answer)
{
	struct refusal refusal;

	run->error = (struct aws_error){.status = answer->status};
	if (answer->err) {
		no_answer(run, answer);
		return -1;
	}
	if (answer->status == 200)
		return 0;
	answer_refusal(answer->body, answer->size, http_header(answer, "x-amzn-ErrorType"),
		       &refusal);
	memcpy(run->error.code, refusal.code, sizeof(run->error.code));
	if (!*refusal.code && answer->status == 429)
		snprintf(run->error.code, sizeof(run->error.code), "TooManyRequests");
	if (*run->error.code)
		judge_code(run, refusal.message);
	else
		judge_status(run, refusal.message);
	return -1;
}

static bool is_signature(const char *code)
{
	return !strcmp(code, "SignatureDoesNotMatch") || !strcmp(code, "InvalidSignatureException");
}

bool failure_is_of_credentials(const struct aws_error *error)
{
	return error->kind == AWS_CREDENTIALS && !is_signature(error->code);
}

/* The codes after which the SDKs look at the Date. */
bool failure_is_of_clock(const struct aws_error *error)
{
	return error->kind == AWS_CLOCK || is_signature(error->code) ||
	       !strcmp(error->code, "AuthFailure") || !strcmp(error->code, "RequestExpired");
}
