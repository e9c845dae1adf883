/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the table of what can be asked for. openapi.json describes the same for others, and
 * tests/aws/test_serve.py holds the two together.
 */
#include "control/serve/desk.h"

#define FEED "/v1/discovery/*/*"

const struct route serve_routes[] = {
	{METHOD_GET, "/openapi.json", NULL, serve_get_openapi, 0},
	{METHOD_GET, "/metrics", NULL, serve_get_metrics, 0},
	{METHOD_GET, "/healthz", NULL, serve_get_healthz, 0},
	{METHOD_GET, "/readyz", NULL, serve_get_readyz, 0},
	{METHOD_GET, "/v1/discovery", NULL, serve_get_discovery, 0},
	{METHOD_GET, FEED, NULL, serve_get_feed, 0},
	{METHOD_POST, FEED "/approve", NULL, serve_post_approve, ROUTE_BODY},
	{METHOD_POST, FEED "/reject", NULL, serve_post_reject, ROUTE_BODY},
	{METHOD_POST, FEED "/refresh", NULL, serve_post_refresh, ROUTE_BODY},
	{METHOD_GET, "/v1/events", "after limit wait_s", serve_get_events, 0},
};

const size_t serve_route_count = sizeof(serve_routes) / sizeof(serve_routes[0]);
