/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns one libcurl handle and so one kept connection. The happy path is: set the path and the
 * method, collect the body in memory, parse it as JSON.
 *
 * Failure modes: nothing answers, which a connect(2) of our own then explains better than libcurl
 * can; the answer takes too long; or it is larger than any that the API gives, and is given up.
 */
#include "control/ctl/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMEOUT_MS 10000
#define BODY_MAX   (UINT64_C(256) << 20)
#define BASE       "http://sluice"

/* What each is called when it does not answer. */
static const struct peer {
	const char *name, *key, *flag, *variable;
} peers[] = {
	[CLIENT_PROXY] = {"sluice", "admin", "--socket", "SLUICE_SOCKET"},
	[CLIENT_CONTROL] = {"sluice-control", "control", "--control-socket",
			    "SLUICE_CONTROL_SOCKET"},
};

struct client {
	CURL *curl;
	const struct peer *peer;
	const char *socket;
	uint64_t timeout_ms;
};

struct client *client_new(const char *socket, enum client_peer peer)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->peer = &peers[peer];
	client->socket = socket;
	client->timeout_ms = TIMEOUT_MS;
	client->curl = curl_easy_init();
	if (client->curl)
		return client;
	free(client);
	return NULL;
}

void client_free(struct client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->curl);
	free(client);
}

void client_set_timeout(struct client *client, uint64_t timeout_ms)
{
	client->timeout_ms = timeout_ms;
}

/* --- one call --- */

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct reply *reply = context;
	size_t bytes = size * count;

	if (reply->bytes + bytes > BODY_MAX)
		return 0;
	char *body = realloc(reply->body, reply->bytes + bytes + 1);

	if (!body)
		return 0;
	memcpy(body + reply->bytes, data, bytes);
	reply->body = body;
	reply->bytes += bytes;
	body[reply->bytes] = '\0';
	return bytes;
}

/* What connect(2) says: libcurl keeps it to itself. 0 when it works by now. */
static int connect_error(const char *socket_path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, err = 0;

	if (strlen(socket_path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, socket_path, strlen(socket_path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int call_error(const struct client *client, CURLcode code)
{
	int err = 0;

	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_WRITE_ERROR:
		return -EFBIG;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return -ECONNRESET;
	case CURLE_COULDNT_CONNECT:
		err = connect_error(client->socket);
		return err < 0 ? err : -ECONNREFUSED;
	default:
		err = connect_error(client->socket);
		return err < 0 ? err : -EPROTO;
	}
}

/* Everything that the handle must know of one request. */
static void prepare(struct client *client, const char *method, const char *path, const char *body,
		    struct curl_slist *headers, struct reply *reply)
{
	char url[sizeof(BASE) + PATH_BYTES];

	snprintf(url, sizeof(url), BASE "%s", path);
	curl_easy_reset(client->curl);
	curl_easy_setopt(client->curl, CURLOPT_URL, url);
	curl_easy_setopt(client->curl, CURLOPT_UNIX_SOCKET_PATH, client->socket);
	curl_easy_setopt(client->curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, (long)client->timeout_ms);
	curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
	if (body)
		curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, reply);
}

/* A long body would otherwise wait a second for a "100 Continue" that nobody needs here. */
static struct curl_slist *headers_of(bool has_body)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");

	if (headers && has_body && !curl_slist_append(headers, "Content-Type: application/json")) {
		curl_slist_free_all(headers);
		return NULL;
	}
	return headers;
}

int client_call(struct client *client, const char *method, const char *path, const json_t *body,
		struct reply *ret_reply)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct curl_slist *headers = headers_of(body != NULL);
	struct reply reply = {0};
	int err = -ENOMEM;

	if ((body && !text) || !headers)
		goto out;
	prepare(client, method, path, text, headers, &reply);
	err = call_error(client, curl_easy_perform(client->curl));
	if (err)
		goto out;
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &reply.status);
	reply.json = json_loadb(reply.body ? reply.body : "", reply.bytes, 0, NULL);
	*ret_reply = reply;
	reply = (struct reply){0};
out:
	reply_fini(&reply);
	curl_slist_free_all(headers);
	free(text);
	return err;
}

void reply_fini(struct reply *reply)
{
	json_decref(reply->json);
	free(reply->body);
	*reply = (struct reply){0};
}

/* --- why not --- */

/* Where @ is the program and # its key in the configuration. */
static const struct {
	int err;
	const char *what, *try;
} causes[] = {
	{-ENOENT, "there is no such socket",
	 "is @ running, and does its configuration have `#: { socket: PATH }`?"},
	{-ECONNREFUSED, "nobody listens there",
	 "the @ that made this socket has ended; start it again"},
	{-EACCES, "permission denied",
	 "run as root or as a member of the socket's group (see #.mode)"},
	{-ENAMETOOLONG, "the path is too long for a socket (107 bytes at most)", NULL},
	{-ENOTSOCK, "that is no socket", NULL},
	{-EAGAIN, "its queue of connections is full", "try again; is @ stuck?"},
	{-ETIMEDOUT, "no answer in time",
	 "@ is very busy or stuck; its log and `top -H` tell more"},
	{-ECONNRESET, "it hung up before it had answered", "did @ just end? see its log"},
	{-EPROTO, "what answers there is no server of @", NULL},
	{-EFBIG, "the answer is too large", "ask for less with --limit"},
};

static void print_named(const struct peer *peer, const char *text, FILE *out)
{
	for (; *text; text++)
		if (*text == '@' || *text == '#')
			fputs(*text == '@' ? peer->name : peer->key, out);
		else
			fputc(*text, out);
}

void client_explain(const struct client *client, int err, FILE *out)
{
	const char *what = strerror(-err), *try = NULL;
	const struct peer *peer = client->peer;

	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		if (causes[i].err != err)
			continue;
		what = causes[i].what;
		try = causes[i].try;
	}
	fprintf(out, "sluicectl: cannot reach %s at %s: ", peer->name, client->socket);
	print_named(peer, what, out);
	if (try) {
		fputs("\n  ", out);
		print_named(peer, try, out);
	}
	fprintf(out, "\n  another socket is named with %s PATH or %s\n", peer->flag,
		peer->variable);
}
