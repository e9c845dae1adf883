/* SPDX-License-Identifier: Apache-2.0
 *
 * Findings, sorted by place as they arrive. See errors.h for the happy path and failure modes.
 */
#include "proxy/base/conf/errors.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void findings_fini(struct conf_findings *findings)
{
	for (size_t i = 0; i < findings->kept_count; i++)
		free(findings->kept[i].text);
	memset(findings, 0, sizeof(*findings));
}

void conf_errors_fini(struct conf_errors *errors)
{
	findings_fini(&errors->errors);
	findings_fini(&errors->warnings);
}

__attribute__((format(printf, 3, 0))) static char *
finding_text(const struct conf_where *where, const char *severity, const char *format, va_list args)
{
	char *message, *text = NULL;

	if (vasprintf(&message, format, args) < 0)
		return NULL;
	int length = where->line ? asprintf(&text, "%s:%u:%u: %s%s", where->source, where->line,
					    where->column, severity, message)
				 : asprintf(&text, "%s: %s%s", where->source ? where->source : "-",
					    severity, message);
	free(message);
	return length < 0 ? NULL : text;
}

static bool finding_after(const struct conf_finding *finding, const struct conf_where *where)
{
	return finding->line != where->line ? finding->line > where->line
					    : finding->column > where->column;
}

static bool findings_have(const struct conf_findings *findings, const char *text)
{
	for (size_t i = 0; i < findings->kept_count; i++)
		if (strcmp(findings->kept[i].text, text) == 0)
			return true;
	return false;
}

/* Takes `text`, which may be NULL when there was no memory for it. */
static void findings_add(struct conf_findings *findings, const struct conf_where *where, char *text)
{
	size_t at = findings->kept_count;

	if (text && findings_have(findings, text)) {
		free(text);
		return;
	}
	findings->count++;
	if (!text || findings->kept_count == CONF_ERRORS_KEPT) {
		free(text);
		return;
	}
	while (at > 0 && finding_after(&findings->kept[at - 1], where))
		at--;
	memmove(&findings->kept[at + 1], &findings->kept[at],
		(findings->kept_count - at) * sizeof(findings->kept[0]));
	findings->kept[at] = (struct conf_finding){where->line, where->column, text};
	findings->kept_count++;
}

void conf_error(struct conf_errors *errors, const struct conf_where *where, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	findings_add(&errors->errors, where, finding_text(where, "", format, args));
	va_end(args);
}

void conf_warn(struct conf_errors *errors, const struct conf_where *where, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	findings_add(&errors->warnings, where, finding_text(where, "warning: ", format, args));
	va_end(args);
}

bool conf_failed(const struct conf_errors *errors)
{
	return errors->errors.count > 0;
}

const char *conf_error_text(const struct conf_errors *errors, size_t i)
{
	return i < errors->errors.kept_count ? errors->errors.kept[i].text : NULL;
}

const char *conf_warning_text(const struct conf_errors *errors, size_t i)
{
	return i < errors->warnings.kept_count ? errors->warnings.kept[i].text : NULL;
}

static void findings_print(const struct conf_findings *findings, const char *noun, FILE *out)
{
	size_t more = findings->count - findings->kept_count;

	for (size_t i = 0; i < findings->kept_count; i++)
		fprintf(out, "%s\n", findings->kept[i].text);
	if (more)
		fprintf(out, "and %zu more %s%s\n", more, noun, more == 1 ? "" : "s");
}

void conf_errors_print(const struct conf_errors *errors, FILE *out)
{
	findings_print(&errors->errors, "error", out);
	findings_print(&errors->warnings, "warning", out);
}
