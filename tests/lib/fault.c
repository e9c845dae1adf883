/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors on demand: the calls that the Makefile lists as FAULTS come here through the linker's
 * --wrap, in build/fault/sluice alone, and fail by their ordinal.
 *
 *   SLUICE_FAULT="accept4:EMFILE:10-20;connect:ECONNREFUSED:every:7;malloc:ENOMEM:3"
 *   SLUICE_FAULT_CONTROL=/path/to/a/file/of/4096/zero/bytes
 *
 * A rule is CALL:ERROR:WHEN, and WHEN is `N`, `N-M`, `N-` or `every:N`. Calls are counted from 1,
 * per function, over all threads; the first rule that matches decides. A call that fails so is not
 * made at all: errno is set, -1 or NULL returned.
 *
 * Happy path: with a control file the counting begins when a test stores 1 in its first word, so
 * that a start-up is never hit; without one it begins with main(). The file is mapped, which needs
 * no call that a sandbox could refuse later, and shows the test what happened (struct control).
 * Failure modes: a rule that cannot be read, or a control file that cannot be mapped, ends the
 * process with status 2 before main(), since a test with no faults would prove nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define RULES_MAX 32

/* The order is that of struct control, and of CALLS in tests/lib/fault.py. */
enum call {
	CALL_ACCEPT4,
	CALL_CONNECT,
	CALL_SPLICE,
	CALL_EPOLL_CTL,
	CALL_MALLOC,
	CALL_CALLOC,
	CALL_REALLOC,
	CALL_PIPE2,
	CALL_SOCKET,
	CALLS
};

/* What the control file holds. */
struct control {
	_Atomic uint64_t armed;           /* written by the test: 0 or 1 */
	_Atomic uint64_t calls[CALLS];    /* counted while armed */
	_Atomic uint64_t injected[CALLS]; /* of those, made to fail */
};

struct rule {
	enum call call;
	int error;
	uint64_t first; /* ordinals; every: the step */
	uint64_t last;
	bool every;
};

static const char *const call_names[CALLS] = {
	[CALL_ACCEPT4] = "accept4",     [CALL_CONNECT] = "connect", [CALL_SPLICE] = "splice",
	[CALL_EPOLL_CTL] = "epoll_ctl", [CALL_MALLOC] = "malloc",   [CALL_CALLOC] = "calloc",
	[CALL_REALLOC] = "realloc",     [CALL_PIPE2] = "pipe2",     [CALL_SOCKET] = "socket",
};

static const struct {
	const char *name;
	int number;
} errors[] = {
	{"EAGAIN", EAGAIN},
	{"EADDRNOTAVAIL", EADDRNOTAVAIL},
	{"EADDRINUSE", EADDRINUSE},
	{"ECONNABORTED", ECONNABORTED},
	{"ECONNREFUSED", ECONNREFUSED},
	{"ECONNRESET", ECONNRESET},
	{"EHOSTUNREACH", EHOSTUNREACH},
	{"EINTR", EINTR},
	{"EINVAL", EINVAL},
	{"EMFILE", EMFILE},
	{"ENETUNREACH", ENETUNREACH},
	{"ENFILE", ENFILE},
	{"ENOBUFS", ENOBUFS},
	{"ENOMEM", ENOMEM},
	{"ENOSPC", ENOSPC},
	{"EPERM", EPERM},
	{"ETIMEDOUT", ETIMEDOUT},
};

static struct control own_control;
static struct control *control = &own_control;
static struct rule rules[RULES_MAX];
static unsigned rule_count;

/* Which call the `len` bytes at `text` name, or -1. */
static int find_call(const char *text, size_t len)
{
	for (int i = 0; i < CALLS; i++)
		if (strlen(call_names[i]) == len && !memcmp(call_names[i], text, len))
			return i;
	return -1;
}

static int find_error(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strlen(errors[i].name) == len && !memcmp(errors[i].name, text, len))
			return errors[i].number;
	return -1;
}

/* A number from 1, in digits alone; `*text` is moved behind it. */
static bool take_number(const char **text, uint64_t *ret_number)
{
	char *end;
	uint64_t number;

	if (**text < '0' || **text > '9')
		return false;
	number = strtoull(*text, &end, 10);
	if (!number)
		return false;
	*text = end;
	*ret_number = number;
	return true;
}

/* `N`, `N-M`, `N-` or `every:N`; `*text` is moved behind it. */
static bool take_when(const char **text, struct rule *rule)
{
	rule->every = !strncmp(*text, "every:", 6);
	if (rule->every)
		*text += 6;
	if (!take_number(text, &rule->first))
		return false;
	rule->last = rule->first;
	if (rule->every || **text != '-')
		return true;
	(*text)++;
	if (**text == '\0' || **text == ';')
		rule->last = UINT64_MAX;
	else if (!take_number(text, &rule->last))
		return false;
	return rule->last >= rule->first;
}

/* One rule up to `;` or the end; `*text` is moved behind it. */
static bool take_rule(const char **text, struct rule *ret_rule)
{
	size_t call_len = strcspn(*text, ":;");
	const char *error = *text + call_len + 1;
	struct rule rule = {0};
	size_t error_len;
	int call = find_call(*text, call_len);

	if (call < 0 || (*text)[call_len] != ':')
		return false;
	error_len = strcspn(error, ":;");
	rule.call = (enum call)call;
	rule.error = find_error(error, error_len);
	if (rule.error < 0 || error[error_len] != ':')
		return false;
	*text = error + error_len + 1;
	if (!take_when(text, &rule) || (**text != '\0' && **text != ';'))
		return false;
	if (**text == ';')
		(*text)++;
	*ret_rule = rule;
	return true;
}

/* Replace all rules. False, and no rules, when a part of `text` cannot be read. */
static bool fault_parse(const char *text)
{
	rule_count = 0;
	while (*text) {
		if (rule_count == RULES_MAX || !take_rule(&text, &rules[rule_count])) {
			rule_count = 0;
			return false;
		}
		rule_count++;
	}
	return true;
}

static bool fault_map(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *mapped = MAP_FAILED;

	if (fd >= 0 && lseek(fd, 0, SEEK_END) >= (off_t)sizeof(struct control))
		mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			      0);
	if (fd >= 0)
		close(fd);
	if (mapped == MAP_FAILED)
		return false;
	control = mapped;
	return true;
}

/* The variables are taken out of the environment: the proxy knows none of them. */
static __attribute__((constructor)) void fault_start(void)
{
	const char *text = getenv("SLUICE_FAULT");
	const char *path = getenv("SLUICE_FAULT_CONTROL");

	if (text && !fault_parse(text)) {
		fprintf(stderr, "SLUICE_FAULT: cannot read \"%s\"\n", text);
		_exit(2);
	}
	if (path && !fault_map(path)) {
		fprintf(stderr, "SLUICE_FAULT_CONTROL: cannot map %s\n", path);
		_exit(2);
	}
	if (text && !path)
		control->armed = 1;
	unsetenv("SLUICE_FAULT");
	unsetenv("SLUICE_FAULT_CONTROL");
}

static bool rule_matches(const struct rule *rule, enum call call, uint64_t ordinal)
{
	if (rule->call != call)
		return false;
	if (rule->every)
		return ordinal % rule->first == 0;
	return ordinal >= rule->first && ordinal <= rule->last;
}

/* Count the call; true, with errno set, when it shall fail. */
static bool fails(enum call call)
{
	uint64_t ordinal;

	if (!atomic_load_explicit(&control->armed, memory_order_acquire))
		return false;
	ordinal = atomic_fetch_add(&control->calls[call], 1) + 1;
	for (unsigned i = 0; i < rule_count; i++) {
		if (rule_matches(&rules[i], call, ordinal)) {
			atomic_fetch_add(&control->injected[call], 1);
			errno = rules[i].error;
			return true;
		}
	}
	return false;
}

/* `type __wrap_name params`, which fails or calls the real thing with `args`. */
#define WRAP(type, failure, call, name, params, args)                                              \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fails(call) ? (failure) : __real_##name args;                               \
	}

WRAP(int, -1, CALL_ACCEPT4, accept4, (int fd, struct sockaddr *sa, socklen_t *len, int flags),
     (fd, sa, len, flags))
WRAP(int, -1, CALL_CONNECT, connect, (int fd, const struct sockaddr *sa, socklen_t len),
     (fd, sa, len))
WRAP(ssize_t, -1, CALL_SPLICE, splice,
     (int in, off64_t *in_at, int out, off64_t *out_at, size_t len, unsigned flags),
     (in, in_at, out, out_at, len, flags))
WRAP(int, -1, CALL_EPOLL_CTL, epoll_ctl, (int epoll, int op, int fd, struct epoll_event *event),
     (epoll, op, fd, event))
WRAP(void *, NULL, CALL_MALLOC, malloc, (size_t size), (size))
WRAP(void *, NULL, CALL_CALLOC, calloc, (size_t count, size_t size), (count, size))
WRAP(void *, NULL, CALL_REALLOC, realloc, (void *old, size_t size), (old, size))
WRAP(int, -1, CALL_PIPE2, pipe2, (int fds[2], int flags), (fds, flags))
WRAP(int, -1, CALL_SOCKET, socket, (int family, int type, int protocol), (family, type, protocol))
