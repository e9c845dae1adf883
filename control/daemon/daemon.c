/* SPDX-License-Identifier: Apache-2.0
 *
 * Beginning and end of the process's work. See control/daemon.h.
 *
 * The order matters: the user is dropped before anything is opened, so that files are those of
 * whom we go on as; the log has its thread before the filter, which it has not; and the proxy is
 * looked for before sources are asked, because only it knows what there is to lose.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "control/aws/http.h"
#include "control/daemon/internal.h"
#include "control/dryrun.h"
#include "control/journal.h"
#include "control/lastgood.h"
#include "control/link.h"
#include "control/options.h"
#include "control/serve.h"
#include "control/settings.h"
#include "proxy/base/conf/errors.h"
#include "proxy/base/log.h"
#include "proxy/base/sandbox.h"
#include "proxy/base/version.h"

#define LOG_FLUSH_MS 1000
#define USER_AGENT   "sluice-control/" SLUICE_VERSION
#define KEPT_IN      "control" /* below the state directory */

static void obey_signal(struct daemon *daemon, const struct signalfd_siginfo *info)
{
	log_event(LOG_INFO, "signal", "name=SIG%s from_pid=%u from_uid=%u",
		  sigabbrev_np((int)info->ssi_signo), info->ssi_pid, info->ssi_uid);
	if (info->ssi_signo == SIGHUP)
		reload(daemon);
	else
		daemon->loop.stopping = true;
}

static void on_signal(struct loop_source *source, uint32_t events)
{
	struct daemon *daemon = container_of(source, struct daemon, signals);
	struct signalfd_siginfo info;

	while (read(source->fd, &info, sizeof(info)) == sizeof(info))
		obey_signal(daemon, &info);
}

/* Every thread that comes later has them blocked as well. */
static int take_signals(struct daemon *daemon)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN); /* as a container's PID 1, whose orphans then leave no zombies */
	daemon->signals = (struct loop_source){
		.on_event = on_signal, .fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)};
	if (daemon->signals.fd < 0)
		return -errno;
	return loop_add(&daemon->loop, &daemon->signals, EPOLLIN);
}

static int become_user(const struct settings *settings)
{
	int err = sandbox_drop_user(settings->user, false);

	if (err)
		log_event(LOG_ERROR, "user_not_changed", "user=%s error=\"%s\"", settings->user,
			  strerror(-err));
	return err ? err : sandbox_forbid_dumps();
}

/* A pool that cannot be remembered is better than none, so this never stops us. */
static int open_lastgood(struct daemon *daemon)
{
	const char *state = daemon->settings->state_directory;
	char *path = NULL;
	int err = 0;

	if (state && !daemon->options->dry_run && asprintf(&path, "%s/" KEPT_IN, state) < 0)
		return -ENOMEM;
	if (path)
		err = lastgood_open(path, &daemon->lastgood);
	if (err)
		log_event(LOG_ERROR, "state_directory_unusable",
			  "path=%s error=\"%s\" hint=\"a restart while AWS is away would begin "
			  "with no targets but the proxy's own\"",
			  path, strerror(-err));
	free(path);
	return daemon->lastgood ? 0 : lastgood_open(NULL, &daemon->lastgood);
}

static int open_aws(struct daemon *daemon)
{
	const struct settings *settings = daemon->settings;
	struct aws_hub_conf hub = {.ca_file = settings->ca_file,
				   .fips = settings->fips,
				   .dual_stack = settings->dual_stack,
				   .fleet_size = daemon->fleet_size,
				   .api_rate = settings->api_rate,
				   .user_agent = USER_AGENT};
	struct http_conf http = {.user_agent = USER_AGENT, .concurrency = 4};
	int err = aws_hub_new(&daemon->loop, &hub, &daemon->hub);

	return err ? err : http_new(&daemon->loop, &http, &daemon->http);
}

static int open_sources(struct daemon *daemon)
{
	struct conf_errors errors = {0};
	struct list left;
	int err;

	list_init(&left);
	subscriptions_init(&daemon->subs, &daemon->loop, daemon->hub);
	err = subscriptions_open(&daemon->subs, daemon->settings, &errors, &left);
	reload_log_findings(&errors);
	conf_errors_fini(&errors);
	return err;
}

/* On the operational log's thread. Where there is no seccomp it writes without. */
static void enter_writer(void)
{
	sandbox_enter(SANDBOX_WRITER);
}

static int confine(void)
{
	int err;

	log_on_thread_start(enter_writer);
	err = log_start();
	if (!err)
		err = sandbox_enter(SANDBOX_CONTROL);
	if (err != -EINVAL && err != -ENOSYS)
		return err;
	log_event(LOG_WARN, "no_seccomp", "error=\"%s\"", strerror(-err));
	return 0;
}

/* Where we can be asked; a single round is over before anybody would. */
static int open_serve(struct daemon *daemon)
{
	const struct settings *settings = daemon->settings;
	struct serve_conf conf = {.loop = &daemon->loop,
				  .feeds = &daemon->feeds,
				  .journal = daemon->journal,
				  .hub = daemon->hub,
				  .lifecycle = &daemon->lifecycle,
				  .queue = &daemon->queue,
				  .socket = settings->socket,
				  .mode = settings->socket_mode,
				  .http = settings->http,
				  .proxy = daemon->admin_socket};
	char why[SERVE_WHY];
	int err;

	if (daemon->options->once)
		return 0;
	err = serve_open(&conf, &daemon->serve, why);
	if (err)
		log_event(LOG_ERROR, "serve_failed", "error=\"%s\"", why);
	return err ? err : serve_start(daemon->serve);
}

static int begin(struct daemon *daemon)
{
	int err = feeding_connect(daemon);

	if (!err)
		err = feeding_start(daemon);
	if (!err && !daemon->options->once)
		err = node_start(daemon);
	if (err || !daemon->options->once)
		return err;
	if (daemon->options->dry_run)
		return once_start_dry(daemon);
	once_start(daemon);
	return 0;
}

static int init(struct daemon *daemon, const struct control_options *options,
		struct settings *settings)
{
	daemon->options = options;
	daemon->settings = settings_ref(settings);
	daemon->fleet_size = settings->fleet_size ? settings->fleet_size : 1;
	daemon->signals.fd = -1;
	list_init(&daemon->feeds.feeds);
	daemon->feeds.loop = &daemon->loop;
	subscriptions_init(&daemon->subs, &daemon->loop, NULL);
	log_set_level_name(settings->log_level);
	if (!options->once)
		manager_find();
	daemon->journal = daemon->feeds.journal = journal_new();
	if (settings->admin_socket)
		daemon->admin_socket = strdup(settings->admin_socket);
	if (!daemon->journal || (settings->admin_socket && !daemon->admin_socket))
		return -ENOMEM;
	return take_signals(daemon);
}

int daemon_start(const struct control_options *options, struct settings *settings,
		 struct daemon **ret_daemon)
{
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	int err = daemon ? loop_init(&daemon->loop) : -ENOMEM;

	if (err) {
		free(daemon);
		return err;
	}
	err = init(daemon, options, settings);
	if (!err)
		err = become_user(settings);
	if (!err)
		err = open_lastgood(daemon);
	if (!err)
		err = open_aws(daemon);
	if (!err)
		err = open_sources(daemon);
	if (!err)
		err = open_serve(daemon);
	if (!err)
		err = confine();
	if (!err) {
		daemon->feeds.lastgood = daemon->lastgood;
		err = begin(daemon);
	}
	if (err) {
		log_event(LOG_ERROR, "start_failed", "error=\"%s\"", strerror(-err));
		daemon_stop(daemon);
		return err;
	}
	log_event(LOG_INFO, "ready", "version=%s pid=%d config=%s sources=%zu pools=%zu proxy=%s",
		  SLUICE_VERSION, (int)getpid(), options->line.config_file, settings->source_count,
		  settings->pool_count, daemon->admin_socket ? daemon->admin_socket : "none");
	manager_ready(daemon);
	*ret_daemon = daemon;
	return 0;
}

int daemon_run(struct daemon *daemon)
{
	loop_run(&daemon->loop);
	manager_stopping();
	node_leave(daemon);
	return daemon->status;
}

/* The loop's turns are over, so what was put off to their end is done here. */
void daemon_stop(struct daemon *daemon)
{
	if (!daemon)
		return;
	serve_close(daemon->serve);
	dryrun_free(daemon->dryrun);
	subscriptions_close(&daemon->subs, &daemon->subs.all);
	node_stop(daemon);
	link_stop(daemon->link);
	aws_hub_free(daemon->hub);
	http_free(daemon->http);
	loop_reap(&daemon->loop);
	lastgood_close(daemon->lastgood);
	journal_free(daemon->journal);
	log_event(LOG_INFO, "stopped", "status=%d", daemon->status);
	log_stop(LOG_FLUSH_MS);
	if (daemon->signals.fd >= 0)
		close(daemon->signals.fd);
	loop_fini(&daemon->loop);
	settings_free(daemon->settings);
	free(daemon->admin_socket);
	free(daemon);
}
