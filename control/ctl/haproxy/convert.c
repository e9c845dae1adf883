/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the order of things: pools are written before the listeners that lead to them, and all of
 * both before the first comment, since what is said about a line is known when everything that
 * inherits it has been converted. So each piece is kept until the end.
 *
 * Failure modes: nothing that could be carried, after which nothing is written.
 */
#include "control/ctl/haproxy/convert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/haproxy/haproxy.h"
#include "control/ctl/haproxy/notes.h"
#include "proxy/base/panic.h"

struct piece {
	const struct hap_section *section; /* whose notes stand in front of it; or NULL */
	enum hap_place place;
	const char *text;
};

struct conversion {
	struct hap *hap;
	struct piece *pieces;
	size_t piece_count;
	struct hap_names pools;
	struct hap_listeners listeners;
};

/* --- pieces --- */

struct sheet {
	struct hap_yaml yaml;
	char *text;
	size_t size;
};

static void open_sheet(struct sheet *sheet, unsigned depth)
{
	*sheet = (struct sheet){.yaml.depth = depth};
	sheet->yaml.out = open_memstream(&sheet->text, &sheet->size);
	if (!sheet->yaml.out)
		hap_out_of_memory();
}

static void close_sheet(struct conversion *conversion, struct sheet *sheet,
			const struct hap_section *section, enum hap_place place)
{
	struct hap_arena *arena = &conversion->hap->arena;

	if (fclose(sheet->yaml.out) != 0)
		hap_out_of_memory();
	conversion->pieces = hap_grow(arena, conversion->pieces, conversion->piece_count,
				      sizeof(*conversion->pieces));
	conversion->pieces[conversion->piece_count++] =
		(struct piece){section, place, hap_copy(arena, sheet->text, sheet->size)};
	free(sheet->text);
}

static void mark_used(struct hap_section *section)
{
	for (struct hap_section *at = section; at; at = at->parent)
		at->used = true;
}

/* --- sections --- */

static bool too_many(struct hap *hap, const struct hap_section *section, const char *list,
		     size_t count)
{
	if (count < schema_find(&schema_root, list)->max)
		return false;
	hap_note(hap, section->line, HAP_LOST, "left out: Sluice has no more %s", list);
	return true;
}

static void add_pool(struct conversion *conversion, struct hap_section *section)
{
	struct hap *hap = conversion->hap;
	struct sheet sheet;

	if (!section->server_count && section->kind == HAP_LISTEN && section->backend != section)
		return;
	if (too_many(hap, section, "pools", conversion->pools.count))
		return;
	open_sheet(&sheet, 1);
	if (!hap_write_pool(hap, section, &conversion->pools, &sheet.yaml))
		hap_note(hap, section->line, HAP_LOST, "left out: it has no target");
	else
		mark_used(section);
	close_sheet(conversion, &sheet, section, HAP_AT_POOL);
}

static void add_listeners(struct conversion *conversion, struct hap_section *section)
{
	struct hap *hap = conversion->hap;
	struct sheet sheet;

	if (too_many(hap, section, "listeners",
		     conversion->listeners.names.count + section->bind_count))
		return;
	open_sheet(&sheet, 1);
	conversion->listeners.yaml = &sheet.yaml;
	if (hap_write_listeners(&conversion->listeners, section))
		mark_used(section);
	close_sheet(conversion, &sheet, section,
		    section->kind == HAP_LISTEN ? HAP_AT_LISTENER : HAP_ANYWHERE);
}

/* One note for the whole of a section that is not Sluice's. */
static void leave_out(struct hap *hap, const struct hap_section *section)
{
	const char *why = "Sluice has nothing like it";
	bool lost = true;

	if (section->disabled) {
		why = "it is disabled";
		lost = false;
	} else if (section->kind != HAP_OTHER) {
		why = "Sluice carries mode tcp alone";
	} else if (strcmp(hap_word(section->line, 0), "program") != 0) {
		lost = false;
	}
	hap_notes_drop(hap, section);
	hap_note(hap, section->line, lost ? HAP_LOST : HAP_NOTE, "left out with its %u lines: %s",
		 section->lines, why);
}

static void convert_sections(struct conversion *conversion)
{
	struct hap *hap = conversion->hap;

	for (size_t i = 0; i < hap->section_count; i++)
		if (hap->sections[i]->kind >= HAP_FRONTEND && !hap_is_carried(hap->sections[i]))
			leave_out(hap, hap->sections[i]);
	for (size_t i = 0; i < hap->section_count; i++)
		if (hap_is_carried(hap->sections[i]) && hap->sections[i]->kind != HAP_FRONTEND)
			add_pool(conversion, hap->sections[i]);
	for (size_t i = 0; i < hap->section_count; i++)
		if (hap_is_carried(hap->sections[i]) && hap->sections[i]->kind != HAP_BACKEND)
			add_listeners(conversion, hap->sections[i]);
	for (size_t i = 0; i < hap->section_count; i++)
		if (hap->sections[i]->kind == HAP_DEFAULTS && !hap->sections[i]->used)
			hap_notes_drop(hap, hap->sections[i]);
}

/* --- printing --- */

static void print_head(const struct hap *hap, FILE *out)
{
	fprintf(out,
		"# From an haproxy.cfg, by sluicectl import-haproxy.\n"
		"# Not carried: %zu; notes: %zu. Each is below its line, where that would stand.\n"
		"# Otherwise than in HAProxy, both sides have keepalive probes, and data that "
		"stays\n"
		"# unacknowledged for 90 s ends a session; see `tcp:` to change that.\n",
		hap_notes_count(hap, HAP_LOST), hap_notes_count(hap, HAP_NOTE));
}

static void print_pieces(struct conversion *conversion, bool pools, FILE *out)
{
	fputs(pools ? "\npools:\n" : "\nlisteners:\n", out);
	for (size_t i = 0; i < conversion->piece_count; i++) {
		const struct piece *piece = &conversion->pieces[i];

		if ((piece->place == HAP_AT_POOL) != pools || !*piece->text || !piece->section)
			continue;
		enum hap_place place =
			piece->section->kind == HAP_LISTEN ? piece->place : HAP_ANYWHERE;

		hap_notes_print(conversion->hap, piece->section, place, "  ", out);
		fputs(piece->text, out);
	}
}

/* Notes on lines in front of every section, of global and of defaults. */
static void print_common_notes(struct hap *hap, FILE *out)
{
	hap_notes_print(hap, NULL, HAP_ANYWHERE, "", out);
	for (size_t i = 0; i < hap->section_count; i++)
		if (hap->sections[i]->kind <= HAP_DEFAULTS)
			hap_notes_print(hap, hap->sections[i], HAP_ANYWHERE, "", out);
}

static void print_rest(struct hap *hap, FILE *out)
{
	bool any = false;

	for (size_t i = 0; i < hap->note_count; i++)
		any = any || !hap->notes[i].told;
	if (any)
		fputs("\n# Of sections that are left out:\n", out);
	for (size_t i = 0; i < hap->section_count; i++)
		hap_notes_print(hap, hap->sections[i], HAP_ANYWHERE, "", out);
	if (hap->untold)
		fprintf(out, "# And %zu more.\n", hap->untold);
}

int hap_convert(struct hap *hap, FILE *out)
{
	struct conversion conversion = {.hap = hap, .listeners.hap = hap};
	struct sheet root;

	hap_link(hap);
	convert_sections(&conversion);
	if (!conversion.listeners.claim_count)
		return -ENOENT;
	open_sheet(&root, 0);
	hap_write_root(hap, &root.yaml);
	close_sheet(&conversion, &root, NULL, HAP_ANYWHERE);
	hap_notes_sort(hap);
	print_head(hap, out);
	print_common_notes(hap, out);
	fputs(conversion.pieces[conversion.piece_count - 1].text, out);
	print_pieces(&conversion, false, out);
	print_pieces(&conversion, true, out);
	print_rest(hap, out);
	return 0;
}
