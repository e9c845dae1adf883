/* SPDX-License-Identifier: Apache-2.0
 *
 * An haproxy.cfg as plain data: what was read, and not yet what becomes of it. Everything lives in
 * the import's arena. A setting remembers the line that it comes from, so that whoever cannot carry
 * it can say which line that was; without a line it was not given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/ctl/haproxy/arena.h"
#include "control/ctl/haproxy/lexer.h"

enum hap_kind {
	HAP_GLOBAL,
	HAP_DEFAULTS,
	HAP_FRONTEND,
	HAP_BACKEND,
	HAP_LISTEN,
	HAP_OTHER, /* resolvers, peers, userlist, ... */
};

enum hap_timeout {
	HAP_CONNECT,
	HAP_CLIENT,
	HAP_SERVER,
	HAP_TUNNEL,
	HAP_CLIENT_FIN,
	HAP_SERVER_FIN,
	HAP_QUEUE,
	HAP_CHECK,
	HAP_TIMEOUTS
};

enum hap_option {
	HAP_ALLBACKUPS,
	HAP_CLITCPKA,
	HAP_DONTLOG_NORMAL,
	HAP_REDISPATCH,
	HAP_SRVTCPKA,
	HAP_TCPKA,
	HAP_TCPLOG,
	HAP_OPTIONS
};

/* Seconds of idling, of interval, and a count. */
enum hap_probe { HAP_PROBE_IDLE, HAP_PROBE_INTERVAL, HAP_PROBE_COUNT, HAP_PROBES };

enum hap_send { HAP_SEND_NONE, HAP_SEND_V1, HAP_SEND_V2 };

struct hap_value {
	uint64_t number;
	const struct hap_line *line;
};

struct hap_text {
	const char *text;
	const struct hap_line *line;
};

/* An address in HAProxy's notation, taken apart. */
struct hap_address {
	bool is_unix;
	bool is_v6;
	const char *host;  /* as Sluice writes it, v6 in brackets; "" for any; a path */
	const char *ports; /* "80", "80-89", "+10", or "" */
};

struct hap_bind {
	const struct hap_line *line;
	struct hap_address address;
	const char *name; /* or NULL */
	const char *mode; /* of a Unix socket, or NULL */
	bool accept_proxy;
	bool v6_only;
	bool fast_open;
	struct hap_value maxconn;
	struct hap_value user_timeout;
	struct hap_value mss;
};

struct hap_server {
	const struct hap_line *line;
	const char *name;
	struct hap_address address;
	bool check;
	bool check_tls;
	bool check_send_proxy;
	bool backup;
	bool disabled;
	bool crc32c;
	bool closes; /* on-marked-down shutdown-sessions */
	bool observed;
	bool fast_open;
	enum hap_send send_proxy;
	struct hap_value port; /* of checks */
	struct hap_value inter, fastinter, downinter, rise, fall, error_limit;
	struct hap_value weight, maxconn, slowstart, user_timeout;
	struct hap_text source, sni;
};

enum hap_check_kind { HAP_CHECK_TCP, HAP_CHECK_HTTP, HAP_CHECK_TLS, HAP_CHECK_SCRIPT };

struct hap_bytes {
	const uint8_t *at;
	size_t count;
};

struct hap_check {
	enum hap_check_kind kind;
	const struct hap_line *line;
	const char *method, *path, *host, *status; /* or NULL */
	struct hap_bytes send;                     /* all that is sent, in a row */
	struct hap_bytes expect;                   /* the longest of what is expected */
	bool server_first;                         /* it is expected before anything is sent */
	const struct hap_line *expect_line;
	struct hap_value port;
	bool tls;
};

struct hap_section {
	enum hap_kind kind;
	const char *name; /* "" if it has none */
	const struct hap_line *line;
	unsigned lines;             /* in it, its first included */
	struct hap_section *parent; /* the defaults it began with, or NULL */
	bool used;                  /* something that is carried comes from here */
	struct hap_text mode;       /* tcp if not given */
	bool disabled;

	struct hap_value timeouts[HAP_TIMEOUTS];
	struct hap_value options[HAP_OPTIONS];
	struct hap_value client_probes[HAP_PROBES], server_probes[HAP_PROBES];
	struct hap_value maxconn, retries;
	struct hap_text balance, source, default_backend;
	struct hap_value balance_factor;
	struct hap_text expect_proxy; /* whom from, as blocks with a blank between, or "" */
	struct hap_check check;
	struct hap_server default_server;

	struct hap_bind *binds;
	size_t bind_count;
	struct hap_server *servers;
	size_t server_count;

	/* Found by linking frontends and backends. */
	struct hap_section *backend; /* of a frontend; a listen's is itself */
	uint64_t client_ms, client_fin_ms;
	uint32_t client_port; /* the one port that its clients come to; 0: none or several */
	bool has_client;
	const char *pool; /* what it is called in sluice.yaml, or NULL: not carried */
};

struct hap_global {
	struct hap_value maxconn, nbthread, hard_stop, spread_checks;
	struct hap_text user;
};

enum hap_level {
	HAP_NOTE, /* carried or not needed, but worth a word */
	HAP_LOST, /* the line does something that sluice.yaml now doesn't */
};

struct hap_note {
	enum hap_level level;
	const struct hap_line *line;
	const char *why;
	size_t order; /* in which they came up */
	bool told;
};

struct hap {
	struct hap_arena arena;
	struct hap_global global;
	struct hap_section **sections;
	size_t section_count;
	struct hap_note *notes;
	size_t note_count;
	size_t noted;  /* ever */
	size_t untold; /* further lost ones that are only counted */
};

/* About one line; said once, however often it comes up. notes.c */
__attribute__((format(printf, 4, 5))) void hap_note(struct hap *hap, const struct hap_line *line,
						    enum hap_level level, const char *format, ...);

/* Tcp is what HAProxy is without a `mode`. */
static inline bool hap_is_tcp(const struct hap_section *section)
{
	return !section->mode.line ||
	       (section->mode.text[0] == 't' && section->mode.text[1] == 'c');
}
