/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines and columns are counted anew, since only failures come here. See yaml_places.h; there is
 * nothing that could fail.
 */
#include "proxy/base/conf/yaml_places.h"

#include <string.h>

struct conf_where yaml_place_of_byte(const char *source, const unsigned char *bytes, size_t size,
				     size_t offset)
{
	struct conf_where where = {source, 1, 1};

	for (size_t i = 0; i < offset && i < size; i++) {
		if (bytes[i] == '\n') {
			where.line++;
			where.column = 1;
		} else if ((bytes[i] & 0xc0) != 0x80) {
			where.column++;
		}
	}
	return where;
}

const char *yaml_hint_on(const unsigned char *bytes, size_t size, size_t line)
{
	const char *p = (const char *)bytes;
	const char *end = p + size;

	while (line-- > 0 && p) {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return "";
	const char *newline = memchr(p, '\n', (size_t)(end - p));

	if (newline)
		end = newline;
	if (memmem(p, (size_t)(end - p), "]:", 2))
		return "; an address in brackets needs quotes, as in \"[::]:443\"";
	while (p < end && *p == ' ')
		p++;
	return p < end && *p == '\t' ? "; YAML is indented by spaces, and here is a tab" : "";
}
