/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the files that are served as they are: the dashboard, and the description of the API. They
 * are part of the program, so that it can be copied about as one file. The dashboard gets a nonce
 * each time, without which a browser runs and fetches nothing for it. Failure modes: no memory, no
 * random numbers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "proxy/admin/desk.h"
#include "proxy/admin/handlers.h"
#include "proxy/base/embed.h"

EMBED(admin_page_dashboard, "proxy/admin/dashboard.html");
EMBED(admin_page_openapi, "proxy/admin/openapi.json");

/* What the page has in the places of the nonce. */
static const char placeholder[REQUEST_NONCE] = "00000000000000000000000000000000";

static bool make_nonce(char ret_nonce[static REQUEST_NONCE])
{
	uint64_t random[2];

	if (getrandom(random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		return false;
	snprintf(ret_nonce, REQUEST_NONCE, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
	return true;
}

void get_dashboard(struct desk *desk, struct request *request)
{
	char *text = NULL, *at;

	if (make_nonce(request->nonce))
		text = strdup(admin_page_dashboard);
	for (at = text; at && (at = strstr(at, placeholder)); at += REQUEST_NONCE - 1)
		memcpy(at, request->nonce, REQUEST_NONCE - 1);
	request_reply_text(request, "text/html; charset=utf-8", text);
}

void get_openapi(struct desk *desk, struct request *request)
{
	request_reply_text(request, "application/json", strdup(admin_page_openapi));
}
