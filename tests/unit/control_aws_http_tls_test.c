/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTPS: whose certificate is believed, and what is said of one that is not. The server is
 * OpenSSL's on a thread of its own, with a certificate for 127.0.0.1 that is made here.
 */
/* link: -Wl,--push-state,--no-as-needed -lssl -Wl,--pop-state */
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>

#include "tests/unit/http_rig.h"

struct server {
	SSL_CTX *context;
	int fd;
	pthread_t thread;
	char url[64];
	char folder[64];
	char ca_file[128];
};

static struct server server;
static struct loop loop;
static struct http *http;

static X509 *make_certificate(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"rig", -1, -1,
				   0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	ck_assert_ptr_nonnull(san);
	X509_add_ext(cert, san, -1);
	X509_EXTENSION_free(san);
	ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
	return cert;
}

static void write_certificate(X509 *cert)
{
	FILE *file = fopen(server.ca_file, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(PEM_write_X509(file, cert), 1);
	ck_assert_int_eq(fclose(file), 0);
}

/* Each connection is greeted, asked once and answered once. Ends when the listener is shut down. */
static void *serve(void *unused)
{
	static const char answer[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
	char request[4096];
	int fd;

	while ((fd = accept(server.fd, NULL, NULL)) >= 0) {
		SSL *ssl = SSL_new(server.context);

		SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1 && SSL_read(ssl, request, sizeof(request)) > 0) {
			SSL_write(ssl, answer, (int)strlen(answer));
			SSL_shutdown(ssl);
		}
		SSL_free(ssl);
		close(fd);
	}
	return NULL;
}

static void start_server(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = make_certificate(key);
	struct addr addr;
	char text[ADDR_TEXT];

	signal(SIGPIPE, SIG_IGN); /* SSL_write() to a client that left in anger */
	strcpy(server.folder, "/tmp/sluice-tls-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(server.folder));
	snprintf(server.ca_file, sizeof(server.ca_file), "%s/ca.pem", server.folder);
	write_certificate(cert);
	server.context = SSL_CTX_new(TLS_server_method());
	ck_assert_int_eq(SSL_CTX_use_certificate(server.context, cert), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(server.context, key), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
	server.fd = listen_on("127.0.0.1:0", 8);
	addr = local_of(server.fd);
	snprintf(server.url, sizeof(server.url), "https://%s/", addr_format(&addr, text));
	ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void stop_server(void)
{
	shutdown(server.fd, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.fd);
	SSL_CTX_free(server.context);
	unlink(server.ca_file);
	rmdir(server.folder);
}

struct end {
	bool done;
	enum aws_error_kind err;
	char text[512];
};

static void on_end(void *context, const struct http_answer *answer)
{
	struct end *end = context;

	end->done = true;
	end->err = answer->err;
	snprintf(end->text, sizeof(end->text), "%s", answer->err ? answer->problem : answer->body);
}

static struct end fetch(const char *ca_file, const char *url)
{
	struct end end = {.done = false};
	const struct http_request request = {
		.method = "GET", .url = url, .on_end = on_end, .context = &end};

	ck_assert_int_eq(loop_init(&loop), 0);
	ck_assert_int_eq(http_new(&loop, &(struct http_conf){.ca_file = ca_file}, &http), 0);
	ck_assert_ptr_nonnull(http_start(http, &request));
	while (!end.done)
		loop_turn(&loop);
	http_free(http);
	loop_reap(&loop);
	loop_fini(&loop);
	return end;
}

START_TEST(certificate_of_the_given_ca_is_believed)
{
	struct end end;

	start_server();
	end = fetch(server.ca_file, server.url);
	ck_assert_msg(end.err == AWS_OK, "%s", end.text);
	ck_assert_str_eq(end.text, "hi");
	stop_server();
}
END_TEST

START_TEST(certificate_of_nobody_is_refused_with_what_to_do)
{
	struct end end;

	start_server();
	end = fetch(NULL, server.url);
	ck_assert_int_eq(end.err, AWS_UNREACHABLE);
	ck_assert_msg(strstr(end.text, "AWS_CA_BUNDLE") != NULL, "%s", end.text);
	stop_server();
}
END_TEST

START_TEST(certificate_of_another_host_is_refused)
{
	char url[64];
	struct end end;

	start_server();
	snprintf(url, sizeof(url), "https://localhost:%s", strrchr(server.url, ':') + 1);
	end = fetch(server.ca_file, url);
	ck_assert_int_eq(end.err, AWS_UNREACHABLE);
	stop_server();
}
END_TEST

START_TEST(ca_file_that_cannot_be_read_is_named)
{
	struct end end;

	start_server();
	end = fetch("/nonexistent/ca.pem", server.url);
	ck_assert_int_eq(end.err, AWS_UNREACHABLE);
	ck_assert_msg(strstr(end.text, "/nonexistent/ca.pem") != NULL, "%s", end.text);
	stop_server();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		certificate_of_the_given_ca_is_believed,
		certificate_of_nobody_is_refused_with_what_to_do,
		certificate_of_another_host_is_refused,
		ca_file_that_cannot_be_read_is_named,
	};

	return run_tests("control_aws_http_tls", tests, COUNT(tests));
}
