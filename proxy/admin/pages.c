/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the files that are served as they are: the dashboard, and the description of the API. They
 * are part of the program, so that it can be copied about as one file. Failure mode: no memory.
 */
#include <string.h>

#include "proxy/admin/desk.h"
#include "proxy/admin/handlers.h"

/* The assembler takes the file in, and a NUL behind it (gas manual, .incbin). */
#define EMBED(name, file)                                                                          \
	__asm__(".pushsection .rodata\n"                                                           \
		".global " #name "\n"                                                              \
		".type " #name ", %object\n" #name ":\n"                                           \
		".incbin \"" file "\"\n"                                                           \
		".byte 0\n"                                                                        \
		".size " #name ", . - " #name "\n"                                                 \
		".popsection\n");                                                                  \
	extern const char name[]

EMBED(admin_page_dashboard, "proxy/admin/dashboard.html");
EMBED(admin_page_openapi, "proxy/admin/openapi.json");

void get_dashboard(struct desk *desk, struct admin_request *request)
{
	request_reply_text(request, "text/html; charset=utf-8", strdup(admin_page_dashboard));
}

void get_openapi(struct desk *desk, struct admin_request *request)
{
	request_reply_text(request, "application/json", strdup(admin_page_openapi));
}
