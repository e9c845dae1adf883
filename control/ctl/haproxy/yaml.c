/* SPDX-License-Identifier: Apache-2.0
 *
 * See yaml.h. Quoting is that of node_print(), which writes what --check --show prints.
 */
#include "control/ctl/haproxy/yaml.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "proxy/base/conf/text.h"
#include "proxy/base/conf/tree.h"
#include "proxy/base/panic.h"

#define BYTES_MAX 4096

static void begin_line(struct hap_yaml *yaml)
{
	if (yaml->dash)
		fprintf(yaml->out, "%*s- ", (int)(yaml->depth - 1) * 2, "");
	else
		fprintf(yaml->out, "%*s", (int)yaml->depth * 2, "");
	yaml->dash = 0;
}

void hap_yaml_open(struct hap_yaml *yaml, const char *key)
{
	begin_line(yaml);
	fprintf(yaml->out, "%s:\n", key);
	yaml->depth++;
}

void hap_yaml_close(struct hap_yaml *yaml)
{
	must(yaml->depth);
	yaml->depth--;
}

void hap_yaml_item(struct hap_yaml *yaml)
{
	yaml->depth++;
	yaml->dash = 1;
}

void hap_yaml_item_end(struct hap_yaml *yaml)
{
	hap_yaml_close(yaml);
}

void hap_yaml_text(struct hap_yaml *yaml, const char *key, const char *text)
{
	must(text_is_clean(text));
	begin_line(yaml);
	fprintf(yaml->out, "%s: ", key);
	node_print_text(text, yaml->out);
	fputc('\n', yaml->out);
}

void hap_yaml_entry(struct hap_yaml *yaml, const char *text)
{
	must(text_is_clean(text));
	fprintf(yaml->out, "%*s- ", (int)yaml->depth * 2, "");
	node_print_text(text, yaml->out);
	fputc('\n', yaml->out);
}

void hap_yaml_number(struct hap_yaml *yaml, const char *key, uint64_t number)
{
	begin_line(yaml);
	fprintf(yaml->out, "%s: %" PRIu64 "\n", key, number);
}

void hap_yaml_percent(struct hap_yaml *yaml, const char *key, uint64_t percent)
{
	begin_line(yaml);
	fprintf(yaml->out, "%s: %" PRIu64 "%%\n", key, percent);
}

void hap_yaml_time(struct hap_yaml *yaml, const char *key, uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *name;
	} units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
	size_t unit = 0;

	begin_line(yaml);
	if (!ms) {
		fprintf(yaml->out, "%s: 0\n", key);
		return;
	}
	while (ms % units[unit].ms)
		unit++;
	fprintf(yaml->out, "%s: %" PRIu64 "%s\n", key, ms / units[unit].ms, units[unit].name);
}

static bool is_text(const uint8_t *bytes, size_t count, char *buf)
{
	if (memchr(bytes, '\0', count))
		return false;
	memcpy(buf, bytes, count);
	buf[count] = '\0';
	return strncmp(buf, "hex:", 4) != 0 && text_is_clean(buf);
}

void hap_yaml_bytes(struct hap_yaml *yaml, const char *key, const uint8_t *bytes, size_t count)
{
	char buf[BYTES_MAX + 1];

	must(count <= BYTES_MAX);
	if (is_text(bytes, count, buf)) {
		hap_yaml_text(yaml, key, buf);
		return;
	}
	begin_line(yaml);
	fprintf(yaml->out, "%s: hex:", key);
	for (size_t i = 0; i < count; i++)
		fprintf(yaml->out, "%02x", bytes[i]);
	fputc('\n', yaml->out);
}
