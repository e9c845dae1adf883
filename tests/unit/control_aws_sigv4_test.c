/* SPDX-License-Identifier: Apache-2.0
 *
 * Signature Version 4 against both public sets of vectors (tests/aws/vectors), stage by stage:
 * canonical request, string to sign, authorization. And what vectors don't say.
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>

#include "control/aws/secret.h"
#include "control/aws/sigv4.h"
#include "tests/unit/conf_rig.h"

#define VECTORS   "tests/aws/vectors/"
#define KEY_ID    "AKIDEXAMPLE"
#define SECRET    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define TIME      UINT64_C(1440938160) /* 2015-08-30T12:36:00Z */
#define MAX_LINES 20

/* A request as it stands in a file; everything points into `text`. */
struct raw {
	char *text;
	struct sigv4_request request;
	struct sigv4_header headers[MAX_LINES];
};

/* The whole file, without carriage returns; the caller frees. NULL if there is none. */
static char *read_file(const char *folder, const char *name)
{
	char path[512], *text = calloc(1, 65536);
	size_t size = 0, kept = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "r");
	if (file) {
		size = fread(text, 1, 65535, file);
		fclose(file);
	}
	for (size_t i = 0; i < size; i++)
		if (text[i] != '\r')
			text[kept++] = text[i];
	text[kept] = '\0';
	if (file)
		return text;
	free(text);
	return NULL;
}

/* A line that begins with a blank goes on with the one before: one line with blanks. */
static void unfold(char *head)
{
	for (char *at = head; (at = strstr(at, "\n ")); at++)
		*at = ' ';
}

static void read_headers(struct raw *raw, char *lines)
{
	char *rest = NULL;

	for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *colon = strchr(line, ':');

		ck_assert_ptr_nonnull(colon);
		*colon = '\0';
		if (!strcasecmp(line, "x-amz-date")) /* sigv4_sign() adds it */
			continue;
		ck_assert_uint_lt(raw->request.header_count, MAX_LINES);
		raw->headers[raw->request.header_count++] = (struct sigv4_header){line, colon + 1};
	}
}

static void read_request(const char *folder, const char *name, struct raw *raw)
{
	char *head, *path, *version, *query, *body;

	memset(raw, 0, sizeof(*raw));
	head = raw->text = read_file(folder, name);
	ck_assert_msg(head != NULL, "%s/%s", folder, name);
	body = strstr(head, "\n\n");
	if (body) {
		*body = '\0';
		raw->request.body = body + 2;
		raw->request.body_size = strlen(body + 2);
	}
	unfold(head);
	path = strchr(head, ' ');
	version = strstr(head, " HTTP/1.1");
	ck_assert(path && version);
	*path++ = *version = '\0';
	query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	raw->request.method = head;
	raw->request.path = path;
	raw->request.query = query;
	raw->request.headers = raw->headers;
	read_headers(raw, version + strlen(" HTTP/1.1"));
}

static void expect_file(const char *folder, const char *name, const char *got)
{
	char *want = read_file(folder, name);

	ck_assert_msg(want != NULL, "%s/%s", folder, name);
	ck_assert_msg(!strcmp(want, got), "%s/%s:\n%s\n--- but got\n%s", folder, name, want, got);
	free(want);
}

/* Every folder below `set` to `check`; how many there were. */
static unsigned each_vector(const char *set, void (*check)(const char *folder))
{
	DIR *dir = opendir(set);
	struct dirent *entry;
	unsigned count = 0;

	ck_assert_msg(dir != NULL, "%s: run this from the top of the tree", set);
	while ((entry = readdir(dir))) {
		char folder[512];

		if (entry->d_name[0] == '.' || entry->d_type == DT_REG)
			continue;
		snprintf(folder, sizeof(folder), "%s%s", set, entry->d_name);
		check(folder);
		count++;
	}
	closedir(dir);
	return count;
}

static void check_aws_c_auth(const char *folder)
{
	char *text = read_file(folder, "context.json");
	json_t *context = json_loads(text, 0, NULL);
	json_t *credentials = json_object_get(context, "credentials");
	const char *token = json_string_value(json_object_get(credentials, "token"));
	struct sigv4_key key = {KEY_ID, SECRET, token, "us-east-1", "service", TIME};
	struct sigv4_signed sig;
	struct raw raw;

	ck_assert_str_eq(json_string_value(json_object_get(credentials, "secret_access_key")),
			 SECRET);
	if (json_is_true(json_object_get(context, "omit_session_token")))
		key.token = NULL;
	read_request(folder, "request.txt", &raw);
	raw.request.normalize_path = json_is_true(json_object_get(context, "normalize"));
	raw.request.sign_body_header = json_is_true(json_object_get(context, "sign_body"));
	ck_assert_int_eq(sigv4_sign(&raw.request, &key, &sig), 0);
	expect_file(folder, "header-canonical-request.txt", sig.canonical);
	expect_file(folder, "header-string-to-sign.txt", sig.string_to_sign);
	expect_file(folder, "header-signature.txt",
		    strstr(sig.authorization, "Signature=") + strlen("Signature="));
	sigv4_signed_fini(&sig);
	free(raw.text);
	json_decref(context);
	free(text);
}

START_TEST(all_38_vectors_of_aws_c_auth_are_met_at_every_stage)
{
	ck_assert_uint_eq(each_vector(VECTORS "aws-c-auth/", check_aws_c_auth), 38);
}
END_TEST

/* This set tells the session token by the canonical request alone. */
static void check_botocore(const char *folder)
{
	static const char name[] = "\nx-amz-security-token:";
	char *canonical = read_file(folder, "request.creq");
	char *token = strstr(canonical, name);
	struct sigv4_key key = {KEY_ID, SECRET, NULL, "us-east-1", "service", TIME};
	struct sigv4_signed sig;
	struct raw raw;

	read_request(folder, "request.req", &raw);
	for (size_t i = 0; i < raw.request.header_count; i++)
		if (!strcasecmp(raw.headers[i].name, "x-amz-security-token"))
			token = NULL; /* is among the headers already */
	if (token) {
		key.token = token + strlen(name);
		token[strlen(name) + strcspn(key.token, "\n")] = '\0';
	}
	raw.request.normalize_path = true;
	ck_assert_int_eq(sigv4_sign(&raw.request, &key, &sig), 0);
	expect_file(folder, "request.creq", sig.canonical);
	expect_file(folder, "request.sts", sig.string_to_sign);
	expect_file(folder, "request.authz", sig.authorization);
	sigv4_signed_fini(&sig);
	free(raw.text);
	free(canonical);
}

START_TEST(all_34_vectors_of_botocore_are_met_at_every_stage)
{
	ck_assert_uint_eq(each_vector(VECTORS "botocore/", check_botocore), 34);
}
END_TEST

static int sign_header(const char *name, const char *value)
{
	struct sigv4_header header = {name, value};
	struct sigv4_request request = {
		.method = "GET", .path = "/", .headers = &header, .header_count = 1};
	struct sigv4_key key = {KEY_ID, SECRET, NULL, "us-east-1", "service", TIME};
	struct sigv4_signed sig;
	int ret = sigv4_sign(&request, &key, &sig);

	if (ret == 0)
		sigv4_signed_fini(&sig);
	return ret;
}

START_TEST(a_header_that_could_carry_another_is_refused)
{
	ck_assert_int_eq(sign_header("a", "b"), 0);
	ck_assert_int_eq(sign_header("a", "b\nx: y"), -EINVAL);
	ck_assert_int_eq(sign_header("a", "b\r"), -EINVAL);
	ck_assert_int_eq(sign_header("a: b\nc", "d"), -EINVAL);
	ck_assert_int_eq(sign_header("a b", "d"), -EINVAL);
	ck_assert_int_eq(sign_header("", "d"), -EINVAL);
}
END_TEST

START_TEST(a_time_beyond_four_digit_years_is_refused)
{
	struct sigv4_request request = {.method = "GET", .path = "/"};
	struct sigv4_key key = {KEY_ID, SECRET, NULL, "us-east-1", "service", UINT64_MAX / 2};
	struct sigv4_signed sig;

	ck_assert_int_eq(sigv4_sign(&request, &key, &sig), -EINVAL);
}
END_TEST

/* The canonical query of `query`; the caller frees. */
static char *canonical_query(const char *query)
{
	struct sigv4_request request = {.method = "GET", .path = "/", .query = query};
	struct sigv4_key key = {KEY_ID, SECRET, NULL, "us-east-1", "service", TIME};
	struct sigv4_signed sig;
	char *line;

	ck_assert_int_eq(sigv4_sign(&request, &key, &sig), 0);
	line = strchr(strchr(sig.canonical, '\n') + 1, '\n') + 1;
	line = secret_cut(line, strcspn(line, "\n"));
	sigv4_signed_fini(&sig);
	return line;
}

START_TEST(a_query_is_encoded_one_way_however_it_was_sent)
{
	static const char *const pairs[][2] = {
		{"a=%7e%2f%41", "a=~%2FA"},
		{"b&a", "a=&b="},
		{"a=b=c", "a=b%3Dc"},
		{"a=%4", "a=%254"},
		{"a=%zz", "a=%25zz"},
		{"&&a=1&", "a=1"},
		{"a=%2F&a=%2f", "a=%2F&a=%2F"},
		{"a-b=1&a=2", "a=2&a-b=1"},
		{"", ""},
	};

	for (size_t i = 0; i < COUNT(pairs); i++) {
		char *got = canonical_query(pairs[i][0]);

		ck_assert_str_eq(got, pairs[i][1]);
		free(got);
	}
}
END_TEST

START_TEST(a_text_grows_past_its_first_piece_of_memory)
{
	struct secret_text text = {.data = NULL};
	char *taken;

	for (unsigned i = 0; i < 1000; i++)
		secret_add_format(&text, "%03u", i);
	taken = secret_take(&text);
	ck_assert_uint_eq(strlen(taken), 3000);
	ck_assert_int_eq(memcmp(taken + 2997, "999", 4), 0);
	ck_assert_ptr_null(text.data);
	secret_free(taken);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		all_38_vectors_of_aws_c_auth_are_met_at_every_stage,
		all_34_vectors_of_botocore_are_met_at_every_stage,
		a_header_that_could_carry_another_is_refused,
		a_time_beyond_four_digit_years_is_refused,
		a_query_is_encoded_one_way_however_it_was_sent,
		a_text_grows_past_its_first_piece_of_memory,
	};

	return run_tests("sigv4", tests, COUNT(tests));
}
