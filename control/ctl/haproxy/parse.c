/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of keywords and parameters, and their simple values. See parse.h.
 *
 * Failure modes: a value that is no number or time, or is missing, is noted and the setting stays
 * as it was; so is a word that no row has.
 */
#include "control/ctl/haproxy/parse.h"

#include <string.h>

#include "control/ctl/haproxy/quantity.h"

static bool is_called(const char *word, const char *name)
{
	size_t len = strlen(name);

	if (len && name[len - 1] == '*')
		return strncmp(word, name, len - 1) == 0;
	return strcmp(word, name) == 0;
}

bool hap_take_keyword(struct hap *hap, struct hap_section *section, const struct hap_line *line,
		      unsigned i, const struct hap_keyword *keywords, size_t count)
{
	for (const struct hap_keyword *row = keywords; row < keywords + count; row++) {
		if (!is_called(hap_word(line, i), row->name))
			continue;
		if (row->take)
			row->take(hap, section, line);
		else
			hap_note(hap, line, row->level, "%s", row->why);
		return true;
	}
	return false;
}

bool hap_take_time(struct hap *hap, const struct hap_line *line, unsigned i, uint64_t unit_ms,
		   struct hap_value *value)
{
	uint64_t ms;

	if (hap_time(hap_word(line, i), unit_ms, &ms) < 0) {
		hap_note(hap, line, HAP_LOST, "\"%s\" is no time", hap_word(line, i));
		return false;
	}
	*value = (struct hap_value){ms, line};
	return true;
}

bool hap_take_number(struct hap *hap, const struct hap_line *line, unsigned i,
		     struct hap_value *value)
{
	uint64_t number;

	if (hap_number(hap_word(line, i), &number) < 0) {
		hap_note(hap, line, HAP_LOST, "\"%s\" is no number", hap_word(line, i));
		return false;
	}
	*value = (struct hap_value){number, line};
	return true;
}

static unsigned words_of(const struct hap_param *param)
{
	switch (param->kind) {
	case HAP_PARAM_TRUE:
	case HAP_PARAM_FALSE:
		return 1;
	case HAP_PARAM_NUMBER:
	case HAP_PARAM_TIME:
	case HAP_PARAM_WORD:
	case HAP_PARAM_TEXT:
		return 2;
	default:
		return 1 + param->args;
	}
}

static void take_param(struct hap *hap, const struct hap_line *line, unsigned i, void *object,
		       const struct hap_param *param)
{
	void *field = (char *)object + param->offset;

	if (param->kind == HAP_PARAM_TRUE || param->kind == HAP_PARAM_FALSE)
		*(bool *)field = param->kind == HAP_PARAM_TRUE;
	else if (param->kind == HAP_PARAM_NUMBER)
		hap_take_number(hap, line, i + 1, field);
	else if (param->kind == HAP_PARAM_TIME)
		hap_take_time(hap, line, i + 1, 1, field);
	else if (param->kind == HAP_PARAM_WORD)
		*(const char **)field = hap_word(line, i + 1);
	else if (param->kind == HAP_PARAM_TEXT)
		*(struct hap_text *)field = (struct hap_text){hap_word(line, i + 1), line};
	else if (param->kind == HAP_PARAM_CALL)
		param->call(hap, line, i, object);
	else if (param->kind != HAP_PARAM_SKIP)
		hap_note(hap, line, param->kind == HAP_PARAM_NOTE ? HAP_NOTE : HAP_LOST,
			 "\"%s\": %s", param->name, param->why);
}

void hap_take_params(struct hap *hap, const struct hap_line *line, unsigned i, void *object,
		     const struct hap_param *params, size_t count)
{
	while (i < line->count) {
		const struct hap_param *param = params;

		while (param < params + count && strcmp(param->name, line->words[i]) != 0)
			param++;
		if (param == params + count) {
			hap_note(hap, line, HAP_LOST, "\"%s\" is not known here", line->words[i]);
			i++;
			continue;
		}
		take_param(hap, line, i, object, param);
		i += words_of(param);
	}
}
