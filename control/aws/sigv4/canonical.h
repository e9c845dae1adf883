/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of Signature Version 4's canonical request, each appended to a text that may hold a
 * secret (a session token is a header). 0, -ENOMEM, or -EINVAL for a header that cannot be one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "control/aws/sigv4.h"

struct secret_text;

/* `path` as sent; encoded once more, as all services but S3 expect it. */
int canonical_add_path(struct secret_text *out, const char *path, bool normalize);

/* `query` as sent, or NULL; sorted by name and value. */
int canonical_add_query(struct secret_text *out, const char *query);

/* One line each in `out`; in `names` what was signed: "host;x-amz-date". */
int canonical_add_headers(struct secret_text *out, struct secret_text *names,
			  const struct sigv4_header *headers, size_t count);
