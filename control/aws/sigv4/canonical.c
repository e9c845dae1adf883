/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of a canonical request. Path and query come as they are sent and are brought into the
 * one form in which the service will see them too; headers are sorted, lowercased and trimmed.
 *
 * Failure modes: no memory; a header that could smuggle another one in.
 */
#include "control/aws/sigv4/canonical.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/secret.h"

struct parameter {
	char *name; /* encoded */
	char *value;
};

/* Segments that are not "", "." or ".."; a ".." takes the one before it away. */
static size_t split_path(char *path, char **segments)
{
	size_t count = 0;
	char *rest = NULL;

	for (char *part = strtok_r(path, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
		if (!strcmp(part, "."))
			continue;
		if (strcmp(part, ".."))
			segments[count++] = part;
		else if (count)
			count--;
	}
	return count;
}

static int add_normal_path(struct secret_text *out, const char *path)
{
	size_t size = strlen(path);
	char *copy = secret_copy(path);
	char **segments = calloc(size / 2 + 1, sizeof(*segments));
	size_t count;
	int ret = -ENOMEM;

	if (!copy || !segments)
		goto fail;
	count = split_path(copy, segments);
	secret_add_text(out, "/");
	for (size_t i = 0; i < count; i++) {
		secret_add_encoded(out, segments[i], strlen(segments[i]), "");
		if (i + 1 < count || path[size - 1] == '/')
			secret_add_text(out, "/");
	}
	ret = 0;
fail:
	free(segments);
	secret_free(copy);
	return ret;
}

int canonical_add_path(struct secret_text *out, const char *path, bool normalize)
{
	if (!path || !*path)
		path = "/";
	if (normalize)
		return add_normal_path(out, path);
	secret_add_encoded(out, path, strlen(path), "/");
	return 0;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As a service does it: decoded, then encoded in the one canonical way. */
static char *reencode(const char *bytes, size_t size)
{
	struct secret_text out = {.data = NULL};

	for (size_t i = 0; i < size; i++) {
		int high = i + 2 < size && bytes[i] == '%' ? digit_of(bytes[i + 1]) : -1;
		int low = high >= 0 ? digit_of(bytes[i + 2]) : -1;
		char c = low >= 0 ? (char)(high << 4 | low) : bytes[i];

		secret_add_encoded(&out, &c, 1, "");
		if (low >= 0)
			i += 2;
	}
	return secret_take(&out);
}

static int by_name_and_value(const void *left, const void *right)
{
	const struct parameter *a = left, *b = right;
	int order = strcmp(a->name, b->name);

	return order ? order : strcmp(a->value, b->value);
}

static int read_parameter(const char *text, size_t size, struct parameter *ret_parameter)
{
	const char *equals = memchr(text, '=', size);
	size_t name_size = equals ? (size_t)(equals - text) : size;

	ret_parameter->name = reencode(text, name_size);
	ret_parameter->value =
		equals ? reencode(equals + 1, size - name_size - 1) : reencode("", 0);
	return ret_parameter->name && ret_parameter->value ? 0 : -ENOMEM;
}

static int read_query(const char *query, struct parameter *parameters, size_t *ret_count)
{
	size_t count = 0;
	int ret = 0;

	for (const char *at = query; *at && ret == 0;) {
		size_t size = strcspn(at, "&");

		if (size)
			ret = read_parameter(at, size, &parameters[count++]);
		at += size + (at[size] == '&');
	}
	*ret_count = count;
	return ret;
}

int canonical_add_query(struct secret_text *out, const char *query)
{
	struct parameter *parameters;
	size_t count = 1;
	int ret;

	if (!query || !*query)
		return 0;
	for (const char *at = query; (at = strchr(at, '&')); at++)
		count++;
	parameters = calloc(count, sizeof(*parameters));
	if (!parameters)
		return -ENOMEM;
	ret = read_query(query, parameters, &count);
	if (ret == 0)
		qsort(parameters, count, sizeof(*parameters), by_name_and_value);
	for (size_t i = 0; i < count; i++) {
		if (ret == 0)
			secret_add_format(out, "%s%s=%s", i ? "&" : "", parameters[i].name,
					  parameters[i].value);
		secret_free(parameters[i].name);
		secret_free(parameters[i].value);
	}
	free(parameters);
	return ret;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static int compare_names(const char *a, const char *b)
{
	while (*a && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return (unsigned char)lower(*a) - (unsigned char)lower(*b);
}

/* Headers of one name keep their order, so the pointers into one array decide last. */
static int by_name_and_place(const void *left, const void *right)
{
	const struct sigv4_header *a = *(const struct sigv4_header *const *)left;
	const struct sigv4_header *b = *(const struct sigv4_header *const *)right;
	int order = compare_names(a->name, b->name);

	return order ? order : (a > b) - (a < b);
}

/* Lowercase it; only what RFC 9110 calls a token may be a name. */
static int add_name(struct secret_text *out, const char *name)
{
	if (!*name)
		return -EINVAL;
	for (; *name; name++) {
		char c = lower(*name);

		if (c <= ' ' || c >= 127 || strchr("\"(),/:;<=>?@[\\]{}", c))
			return -EINVAL;
		secret_add(out, &c, 1);
	}
	return 0;
}

/* Without blanks around it; one blank for several inside. */
static int add_value(struct secret_text *out, const char *value)
{
	bool blank = false, begun = false;

	for (; *value; value++) {
		if (*value == '\r' || *value == '\n')
			return -EINVAL;
		if (*value == ' ' || *value == '\t') {
			blank = true;
			continue;
		}
		if (blank && begun)
			secret_add_text(out, " ");
		secret_add(out, value, 1);
		begun = true;
		blank = false;
	}
	return 0;
}

static int add_sorted(struct secret_text *out, struct secret_text *names,
		      const struct sigv4_header *const *sorted, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool again = i && !compare_names(sorted[i - 1]->name, sorted[i]->name);
		int ret = 0;

		if (!again) {
			secret_add_text(names, i ? ";" : "");
			ret = add_name(names, sorted[i]->name);
			secret_add_text(out, i ? "\n" : "");
			ret = ret ? ret : add_name(out, sorted[i]->name);
		}
		secret_add_text(out, again ? "," : ":");
		ret = ret ? ret : add_value(out, sorted[i]->value);
		if (ret < 0)
			return ret;
	}
	secret_add_text(out, count ? "\n" : "");
	return 0;
}

int canonical_add_headers(struct secret_text *out, struct secret_text *names,
			  const struct sigv4_header *headers, size_t count)
{
	const struct sigv4_header **sorted = calloc(count ? count : 1, sizeof(*sorted));
	int ret;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		sorted[i] = &headers[i];
	qsort(sorted, count, sizeof(*sorted), by_name_and_place);
	ret = add_sorted(out, names, sorted, count);
	free(sorted);
	return ret;
}
