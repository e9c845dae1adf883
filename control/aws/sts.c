/* SPDX-License-Identifier: Apache-2.0
 *
 * AssumeRole and AssumeRoleWithWebIdentity.
 *
 * Happy path: a form, signed unless it brings a token of its own, goes to the endpoint; the
 * answer's Credentials are copied. Failure modes: refused (with what to look at), throttled or
 * unreachable (tried again by insist()), an answer that cannot be believed, a wrong clock. Forms,
 * headers and trees hold secrets and are wiped; errors have the role's name and the service's code
 * and message.
 */
#include "control/aws/sts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/aws/answer.h"
#include "control/aws/credentials/document.h"
#include "control/aws/endpoint.h"
#include "control/aws/insist.h"
#include "control/aws/retry.h"
#include "control/aws/secret.h"
#include "control/aws/sigv4.h"
#include "proxy/base/clock.h"
#include "proxy/base/timestamp.h"

#define TYPE        "application/x-www-form-urlencoded; charset=utf-8"
#define URL_SIZE    512
#define MAX_BYTES   (1 << 20)
#define SKEW_MOST_S 300
#define SESSION     64

struct sts_call {
	struct sts_conf conf;
	char *region;
	char url[URL_SIZE];
	char host[URL_SIZE];
	const char *path; /* in `url` */
	char *role_arn;   /* for errors */
	char *form;
	struct credentials signer; /* key_id NULL: unsigned */
	bool clock_corrected;
	struct insist *insist;
	void (*on_end)(void *context, struct credentials *found, const struct aws_error *error);
	void *context;
};

static const char *action_of(const struct sts_call *call)
{
	return call->signer.key_id ? "AssumeRole" : "AssumeRoleWithWebIdentity";
}

static void call_free(struct sts_call *call)
{
	credentials_fini(&call->signer);
	secret_free(call->form);
	secret_free(call->role_arn);
	secret_free(call->region);
	free(call);
}

void sts_cancel(struct sts_call *call)
{
	if (!call)
		return;
	insist_cancel(call->insist);
	call_free(call);
}

static void add_field(struct secret_text *form, const char *name, const char *value)
{
	if (!value)
		return;
	secret_add_format(form, "&%s=", name);
	secret_add_encoded(form, value, strlen(value), "");
}

/* Which node it was, for those who read CloudTrail; only what a session name may have. */
static const char *own_session(char *buf)
{
	char host[SESSION - 16] = "";

	if (gethostname(host, sizeof(host)) < 0)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	for (char *at = host; *at; at++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.",
			    *at))
			*at = '-';
	snprintf(buf, SESSION, "sluice-control%s%s", *host ? "-" : "", host);
	return buf;
}

static char *make_form(const struct sts_request *request)
{
	struct secret_text form = {.data = NULL};
	char session[SESSION], duration[16];

	secret_add_format(&form, "Action=%s&Version=2011-06-15",
			  request->signer ? "AssumeRole" : "AssumeRoleWithWebIdentity");
	add_field(&form, "RoleArn", request->role_arn);
	add_field(&form, "RoleSessionName",
		  request->session_name ? request->session_name : own_session(session));
	add_field(&form, "ExternalId", request->external_id);
	add_field(&form, "WebIdentityToken", request->signer ? NULL : request->web_identity_token);
	if (request->duration_s) {
		snprintf(duration, sizeof(duration), "%u", request->duration_s);
		add_field(&form, "DurationSeconds", duration);
	}
	return secret_take(&form);
}

static bool is_throttled(const struct http_answer *answer)
{
	struct refusal refusal;

	if (answer->status < 400)
		return false;
	answer_refusal(answer->body, answer->size, NULL, &refusal);
	return retry_is_throttle(refusal.code, answer->status) ||
	       !strcmp(refusal.code, "IDPCommunicationError");
}

static void on_answer(void *context, const struct http_answer *answer);

/* `lines` has room for six: what is sent as headers, as far as it is signed or not. */
static int sign(const struct sts_call *call, struct sigv4_signed *sig)
{
	const struct sigv4_header headers[] = {{"Host", call->host}, {"Content-Type", TYPE}};
	struct sigv4_request request = {
		.method = "POST",
		.path = call->path,
		.headers = headers,
		.header_count = sizeof(headers) / sizeof(headers[0]),
		.body = call->form,
		.body_size = strlen(call->form),
		.normalize_path = true,
	};
	struct sigv4_key key = {
		.key_id = call->signer.key_id,
		.secret = call->signer.secret,
		.token = call->signer.token,
		.region = call->region,
		.service = "sts",
		.time_s = (clock_wall_us() + (uint64_t)*call->conf.skew_us) / US_PER_SEC,
	};

	return sigv4_sign(&request, &key, sig);
}

static char *header_line(const char *name, const char *value)
{
	struct secret_text line = {.data = NULL};

	secret_add_format(&line, "%s: %s", name, value);
	return secret_take(&line);
}

/* Fills the lines after the first two. 0 or -errno; the caller frees the lines in any case. */
static int add_signature(const struct sts_call *call, char *lines[3])
{
	struct sigv4_signed sig;
	int ret = sign(call, &sig);

	if (ret < 0)
		return ret;
	lines[0] = header_line("X-Amz-Date", sig.date);
	lines[1] = header_line("Authorization", sig.authorization);
	if (call->signer.token)
		lines[2] = header_line("X-Amz-Security-Token", call->signer.token);
	if (!lines[0] || !lines[1] || (call->signer.token && !lines[2]))
		ret = -ENOMEM;
	sigv4_signed_fini(&sig);
	return ret;
}

static int send_it(struct sts_call *call)
{
	char *signed_lines[3] = {NULL}, *host = header_line("Host", call->host);
	int ret = !host ? -ENOMEM : call->signer.key_id ? add_signature(call, signed_lines) : 0;
	const char *const lines[] = {"Content-Type: " TYPE, host, signed_lines[0], signed_lines[1],
				     signed_lines[2],       NULL};
	struct http_request request = {
		.method = "POST",
		.url = call->url,
		.headers = lines,
		.body = call->form,
		.body_size = strlen(call->form),
		.max_bytes = MAX_BYTES,
		.on_end = on_answer,
		.context = call,
	};

	if (ret == 0) {
		call->insist = insist(call->conf.loop, call->conf.http, &request, is_throttled);
		ret = call->insist ? 0 : -ENOMEM;
	}
	secret_free(host);
	for (size_t i = 0; i < 3; i++)
		secret_free(signed_lines[i]);
	return ret;
}

static void end_with(struct sts_call *call, enum aws_error_kind kind, long status, const char *code,
		     const char *text, const char *advice)
{
	struct aws_error error = {.kind = kind, .status = status};

	snprintf(error.code, sizeof(error.code), "%s", code);
	snprintf(error.text, sizeof(error.text), "STS %s of %.150s: %s%s%.180s%s%s",
		 action_of(call), call->role_arn, code, *code && *text ? ": " : "", text,
		 *advice ? "; " : "", advice);
	call->on_end(call->context, NULL, &error);
	call_free(call);
}

static const char *const denied_advice =
	"let the role's trust policy name this caller, and the caller's policy allow "
	"sts:AssumeRole";

static const struct {
	const char *code;
	enum aws_error_kind kind;
	const char *advice;
} refusals[] = {
	{"AccessDenied", AWS_DENIED, NULL},
	{"AccessDeniedException", AWS_DENIED, NULL},
	{"ExpiredToken", AWS_CREDENTIALS, "the credentials below the role have expired"},
	{"ExpiredTokenException", AWS_CREDENTIALS,
	 "the token file is not renewed any more; look at what writes it"},
	{"InvalidClientTokenId", AWS_CREDENTIALS, "the credentials below the role are unknown"},
	{"InvalidIdentityToken", AWS_CREDENTIALS,
	 "look at the identity provider in IAM and at what the token is for"},
	{"InvalidIdentityTokenException", AWS_CREDENTIALS,
	 "look at the identity provider in IAM and at what the token is for"},
	{"SignatureDoesNotMatch", AWS_CREDENTIALS,
	 "the secret key is wrong, or the clock is: look at both"},
	{"RegionDisabledException", AWS_REFUSED,
	 "activate STS for this region in the account's settings"},
};

static void refuse(struct sts_call *call, const struct http_answer *answer, struct refusal *refusal)
{
	enum aws_error_kind kind = answer->status >= 500 ? AWS_SERVER : AWS_REFUSED;
	const char *advice = "";

	answer_redact(refusal->message, call->signer.token);
	answer_redact(refusal->message, call->signer.secret);
	if (retry_is_throttle(refusal->code, answer->status))
		kind = AWS_THROTTLED;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (strcmp(refusals[i].code, refusal->code) != 0)
			continue;
		kind = refusals[i].kind;
		advice = refusals[i].advice ? refusals[i].advice : denied_advice;
	}
	if (refusal->code[0] || refusal->message[0]) {
		end_with(call, kind, answer->status, refusal->code, refusal->message, advice);
	} else {
		char status[32];

		snprintf(status, sizeof(status), "status %ld", answer->status);
		end_with(call, kind, answer->status, "", status, advice);
	}
}

/* True when the clocks were apart and the request goes out once more. */
static bool correct_clock(struct sts_call *call, const struct http_answer *answer)
{
	int64_t now_s = ((int64_t)clock_wall_us() + *call->conf.skew_us) / (int64_t)US_PER_SEC;
	int64_t apart_s = (int64_t)answer->date_s - now_s;

	if (!call->signer.key_id || call->clock_corrected || !answer->date_s ||
	    (apart_s >= -SKEW_MOST_S && apart_s <= SKEW_MOST_S))
		return false;
	call->clock_corrected = true;
	*call->conf.skew_us += apart_s * (int64_t)US_PER_SEC;
	return send_it(call) == 0;
}

/* `found` borrows from the tree. */
static const char *read_credentials(const json_t *root, struct credentials *found)
{
	const json_t *of = json_object_get(root, "Credentials");
	const char *expiration = json_string_value(json_object_get(of, "Expiration"));

	found->key_id = (char *)json_string_value(json_object_get(of, "AccessKeyId"));
	found->secret = (char *)json_string_value(json_object_get(of, "SecretAccessKey"));
	found->token = (char *)json_string_value(json_object_get(of, "SessionToken"));
	if (!found->key_id || !found->secret || !found->token || !expiration)
		return "the answer has no whole credentials";
	if (!credentials_are_clean(found) ||
	    timestamp_parse(expiration, &found->expires_wall_us) < 0)
		return "the answer's credentials cannot be believed";
	return NULL;
}

static void accept_answer(struct sts_call *call, const struct http_answer *answer)
{
	struct credentials borrowed = {.provider = call->signer.key_id ? "assumed role"
								       : "web identity"};
	struct credentials found;
	const char *problem = "the answer is no XML that could be believed";
	json_t *root = NULL;
	int ret = answer_read(AWS_STS, action_of(call), answer->body, answer->size, &root);

	if (ret == 0) {
		problem = read_credentials(root, &borrowed);
		ret = problem ? -EPROTO : credentials_copy(&borrowed, &found);
	}
	secret_json_free(root);
	if (ret == -ENOMEM) {
		end_with(call, AWS_MEMORY, answer->status, "", "out of memory", "");
	} else if (ret < 0) {
		end_with(call, AWS_GARBAGE, answer->status, "", problem, "");
	} else {
		call->on_end(call->context, &found, NULL);
		call_free(call);
	}
}

static void on_answer(void *context, const struct http_answer *answer)
{
	struct sts_call *call = context;
	struct refusal refusal;

	call->insist = NULL;
	if (answer->err != AWS_OK) {
		end_with(call, answer->err, 0, "", answer->problem, "");
	} else if (answer->status == 200) {
		accept_answer(call, answer);
	} else if (!correct_clock(call, answer)) {
		answer_refusal(answer->body, answer->size, NULL, &refusal);
		refuse(call, answer, &refusal);
	}
}

/* Where the URL's host and path are; the path is "/" if it has none. */
static int set_url(struct sts_call *call)
{
	char *host, *path;
	int ret = endpoint_url(AWS_STS, call->region, call->conf.endpoint, call->conf.fips,
			       call->conf.dual_stack, call->url, URL_SIZE - 1);

	if (ret < 0)
		return ret;
	host = strstr(call->url, "://") + 3;
	strcat(call->url, "/");
	path = strchr(host, '/');
	snprintf(call->host, sizeof(call->host), "%.*s", (int)(path - host), host);
	call->path = path;
	return 0;
}

int sts_start(const struct sts_conf *conf, const struct sts_request *request,
	      struct sts_call **ret_call)
{
	struct sts_call *call = calloc(1, sizeof(*call));
	int ret = -ENOMEM;

	if (!call)
		return ret;
	call->conf = *conf;
	call->on_end = request->on_end;
	call->context = request->context;
	call->region = secret_copy(conf->region);
	call->role_arn = secret_copy(request->role_arn);
	call->form = make_form(request);
	if (!call->region || !call->role_arn || !call->form)
		goto fail;
	ret = request->signer ? credentials_copy(request->signer, &call->signer) : 0;
	if (ret == 0)
		ret = set_url(call);
	if (ret == 0)
		ret = send_it(call);
	if (ret < 0)
		goto fail;
	call->conf.region = call->conf.endpoint = NULL; /* borrowed until here */
	*ret_call = call;
	return 0;
fail:
	call_free(call);
	return ret;
}
