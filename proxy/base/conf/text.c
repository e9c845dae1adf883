/* SPDX-License-Identifier: Apache-2.0
 *
 * Decodes one code point at a time. Failure modes: overlong forms, surrogates and cut sequences
 * are unclean, as are the characters that YAML 1.1 takes for line breaks.
 */
#include "proxy/base/conf/text.h"

int32_t text_next_code_point(const char **text)
{
	static const int32_t least[] = {0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)*text;
	int more = *p < 0x80 ? 0 : *p >> 5 == 6 ? 1 : *p >> 4 == 14 ? 2 : *p >> 3 == 30 ? 3 : -1;

	if (more < 0)
		return -1;
	int32_t code = more ? *p & (0x3f >> more) : *p;

	for (int i = 1; i <= more; i++) {
		if (p[i] >> 6 != 2)
			return -1;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < least[more])
		return -1;
	*text += more + 1;
	return code;
}

bool text_is_clean_code_point(int32_t code)
{
	if (code < 0x20 || (code >= 0x7f && code < 0xa0))
		return false;
	if (code == 0x2028 || code == 0x2029 || code == 0xfeff)
		return false;
	if ((code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
		return false;
	return code != 0xfffe && code != 0xffff;
}

bool text_is_clean(const char *text)
{
	while (*text)
		if (!text_is_clean_code_point(text_next_code_point(&text)))
			return false;
	return true;
}
