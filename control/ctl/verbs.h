/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rows of the table of verbs call, file by file. Each returns an enum ctl_exit.
 */
#pragma once

struct ctl;

/* verb_status.c */
int verb_status(struct ctl *ctl);

/* verb_pools.c */
int verb_pools(struct ctl *ctl);
int verb_sources(struct ctl *ctl);

/* verb_targets.c */
int verb_targets(struct ctl *ctl);

/* verb_explain.c */
int verb_explain(struct ctl *ctl);

/* verb_sessions.c */
int verb_sessions(struct ctl *ctl);

/* verb_events.c */
int verb_events(struct ctl *ctl);

/* verb_discovery.c */
int verb_discovery(struct ctl *ctl);

/* verb_health.c */
int verb_health(struct ctl *ctl);

/* top/top.c */
int verb_top(struct ctl *ctl);

/* verb_override.c */
int verb_drain(struct ctl *ctl);
int verb_undrain(struct ctl *ctl);
int verb_maint(struct ctl *ctl);
int verb_set_weight(struct ctl *ctl);

/* verb_members.c */
int verb_add_target(struct ctl *ctl);
int verb_remove_target(struct ctl *ctl);
int verb_put_targets(struct ctl *ctl);

/* verb_close.c */
int verb_close_sessions(struct ctl *ctl);
int verb_kill_session(struct ctl *ctl);

/* verb_proxy.c */
int verb_listener(struct ctl *ctl);
int verb_reload(struct ctl *ctl);

/* verb_guard.c */
int verb_guard(struct ctl *ctl);

/* verb_import.c */
int verb_import_haproxy(struct ctl *ctl);

/* verb_doctor.c */
int verb_doctor(struct ctl *ctl);

/* verb_template.c: its --template */
int verb_doctor_template(struct ctl *ctl);

/* completion/completion.c */
int verb_completion(struct ctl *ctl);

/* help.c */
int verb_help(struct ctl *ctl);
