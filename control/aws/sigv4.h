/* SPDX-License-Identifier: Apache-2.0
 *
 * AWS Signature Version 4 (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-
 * request.html), on OpenSSL's EVP_MAC. Pure: no clock, no I/O.
 *
 * Every stage can be had alone, because the public test vectors know every stage.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sigv4_header {
	const char *name;
	const char *value;
};

struct sigv4_request {
	const char *method;
	const char *path;                   /* as sent, percent-encoded; "" means "/" */
	const char *query;                  /* as sent, without '?'; NULL: none */
	const struct sigv4_header *headers; /* all are signed, Host included */
	size_t header_count;
	const void *body;
	size_t body_size;
	bool normalize_path;   /* remove ".", ".." and doubled slashes: all services but S3 */
	bool sign_body_header; /* add x-amz-content-sha256 */
};

struct sigv4_key {
	const char *key_id;
	const char *secret;
	const char *token; /* NULL: none; becomes x-amz-security-token, signed */
	const char *region;
	const char *service;
	uint64_t time_s; /* since the epoch, already corrected */
};

/* Each is the caller's to free(); all zeroed by sigv4_signed_fini(). */
struct sigv4_signed {
	char *canonical; /* the canonical request */
	char *string_to_sign;
	char *authorization; /* the header's value */
	char date[17];       /* of x-amz-date: 20150830T123600Z */
	char content_sha256[65];
};

/* `request->headers` must not have x-amz-date, x-amz-security-token or authorization: they are
 * added, and signed as far as they are. 0, -ENOMEM, or -EINVAL (a header with a line break). */
int sigv4_sign(const struct sigv4_request *request, const struct sigv4_key *key,
	       struct sigv4_signed *ret_signed);
void sigv4_signed_fini(struct sigv4_signed *sig); /* secrets are wiped */
