/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls to AWS APIs: one operation is every page of one action, signed, retried, within the
 * account's budget, over the loop of the caller.
 *
 * Happy path: aws_start() takes an operation; credentials are found, each page is sent, on_page()
 * sees each answer as one JSON tree whatever the protocol was, and on_end() comes once, last.
 * Failure modes: on_end() gets the error with its remedy; pages that were seen before count for
 * nothing. A token that comes again, an answer that ends early or is no XML or JSON, and more pages
 * than AWS_PAGES are errors. Nothing is told from inside aws_start(); after aws_cancel() nothing is
 * told at all.
 *
 * XML becomes JSON (the Query protocols): an element without elements inside is a string, an
 * element whose children are all called `item` or `member` is an array, any other an object. The
 * root is what stands inside <XResponse>, and for the Query protocol (not EC2's) inside <XResult>.
 * An empty element is "", which aws_list() takes for an empty array.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aws;
struct aws_hub;
struct aws_run;
struct http;
struct loop;

enum aws_service {
	AWS_EC2,           /* EC2 Query, 2016-11-15 */
	AWS_AUTOSCALING,   /* Query, 2011-01-01 */
	AWS_ELBV2,         /* Query, 2015-12-01; signs as elasticloadbalancing */
	AWS_STS,           /* Query, 2011-06-15 */
	AWS_SNS,           /* Query, 2010-03-31 */
	AWS_ECS,           /* JSON 1.1, AmazonEC2ContainerServiceV20141113 */
	AWS_CLOUDMAP,      /* JSON 1.1, Route53AutoNaming_v20170314, servicediscovery */
	AWS_CLOUDMAP_DATA, /* the same; host data-servicediscovery, signs as servicediscovery */
	AWS_SQS,           /* JSON 1.0, AmazonSQS */
	AWS_SERVICES
};

enum aws_error_kind {
	AWS_OK,
	AWS_UNREACHABLE, /* name, connect, TLS, reset */
	AWS_TIMEOUT,
	AWS_CREDENTIALS, /* none found, expired, refused */
	AWS_DENIED,      /* signed well, but not allowed */
	AWS_THROTTLED,
	AWS_SERVER,  /* 5xx */
	AWS_CLOCK,   /* the clocks differ even after a correction */
	AWS_GARBAGE, /* an answer that cannot be believed */
	AWS_REFUSED, /* any other error of the service: see code */
	AWS_MEMORY,
	AWS_ERROR_KINDS
};

extern const char *const aws_error_kind_names[AWS_ERROR_KINDS]; /* "throttled", for metrics */

struct aws_error {
	enum aws_error_kind kind;
	long status;    /* of HTTP; 0: there was no answer */
	char code[96];  /* the service's: "UnauthorizedOperation"; "" if it had none */
	char text[512]; /* one sentence: which call, what was said, what to do; never a secret */
};

/* Whose API. Texts are borrowed until aws_open() returns; NULL: as the environment says. */
struct aws_place {
	const char *region;
	const char *profile;
	const char *role_arn; /* assumed on top of what the chain gives */
	const char *external_id;
	const char *endpoint; /* URL for every service, e.g. a simulator's */
};

struct aws_hub_conf {
	const char *ca_file;    /* NULL: AWS_CA_BUNDLE, else the system's */
	bool fips;              /* also AWS_USE_FIPS_ENDPOINT */
	bool dual_stack;        /* also AWS_USE_DUALSTACK_ENDPOINT */
	uint32_t fleet_size;    /* nodes that share the account's budget; at least 1 */
	uint32_t api_rate;      /* calls a second of the whole fleet, per class of calls; 0: 5 */
	uint32_t concurrency;   /* requests at once; 0: 8 */
	const char *user_agent; /* "sluice-control/0.1.0" */
};

/* One per process: connections, clock correction, credentials and budgets that places share.
 * `loop` is borrowed. 0 or -errno. */
int aws_hub_new(struct loop *loop, const struct aws_hub_conf *conf, struct aws_hub **ret_hub);
/* The fleet has so many nodes now, at least 1. */
void aws_hub_set_fleet_size(struct aws_hub *hub, uint32_t nodes);
void aws_hub_free(struct aws_hub *hub); /* after every place, from no callback; accepts NULL */

/* 0, -ENOMEM, or -EINVAL with a sentence in `ret_problem` (`size` bytes): no such region, ...  No
 * I/O; the region may still be unknown, then the first call asks IMDS. */
int aws_open(struct aws_hub *hub, const struct aws_place *place, struct aws **ret_aws,
	     char *ret_problem, size_t size);
void aws_close(struct aws *aws); /* its runs are cancelled; accepts NULL */

/* Its requests, for others of the process to share; lives as long as the hub. */
struct http *aws_hub_http(const struct aws_hub *hub);

/* The region, or NULL while it is not known. */
const char *aws_region(const struct aws *aws);
/* The partition of the region: "aws", "aws-cn", "aws-us-gov", ... */
const char *aws_partition(const struct aws *aws);

/* The provider of the credentials in use and when they end (0: never), or NULL: none so far. */
const char *aws_credentials(const struct aws *aws, uint64_t *ret_expires_wall_us);

struct aws_op {
	enum aws_service service;
	const char *action; /* "DescribeInstances" */

	/* An object with the keys as on the wire; taken over, NULL fails with AWS_MEMORY. For
	 * Query:
	 * {"Filter": [{"Name": "x", "Value": ["y"]}]} becomes Filter.1.Name=x&Filter.1.Value.1=y
	 * for EC2, and with ".member" before each number for the others. Booleans become true and
	 * false, numbers decimal. */
	json_t *input;

	/* Paging: the answer's key that goes into the request's, or both NULL. */
	const char *token_out; /* "nextToken" */
	const char *token_in;  /* "NextToken" */

	/* 0, or -errno to end with AWS_GARBAGE (-EPROTO) or AWS_MEMORY (-ENOMEM). `page` is
	 * borrowed. May be NULL. Must not cancel or free its own run. */
	int (*on_page)(void *context, const json_t *page);
	/* Once; `error` NULL: all went well. The run is gone when it is called. */
	void (*on_end)(void *context, const struct aws_error *error);
	void *context;

	uint32_t timeout_ms; /* of one attempt; 0: 10 s (a long poll of SQS needs more) */
	bool once;           /* no retry */
};

#define AWS_PAGES 1000

/* NULL without memory, and `op->input` is freed. Strings of `op` must outlive the run. */
struct aws_run *aws_start(struct aws *aws, const struct aws_op *op);
void aws_cancel(struct aws_run *run); /* accepts NULL */

/* The same operation for `items` (an array of strings, taken over), `batch` at most at a time, as
 * the array `key` of the input; `on_end` comes after the last batch, or the first that fails. */
struct aws_run *aws_start_batches(struct aws *aws, const struct aws_op *op, const char *key,
				  json_t *items, size_t batch);

/* --- reading answers: each accepts NULL and gives NULL or "nothing" for what is not there --- */

const char *aws_text(const json_t *object, const char *key);   /* NULL if absent or empty */
const json_t *aws_list(const json_t *object, const char *key); /* an array, or NULL */
const json_t *aws_object(const json_t *object, const char *key);
/* Numbers of JSON, and decimal texts of XML. */
bool aws_number(const json_t *object, const char *key, int64_t *ret_number);
bool aws_true(const json_t *object, const char *key);
/* The value in a list of {"key": .., "value": ..} (or Key and Value): tags. */
const char *aws_tag(const json_t *tags, const char *name);

/* --- seen from outside --- */

struct aws_counts {
	uint64_t calls; /* requests sent, retries included */
	uint64_t retries;
	uint64_t throttles;               /* answers that said so */
	uint64_t waits;                   /* calls that waited for the budget */
	uint64_t errors[AWS_ERROR_KINDS]; /* operations that ended so */
};

/* By service, summed over places. `ret_counts` has AWS_SERVICES entries. */
void aws_hub_counts(const struct aws_hub *hub, struct aws_counts *ret_counts);
extern const char *const aws_service_names[AWS_SERVICES]; /* "ec2"; each once */

/* How far the service's clock is ahead of ours, as corrected for; milliseconds. */
int64_t aws_hub_skew_ms(const struct aws_hub *hub);
