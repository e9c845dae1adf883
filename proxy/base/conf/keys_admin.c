/* SPDX-License-Identifier: Apache-2.0
 *
 * The table's rows for `admin:`. The flag of `http` is also that of `socket`: proxy/options/ tells
 * them apart by the value.
 */
#include "proxy/base/conf/keys.h"

static const struct schema_key admin_keys[] = {
	{.name = "socket",
	 .kind = SCHEMA_SOCKET,
	 .max = 255,
	 .doc = "a Unix socket, where everything can be asked and changed"},
	{.name = "mode",
	 .kind = SCHEMA_MODE,
	 .fallback = "0660",
	 .max = 0777,
	 .doc = "of the socket's file"},
	{.name = "http",
	 .kind = SCHEMA_TCP,
	 .max = 255,
	 .doc = "where figures and the dashboard can be read over TCP",
	 .flag = "--admin",
	 .variable = "SLUICE_ADMIN",
	 .metavar = "ADDR"},
	{.name = "probe",
	 .kind = SCHEMA_TCP,
	 .max = 255,
	 .doc = "where balancers ask /healthz and /readyz, and nothing else is answered"},
};
const struct schema_map schema_admin = {
	.noun = "admin part", .keys = admin_keys, .count = ARRAY_SIZE(admin_keys)};
