/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the reading of a whole file: lines, sections, and who inherits from whom.
 *
 * Happy path: each line becomes words; the name of a section begins one, as a copy of the defaults
 * that it names behind `from` or that stand last before it; other lines go to whoever knows the
 * section's keywords.
 * Failure modes: a line that cannot be read, or that stands in no section or within `.if`, is noted
 * and left out.
 */
#include <ctype.h>
#include <string.h>

#include "control/ctl/haproxy/haproxy.h"
#include "control/ctl/haproxy/parse.h"

struct reader {
	struct hap *hap;
	const char *file;
	unsigned number;
	unsigned ifs; /* that are open */
	struct hap_section *section;
	struct hap_section *defaults; /* those that stand last */
};

static const struct {
	const char *name;
	enum hap_kind kind;
} kinds[] = {
	{"global", HAP_GLOBAL},     {"defaults", HAP_DEFAULTS}, {"frontend", HAP_FRONTEND},
	{"backend", HAP_BACKEND},   {"listen", HAP_LISTEN},     {"cache", HAP_OTHER},
	{"crt-store", HAP_OTHER},   {"fcgi-app", HAP_OTHER},    {"http-errors", HAP_OTHER},
	{"log-forward", HAP_OTHER}, {"mailers", HAP_OTHER},     {"peers", HAP_OTHER},
	{"program", HAP_OTHER},     {"resolvers", HAP_OTHER},   {"ring", HAP_OTHER},
	{"traces", HAP_OTHER},      {"userlist", HAP_OTHER},
};

static struct hap_section *find_defaults(const struct hap *hap, const char *name)
{
	for (size_t i = hap->section_count; i-- > 0;)
		if (hap->sections[i]->kind == HAP_DEFAULTS &&
		    strcmp(hap->sections[i]->name, name) == 0)
			return hap->sections[i];
	return NULL;
}

/* The word behind `from`, or NULL. */
static const char *find_from(const struct hap_line *line)
{
	for (unsigned i = 1; i + 1 < line->count; i++)
		if (strcmp(line->words[i], "from") == 0)
			return line->words[i + 1];
	return NULL;
}

static struct hap_section *parent_of(const struct reader *reader, enum hap_kind kind,
				     const struct hap_line *line)
{
	const char *from = find_from(line);

	if (kind == HAP_GLOBAL || kind == HAP_OTHER)
		return NULL;
	if (!from)
		return kind == HAP_DEFAULTS ? NULL : reader->defaults;
	struct hap_section *parent = find_defaults(reader->hap, from);

	if (!parent)
		hap_note(reader->hap, line, HAP_LOST, "there are no defaults \"%s\"", from);
	return parent;
}

static void begin_section(struct reader *reader, enum hap_kind kind, struct hap_line *line)
{
	struct hap *hap = reader->hap;
	struct hap_section *section = hap_alloc(&hap->arena, sizeof(*section));

	line->section = section;
	struct hap_section *parent = parent_of(reader, kind, line);
	bool named = line->count > 1 && strcmp(line->words[1], "from") != 0;

	if (parent)
		*section = *parent;
	section->kind = kind;
	section->name = named ? line->words[1] : "";
	section->line = line;
	section->lines = 1;
	section->parent = parent;
	section->disabled = false;
	if (kind == HAP_DEFAULTS)
		reader->defaults = section;
	reader->section = section;
	hap->sections =
		hap_grow(&hap->arena, hap->sections, hap->section_count, sizeof(*hap->sections));
	hap->sections[hap->section_count++] = section;
}

/* A section's name, or else what belongs into the one that is open. */
static void take_line(struct reader *reader, struct hap_line *line)
{
	struct hap_section *section = reader->section;

	for (size_t i = 0; i < HAP_COUNT(kinds); i++) {
		if (strcmp(line->words[0], kinds[i].name) == 0) {
			begin_section(reader, kinds[i].kind, line);
			return;
		}
	}
	if (!section) {
		hap_note(reader->hap, line, HAP_LOST, "it stands in no section");
		return;
	}
	section->lines++;
	if (section->kind == HAP_GLOBAL)
		hap_take_global(reader->hap, section, line);
	else if (section->kind != HAP_OTHER)
		hap_take_proxy(reader->hap, section, line);
}

/* `.if` and its kin; also the lines between, as whether they hold is not known here. */
static bool take_condition(struct reader *reader, const struct hap_line *line)
{
	const char *word = line->words[0];

	if (strcmp(word, ".if") == 0)
		reader->ifs++;
	else if (!reader->ifs && word[0] != '.')
		return false;
	hap_note(reader->hap, line, HAP_LOST,
		 "conditions are not evaluated, nor what depends on them");
	if (strcmp(word, ".endif") == 0 && reader->ifs)
		reader->ifs--;
	return true;
}

static const char *trim(struct hap_arena *arena, const char *text, size_t len)
{
	while (len && isspace((unsigned char)*text))
		text++, len--;
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	return hap_copy(arena, text, len);
}

static void read_line(struct reader *reader, const char *text, size_t len)
{
	struct hap *hap = reader->hap;
	struct hap_line *line = hap_alloc(&hap->arena, sizeof(*line));
	const char *why;

	*line = (struct hap_line){.file = reader->file,
				  .number = reader->number,
				  .raw = trim(&hap->arena, text, len),
				  .section = reader->section};
	if (memchr(text, '\0', len)) {
		hap_note(hap, line, HAP_LOST, "the line has a NUL in it");
		return;
	}
	if (hap_lex(&hap->arena, line->raw, line, &why) < 0) {
		hap_note(hap, line, HAP_LOST, "the line %s", why);
		return;
	}
	if (!line->count || take_condition(reader, line))
		return;
	take_line(reader, line);
	if (line->unset)
		hap_note(hap, line, HAP_LOST, "the variable %s is not set here", line->unset);
}

/* How many bytes belong to the line at `text`: one that ends in a backslash goes on in the next. */
static size_t line_len(const char *text, size_t size, unsigned *ret_lines)
{
	size_t len = 0;

	*ret_lines = 1;
	while (len < size) {
		const char *end = memchr(text + len, '\n', size - len);

		if (!end)
			return size;
		len = (size_t)(end - text);
		if (!len || text[len - 1] != '\\' || (len > 1 && text[len - 2] == '\\'))
			break;
		len++;
		(*ret_lines)++;
	}
	return len;
}

/* The same without the backslashes and newlines between its parts. */
static char *join(struct hap_arena *arena, const char *text, size_t *len)
{
	char *joined = hap_copy(arena, text, *len);
	size_t kept = 0;

	for (size_t i = 0; i < *len; i++) {
		if (joined[i] == '\n')
			joined[kept - 1] = ' ';
		else
			joined[kept++] = joined[i];
	}
	*len = kept;
	return joined;
}

void hap_read(struct hap *hap, const char *name, const char *bytes, size_t size)
{
	struct reader reader = {.hap = hap, .file = name, .number = 1};

	while (size) {
		unsigned lines;
		size_t len = line_len(bytes, size, &lines), part = len;
		const char *text = lines > 1 ? join(&hap->arena, bytes, &part) : bytes;

		read_line(&reader, text, part);
		len += len < size;
		bytes += len;
		size -= len;
		reader.number += lines;
	}
}

void hap_fini(struct hap *hap)
{
	hap_arena_fini(&hap->arena);
}
