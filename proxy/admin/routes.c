/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the table of what can be asked for. openapi.json describes the same for others, and
 * tests/net/test_admin_openapi.py holds the two together.
 */
#include "proxy/admin/desk.h"
#include "proxy/admin/handlers.h"

const struct route desk_routes[] = {
	{METHOD_GET, "/", NULL, get_dashboard, 0},
	{METHOD_GET, "/openapi.json", NULL, get_openapi, 0},
	{METHOD_GET, "/metrics", NULL, get_metrics, 0},
	{METHOD_GET, "/v1/status", NULL, get_status, 0},
	{METHOD_GET, "/v1/config", NULL, get_config, 0},
	{METHOD_GET, "/v1/pools", NULL, get_pools, 0},
	{METHOD_GET, "/v1/pools/*", NULL, get_pool, 0},
	{METHOD_POST, "/v1/pools/*/targets", NULL, post_target, ROUTE_BODY},
	{METHOD_PUT, "/v1/pools/*/sources/*", NULL, put_source, ROUTE_BODY},
	{METHOD_DELETE, "/v1/pools/*/sources/*", NULL, delete_source, 0},
	{METHOD_GET, "/v1/targets/*/explain", "pool", get_explain, 0},
	{METHOD_PATCH, "/v1/targets/*", "pool", patch_target, ROUTE_BODY},
	{METHOD_DELETE, "/v1/targets/*", "pool", delete_target, 0},
	{METHOD_DELETE, "/v1/targets/*/sessions", "pool rst spread_s", delete_target_sessions, 0},
	{METHOD_GET, "/v1/sessions", "pool target listener limit after sort", get_sessions, 0},
	{METHOD_DELETE, "/v1/sessions/*", "rst", delete_session, 0},
	{METHOD_GET, "/v1/events", "after limit wait_s pid", get_events, ROUTE_SLOW},
	{METHOD_GET, "/v1/guard", NULL, get_guard, 0},
	{METHOD_PATCH, "/v1/guard", NULL, patch_guard, ROUTE_BODY},
	{METHOD_POST, "/v1/listeners/*/pause", NULL, post_pause, 0},
	{METHOD_POST, "/v1/listeners/*/resume", NULL, post_resume, 0},
	{METHOD_POST, "/v1/drain", NULL, post_drain, ROUTE_BODY},
	{METHOD_DELETE, "/v1/drain", NULL, delete_drain, 0},
	{METHOD_POST, "/v1/reload", NULL, post_reload, ROUTE_SLOW},
};

const size_t desk_route_count = sizeof(desk_routes) / sizeof(desk_routes[0]);

const struct route desk_probe_routes[] = {
	{METHOD_GET, "/readyz", NULL, get_readyz, 0},
};

const size_t desk_probe_route_count = sizeof(desk_probe_routes) / sizeof(desk_probe_routes[0]);
