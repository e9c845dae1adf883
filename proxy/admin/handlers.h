/* SPDX-License-Identifier: Apache-2.0
 *
 * One function for each route, on main's thread; see desk_handle() for what they may do.
 */
#pragma once

#include <stdbool.h>

struct request;
struct desk;
struct pool_record;
struct target_record;

/* reading.c */
void get_status(struct desk *desk, struct request *request);
void get_config(struct desk *desk, struct request *request);
void get_pools(struct desk *desk, struct request *request);
void get_pool(struct desk *desk, struct request *request);
void get_explain(struct desk *desk, struct request *request);
void get_events(struct desk *desk, struct request *request);
void get_metrics(struct desk *desk, struct request *request);
void get_readyz(struct desk *desk, struct request *request);

/* pages.c */
void get_dashboard(struct desk *desk, struct request *request);
void get_openapi(struct desk *desk, struct request *request);

/* sessions.c */
void get_sessions(struct desk *desk, struct request *request);
void delete_session(struct desk *desk, struct request *request);

/* sources.c */
void put_source(struct desk *desk, struct request *request);
void delete_source(struct desk *desk, struct request *request);
void post_target(struct desk *desk, struct request *request);

/* targets.c */
void patch_target(struct desk *desk, struct request *request);
void delete_target(struct desk *desk, struct request *request);
void delete_target_sessions(struct desk *desk, struct request *request);

/* process.c */
void post_pause(struct desk *desk, struct request *request);
void post_resume(struct desk *desk, struct request *request);
void post_drain(struct desk *desk, struct request *request);
void delete_drain(struct desk *desk, struct request *request);
void post_reload(struct desk *desk, struct request *request);

/* guard.c */
void get_guard(struct desk *desk, struct request *request);
void patch_guard(struct desk *desk, struct request *request);

/* finding.c: what a request means. NULL with the answer given. */
struct pool_record *find_pool(struct desk *desk, struct request *request, const char *name);
struct target_record *find_target(struct desk *desk, struct request *request, const char *pool,
				  const char *name);
