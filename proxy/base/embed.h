/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that are part of the program, so that it can be copied about as one file.
 */
#pragma once

/* At file scope: `name` is a text with what the file (a path from the root) has. The assembler
 * takes it in, and a NUL behind it (gas manual, .incbin); the Makefile has to name the file beside
 * the object, because the compiler lists no dependency on it. */
#define EMBED(name, file)                                                                          \
	__asm__(".pushsection .rodata\n"                                                           \
		".global " #name "\n"                                                              \
		".type " #name ", %object\n" #name ":\n"                                           \
		".incbin \"" file "\"\n"                                                           \
		".byte 0\n"                                                                        \
		".size " #name ", . - " #name "\n"                                                 \
		".popsection\n");                                                                  \
	extern const char name[]
