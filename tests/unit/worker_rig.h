/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker as main has it: a real thread in real time, a listening socket for it, a backend, and
 * orders that are answered.
 */
#pragma once

#include "proxy/base/log.h"
#include "proxy/worker.h"
#include "tests/unit/plan_rig.h"

/* ThreadSanitizer knows one fd table, and takes equal numbers in two of them for a race. */
#ifdef __SANITIZE_THREAD__
#define OWN_FDS 0
#else
#define OWN_FDS 1
#endif

static struct {
	struct worker_conf conf;
	struct worker_wires wires;
	struct worker *worker;
	_Atomic uint32_t total_open;
	int backend; /* listening */
	int front;   /* listening, for the worker */
	struct addr front_addr;
	int fds_before;
} rig;

static inline struct snapshot *build(const char *listener, const char *target)
{
	struct config_ref *config;
	struct snapshot *snapshot;
	char yaml[512];

	snprintf(yaml, sizeof(yaml),
		 "listeners: [{name: a, bind: \"127.0.0.1:80\", pool: p%s}]\n"
		 "pools: [{name: p, targets: [\"%s\"]}]\n",
		 listener, target);
	config = config_ref_new(load_valid(yaml), config_free);
	ck_assert_int_eq(plan_and_build(config, NULL, 1, &snapshot), 0);
	config_ref_put(config);
	return snapshot;
}

static inline void prepare(const char *listener)
{
	struct addr addr;
	char text[ADDR_TEXT];

	setenv("SLUICE_SECCOMP", "off", 1); /* the test's own calls are nobody's business */
	log_set_level(LOG_ERROR);
	rig.fds_before = open_fds();
	rig.backend = listen_on("127.0.0.1:0", 64);
	rig.front = listen_on("127.0.0.1:0", 64);
	fcntl(rig.front, F_SETFL, O_NONBLOCK);
	rig.front_addr = local_of(rig.front);
	addr = local_of(rig.backend);
	ck_assert_int_eq(worker_wires_open(1, &rig.wires), 0);
	rig.conf = (struct worker_conf){.count = 1,
					.cpu = -1,
					.max_sessions = 1000,
					.max_pipes = 8,
					.buffers = 1 << 22,
					.port_low = 32768,
					.port_high = 60999,
					.total_open = &rig.total_open,
					.own_fds = OWN_FDS,
					.wires = &rig.wires,
					.snapshot = build(listener, addr_format(&addr, text))};
}

static inline void start(const char *listener)
{
	prepare(listener);
	ck_assert_int_eq(worker_start(&rig.conf, &rig.worker), 0);
}

static inline struct worker_message await(void)
{
	struct worker_message answer;
	int got;

	do {
		wait_for_events(worker_fd(rig.worker), POLLIN);
		got = worker_receive(rig.worker, &answer);
	} while (!got);
	ck_assert_int_eq(got, 1);
	return answer;
}

static inline int tell(struct worker_message message, int fd)
{
	struct worker_message answer;

	ck_assert_int_eq(worker_send(rig.worker, &message, fd), 0);
	answer = await();
	ck_assert_uint_eq(answer.op, message.op);
	return answer.err;
}

static inline int tell_op(uint32_t op)
{
	return tell((struct worker_message){.op = op, .key = 7}, -1);
}

static inline struct worker_message listen_order(void)
{
	return (struct worker_message){.op = WORKER_LISTEN,
				       .key = 7,
				       .bound = addr_of("127.0.0.1:80"),
				       .local = rig.front_addr};
}

static inline void close_fds(void)
{
	worker_wires_close(&rig.wires);
	close(rig.backend);
	close(rig.front);
}

static inline void stop(void)
{
	ck_assert_int_eq(tell_op(WORKER_STOP), 0);
	worker_join(rig.worker);
	ck_assert_uint_eq(rig.conf.snapshot->refs, 1);
	snapshot_put(rig.conf.snapshot);
	plan_forget();
	close_fds();
	ck_assert_int_eq(open_fds(), rig.fds_before);
	ck_assert_uint_eq(rig.total_open, 0);
}

/* A client whose session is relaying; its backend's end comes back too. */
static inline int serve(int *ret_server)
{
	int client = connect_to(&rig.front_addr);

	*ret_server = accept_from(rig.backend);
	send_pattern(client, 0, 1000);
	expect_pattern(*ret_server, 0, 1000);
	send_pattern(*ret_server, 0, 500);
	expect_pattern(client, 0, 500);
	return client;
}
