/* SPDX-License-Identifier: Apache-2.0
 *
 * Signature Version 4: the canonical request, the string to sign, the signature.
 *
 * Happy path: the request in its canonical form (sigv4/canonical.h) is hashed, and the hash signed
 * with a key derived from the secret, the day, the region and the service. Failure modes: no
 * memory, a time that has no date, or a header that could smuggle another one in; whatever was
 * built until then is wiped.
 */
#include "control/aws/sigv4.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/aws/secret.h"
#include "control/aws/sigv4/canonical.h"

#define OWN_HEADERS 3 /* x-amz-date, x-amz-security-token, x-amz-content-sha256 */
#define DIGEST_SIZE 32

static void hex(const unsigned char digest[DIGEST_SIZE], char *ret_text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		ret_text[2 * i] = digits[digest[i] >> 4];
		ret_text[2 * i + 1] = digits[digest[i] & 15];
	}
	ret_text[2 * DIGEST_SIZE] = '\0';
}

/* `ret_text` has 65 bytes. */
static int sha256_hex(const void *bytes, size_t size, char *ret_text)
{
	unsigned char digest[DIGEST_SIZE];

	if (!EVP_Digest(bytes ? bytes : "", size, digest, NULL, EVP_sha256(), NULL))
		return -ENOMEM;
	hex(digest, ret_text);
	return 0;
}

static int hmac(EVP_MAC *mac, const void *key, size_t key_size, const char *text,
		unsigned char ret_digest[DIGEST_SIZE])
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
	size_t size;
	bool done;

	done = context && EVP_MAC_init(context, key, key_size, params) &&
	       EVP_MAC_update(context, (const unsigned char *)text, strlen(text)) &&
	       EVP_MAC_final(context, ret_digest, &size, DIGEST_SIZE);
	EVP_MAC_CTX_free(context);
	return done ? 0 : -ENOMEM;
}

/* The chain of keys: secret, day, region, service, "aws4_request". */
static int derive(EVP_MAC *mac, const struct sigv4_key *key, const char *day,
		  unsigned char ret_key[DIGEST_SIZE])
{
	const char *const steps[] = {key->region, key->service, "aws4_request"};
	struct secret_text first = {.data = NULL};
	char *secret;
	int ret;

	secret_add_text(&first, "AWS4");
	secret_add_text(&first, key->secret);
	secret = secret_take(&first);
	if (!secret)
		return -ENOMEM;
	ret = hmac(mac, secret, strlen(secret), day, ret_key);
	for (size_t i = 0; ret == 0 && i < sizeof(steps) / sizeof(steps[0]); i++) {
		unsigned char last[DIGEST_SIZE];

		memcpy(last, ret_key, DIGEST_SIZE);
		ret = hmac(mac, last, DIGEST_SIZE, steps[i], ret_key);
		OPENSSL_cleanse(last, DIGEST_SIZE);
	}
	secret_free(secret);
	return ret;
}

/* `ret_signature` has 65 bytes. */
static int sign_text(const struct sigv4_key *key, const char *day, const char *text,
		     char *ret_signature)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	unsigned char derived[DIGEST_SIZE], signature[DIGEST_SIZE];
	int ret = -ENOMEM;

	if (!mac)
		return ret;
	ret = derive(mac, key, day, derived);
	if (ret == 0)
		ret = hmac(mac, derived, DIGEST_SIZE, text, signature);
	if (ret == 0)
		hex(signature, ret_signature);
	OPENSSL_cleanse(derived, sizeof(derived));
	EVP_MAC_free(mac);
	return ret;
}

/* The request's headers and ours. `ret_headers` is the caller's to free. */
static int all_headers(const struct sigv4_request *request, const struct sigv4_key *key,
		       const struct sigv4_signed *sig, struct sigv4_header **ret_headers,
		       size_t *ret_count)
{
	size_t count = request->header_count;
	struct sigv4_header *headers = calloc(count + OWN_HEADERS, sizeof(*headers));

	if (!headers)
		return -ENOMEM;
	if (count)
		memcpy(headers, request->headers, count * sizeof(*headers));
	headers[count++] = (struct sigv4_header){"x-amz-date", sig->date};
	if (key->token)
		headers[count++] = (struct sigv4_header){"x-amz-security-token", key->token};
	if (request->sign_body_header)
		headers[count++] =
			(struct sigv4_header){"x-amz-content-sha256", sig->content_sha256};
	*ret_headers = headers;
	*ret_count = count;
	return 0;
}

/* Fills sig->canonical; `names` learns which headers are signed. */
static int canonicalize(const struct sigv4_request *request, const struct sigv4_key *key,
			struct sigv4_signed *sig, struct secret_text *names)
{
	struct secret_text out = {.data = NULL};
	struct sigv4_header *headers = NULL;
	size_t count;
	int ret = all_headers(request, key, sig, &headers, &count);

	if (ret < 0)
		return ret;
	secret_add_format(&out, "%s\n", request->method);
	ret = canonical_add_path(&out, request->path, request->normalize_path);
	secret_add_text(&out, "\n");
	if (ret == 0)
		ret = canonical_add_query(&out, request->query);
	secret_add_text(&out, "\n");
	if (ret == 0)
		ret = canonical_add_headers(&out, names, headers, count);
	free(headers);
	if (ret < 0 || names->failed) {
		secret_discard(&out);
		return ret < 0 ? ret : -ENOMEM;
	}
	secret_add_text(&out, "\n");
	secret_add(&out, names->data, names->size);
	secret_add_format(&out, "\n%s", sig->content_sha256);
	sig->canonical = secret_take(&out);
	return sig->canonical ? 0 : -ENOMEM;
}

/* Everything after the canonical request. */
static int authorize(const struct sigv4_key *key, const char *names, struct sigv4_signed *sig)
{
	struct secret_text scope = {.data = NULL}, out = {.data = NULL};
	char digest[65], signature[65], day[9];
	char *scope_text;
	int ret;

	memcpy(day, sig->date, 8);
	day[8] = '\0';
	secret_add_format(&scope, "%s/%s/%s/aws4_request", day, key->region, key->service);
	scope_text = secret_take(&scope);
	ret = scope_text ? sha256_hex(sig->canonical, strlen(sig->canonical), digest) : -ENOMEM;
	if (ret < 0)
		goto fail;
	secret_add_format(&out, "AWS4-HMAC-SHA256\n%s\n%s\n%s", sig->date, scope_text, digest);
	sig->string_to_sign = secret_take(&out);
	ret = sig->string_to_sign ? sign_text(key, day, sig->string_to_sign, signature) : -ENOMEM;
	if (ret < 0)
		goto fail;
	secret_add_format(&out, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
			  key->key_id, scope_text, names, signature);
	sig->authorization = secret_take(&out);
	ret = sig->authorization ? 0 : -ENOMEM;
fail:
	secret_free(scope_text);
	return ret;
}

static int format_date(uint64_t time_s, char ret_date[17])
{
	time_t time = (time_t)time_s;
	struct tm tm;

	if (!gmtime_r(&time, &tm) || strftime(ret_date, 17, "%Y%m%dT%H%M%SZ", &tm) != 16)
		return -EINVAL;
	return 0;
}

int sigv4_sign(const struct sigv4_request *request, const struct sigv4_key *key,
	       struct sigv4_signed *ret_signed)
{
	struct sigv4_signed sig = {.canonical = NULL};
	struct secret_text names = {.data = NULL};
	char *signed_names = NULL;
	int ret = format_date(key->time_s, sig.date);

	if (ret == 0)
		ret = sha256_hex(request->body, request->body_size, sig.content_sha256);
	if (ret == 0)
		ret = canonicalize(request, key, &sig, &names);
	if (ret < 0)
		goto fail;
	signed_names = secret_take(&names);
	ret = signed_names ? authorize(key, signed_names, &sig) : -ENOMEM;
fail:
	secret_discard(&names);
	secret_free(signed_names);
	if (ret == 0)
		*ret_signed = sig;
	else
		sigv4_signed_fini(&sig);
	return ret;
}

void sigv4_signed_fini(struct sigv4_signed *sig)
{
	secret_free(sig->canonical);
	secret_free(sig->string_to_sign);
	secret_free(sig->authorization);
	OPENSSL_cleanse(sig, sizeof(*sig));
}
