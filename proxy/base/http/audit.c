/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what is said of a request in a log. Happy path: the peer's user, the request line, the
 * status, and the error's first words. Nothing fails: a user without a name is a number.
 */
#include <pwd.h>
#include <stdio.h>

#include "proxy/base/http/request.h"

#define WHO        64
#define AUDIT_PATH 160
#define AUDIT_WHY  96

/* The user's name, from /etc/passwd alone: whatever else names users may take its time. */
static bool user_name(uid_t uid, char *buf, size_t size)
{
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry;
	bool found = false;

	while (file && !found && (entry = fgetpwent(file))) {
		found = entry->pw_uid == uid;
		if (found)
			snprintf(buf, size, "%.32s", entry->pw_name);
	}
	if (file)
		fclose(file);
	return found;
}

void request_who(const struct request *request, char *buf, size_t size)
{
	char name[33];

	if (user_name(request->uid, name, sizeof(name)))
		snprintf(buf, size, "uid %u (%s)", (unsigned)request->uid, name);
	else
		snprintf(buf, size, "uid %u", (unsigned)request->uid);
}

/* Whatever a peer can put into a path, or into a key that is refused, must not look like anything
 * else in a log. `least` is the first character that may pass. */
static void copy_printable(const char *from, char least, char *to, size_t size)
{
	size_t i = 0;

	for (; from[i] && i + 1 < size; i++)
		to[i] = from[i] >= least && from[i] < 0x7f ? from[i] : '?';
	to[i] = '\0';
}

void request_audit(const struct request *request, char ret_text[static REQUEST_AUDIT])
{
	const char *error = json_string_value(json_object_get(request->answer, "error"));
	char who[WHO], path[AUDIT_PATH], why[AUDIT_WHY];

	request_who(request, who, sizeof(who));
	copy_printable(request->path, '!', path, sizeof(path));
	copy_printable(error ? error : "", ' ', why, sizeof(why));
	snprintf(ret_text, REQUEST_AUDIT, "%s, pid %d: %s %s: %d%s%s", who, (int)request->pid,
		 request_method_names[request->method], path, request->status, *why ? ", " : "",
		 why);
}
