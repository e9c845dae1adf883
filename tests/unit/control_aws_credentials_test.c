/* SPDX-License-Identifier: Apache-2.0
 *
 * The credential chain over time: when credentials are renewed, who waits for it, and what happens
 * while that fails. Time is the rig's, HTTP its routes.
 */
/* link: -Wl,--wrap=http_start,--wrap=http_cancel,--wrap=http_header */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=log_event */
#include "tests/unit/control_aws_rig.h"

#define HOUR_S 3600

/* An instance whose role gives these keys. */
static struct route *set_instance(const char *key_id, int64_t expires_s)
{
	route(IMDS_TOKEN, 200, "imds-token");
	route(IMDS_ROLE, 200, "node\n");
	return route(IMDS_KEYS, 200, keys_json(key_id, expires_s));
}

/* One whose metadata service is gone after the first answer. */
static struct credential_chain *chain_of_lost_instance(int64_t expires_s)
{
	struct credential_chain *chain = chain_of(NULL, NULL);

	set_instance("AKIDOLD", expires_s)->times = 1;
	route(IMDS_KEYS, 0, NULL)->err = AWS_TIMEOUT;
	ck_assert_str_eq(get(chain).key_id, "AKIDOLD");
	return chain;
}

START_TEST(keys_of_the_environment_are_given_without_asking_anybody)
{
	struct credential_chain *chain;
	struct waiter said;

	rig_begin();
	setenv("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "hush-env", 1);
	setenv("AWS_SESSION_TOKEN", "token-env", 1);
	chain = chain_of(NULL, NULL);
	ck_assert_ptr_null(credentials_provider(chain));
	said = get(chain);
	ck_assert_str_eq(said.key_id, "AKIDENV");
	ck_assert_str_eq(said.token, "token-env");
	ck_assert_str_eq(credentials_provider(chain), "environment");
	ck_assert_uint_eq(credentials_expiry_wall_us(chain), 0);
	ck_assert_str_eq(asked, "");
	rig_end(chain);
}
END_TEST

START_TEST(an_instance_is_asked_with_a_token_and_never_without)
{
	struct credential_chain *chain;

	rig_begin();
	set_instance("AKIDNODE", 6 * HOUR_S);
	chain = chain_of(NULL, NULL);
	ck_assert_str_eq(get(chain).key_id, "AKIDNODE");
	ck_assert_str_eq(credentials_provider(chain), "imds");
	ck_assert_uint_eq(credentials_expiry_wall_us(chain), (WALL_S + 6 * HOUR_S) * US_PER_SEC);
	ck_assert_str_eq(asked,
			 IMDS_TOKEN " |X-aws-ec2-metadata-token-ttl-seconds: 21600\n" IMDS_ROLE
				    "|X-aws-ec2-metadata-token: imds-token\n" IMDS_KEYS
				    "|X-aws-ec2-metadata-token: imds-token\n");
	get(chain);
	ck_assert_uint_eq(times_asked(IMDS_KEYS), 1);
	rig_end(chain);
}
END_TEST

START_TEST(new_credentials_are_there_ten_minutes_ahead_before_anyone_has_to_wait)
{
	struct credential_chain *chain;

	rig_begin();
	set_instance("AKIDOLD", 6 * HOUR_S)->times = 1;
	route(IMDS_KEYS, 200, keys_json("AKIDNEW", 12 * HOUR_S));
	chain = chain_of(NULL, NULL);
	get(chain);
	pass_s(6 * HOUR_S - 15 * 60 - 1);
	ck_assert_uint_eq(times_asked(IMDS_KEYS), 1);
	pass_s(5 * 60);
	ck_assert_uint_eq(times_asked(IMDS_KEYS), 2);
	ck_assert_str_eq(get(chain).key_id, "AKIDNEW");
	ck_assert_uint_eq(times_asked(IMDS_KEYS), 2);
	ck_assert_str_eq(logged, "");
	rig_end(chain);
}
END_TEST

START_TEST(old_credentials_are_handed_out_while_new_ones_are_fetched)
{
	struct credential_chain *chain;

	rig_begin();
	set_instance("AKIDOLD", 6 * HOUR_S)->times = 1;
	route(IMDS_KEYS, 200, "")->never = true;
	chain = chain_of(NULL, NULL);
	get(chain);
	pass_s(6 * HOUR_S - 11 * 60);
	ck_assert_uint_eq(times_asked(IMDS_KEYS), 2);
	ck_assert_str_eq(get(chain).key_id, "AKIDOLD");
	rig_end(chain);
}
END_TEST

START_TEST(a_refusal_while_new_ones_are_fetched_does_not_ask_twice)
{
	struct waiter waiter = {.wait.on_credentials = on_told};
	struct credential_chain *chain;

	rig_begin();
	set_instance("AKIDOLD", 6 * HOUR_S)->times = 1;
	route(IMDS_KEYS, 200, "")->never = true;
	chain = chain_of(NULL, NULL);
	get(chain);
	pass_s(6 * HOUR_S - 11 * 60);
	credentials_get(chain, &waiter.wait);
	credentials_refused(chain);
	settle();
	ck_assert_uint_eq(waiter.told, 0);
	ck_assert_uint_eq(times_asked(IMDS_KEYS), 2);
	rig_end(chain);
}
END_TEST

START_TEST(within_ten_minutes_of_the_end_one_waits_for_new_credentials)
{
	struct waiter waiter = {.wait.on_credentials = on_told};
	struct credential_chain *chain;

	rig_begin();
	set_instance("AKIDOLD", 6 * HOUR_S)->times = 1;
	route(IMDS_KEYS, 200, "")->never = true;
	chain = chain_of(NULL, NULL);
	get(chain);
	pass_s(6 * HOUR_S - 9 * 60);
	credentials_get(chain, &waiter.wait);
	settle();
	ck_assert_uint_eq(waiter.told, 0);
	rig_end(chain);
	ck_assert(!waiter.wait.waiting);
}
END_TEST

START_TEST(many_wait_for_one_request)
{
	struct waiter waiters[5];
	struct credential_chain *chain;

	rig_begin();
	set_instance("AKIDNODE", 6 * HOUR_S);
	chain = chain_of(NULL, NULL);
	for (size_t i = 0; i < COUNT(waiters); i++) {
		waiters[i] = (struct waiter){.wait.on_credentials = on_told};
		credentials_get(chain, &waiters[i].wait);
	}
	credentials_forget_wait(chain, &waiters[3].wait);
	settle();
	for (size_t i = 0; i < COUNT(waiters); i++)
		ck_assert_uint_eq(waiters[i].told, i != 3);
	ck_assert_uint_eq(times_asked(IMDS_TOKEN), 1);
	ck_assert_uint_eq(times_asked(IMDS_KEYS), 1);
	rig_end(chain);
}
END_TEST

START_TEST(credentials_of_an_instance_are_used_beyond_their_end_while_metadata_fails)
{
	struct credential_chain *chain;

	rig_begin();
	chain = chain_of_lost_instance(6 * HOUR_S);
	pass_s(7 * HOUR_S);
	ck_assert_str_eq(get(chain).key_id, "AKIDOLD");
	ck_assert_ptr_nonnull(strstr(logged, "1 credentials_not_renewed provider=imds"));
	ck_assert_ptr_nonnull(strstr(logged, "1 credentials_expired provider=imds expired_s="));
	route_count = 2; /* the service is back */
	route(IMDS_KEYS, 200, keys_json("AKIDNEW", 14 * HOUR_S));
	pass_s(3 * 60);
	ck_assert_str_eq(get(chain).key_id, "AKIDNEW");
	rig_end(chain);
}
END_TEST

START_TEST(a_failing_metadata_service_is_asked_at_most_once_a_minute)
{
	struct credential_chain *chain;
	unsigned before;

	rig_begin();
	chain = chain_of_lost_instance(6 * HOUR_S);
	pass_s(7 * HOUR_S);
	before = times_asked(IMDS_KEYS);
	for (unsigned i = 0; i < 600; i++) {
		get(chain);
		pass_s(1);
	}
	ck_assert_uint_gt(times_asked(IMDS_KEYS), before);
	ck_assert_uint_le(times_asked(IMDS_KEYS), before + 3 * 11);
	rig_end(chain);
}
END_TEST

START_TEST(an_instance_that_goes_on_giving_expired_credentials_is_believed)
{
	struct credential_chain *chain;

	rig_begin();
	set_instance("AKIDOLD", -60);
	chain = chain_of(NULL, NULL);
	ck_assert_str_eq(get(chain).key_id, "AKIDOLD");
	ck_assert_ptr_nonnull(strstr(logged, "1 credentials_expired provider=imds expired_s=60"));
	get(chain);
	ck_assert_uint_eq(times_asked(IMDS_KEYS), 1);
	pass_s(11 * 60);
	ck_assert_uint_eq(times_asked(IMDS_KEYS), 2);
	rig_end(chain);
}
END_TEST

START_TEST(a_container_that_gives_expired_credentials_is_not_believed)
{
	struct credential_chain *chain;
	struct waiter said;

	rig_begin();
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/keys", 1);
	route(AGENT_KEYS, 200, keys_json("AKIDTASK", -60));
	chain = chain_of(NULL, NULL);
	said = get(chain);
	ck_assert_int_eq(said.error.kind, AWS_CREDENTIALS);
	ck_assert_ptr_nonnull(strstr(said.error.text, "provider container have expired"));
	ck_assert_ptr_null(credentials_provider(chain));
	rig_end(chain);
}
END_TEST

START_TEST(credentials_of_a_container_end_when_they_end)
{
	struct credential_chain *chain;

	rig_begin();
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/keys", 1);
	route(AGENT_KEYS, 200, keys_json("AKIDTASK", HOUR_S))->times = 1;
	route(AGENT_KEYS, 0, NULL)->err = AWS_UNREACHABLE;
	chain = chain_of(NULL, NULL);
	get(chain);
	pass_s(HOUR_S - 5 * 60);
	ck_assert_str_eq(get(chain).key_id, "AKIDTASK");
	ck_assert_ptr_nonnull(strstr(logged, "credentials_not_renewed provider=container"));
	pass_s(6 * 60);
	ck_assert_int_eq(get(chain).error.kind, AWS_UNREACHABLE);
	rig_end(chain);
}
END_TEST

START_TEST(what_the_service_refused_is_asked_for_anew)
{
	struct credential_chain *chain;

	rig_begin();
	set_instance("AKIDOLD", 6 * HOUR_S)->times = 1;
	route(IMDS_KEYS, 200, keys_json("AKIDNEW", 7 * HOUR_S))->times = 1;
	route(IMDS_KEYS, 0, NULL)->err = AWS_TIMEOUT;
	chain = chain_of(NULL, NULL);
	get(chain);
	credentials_refused(chain);
	ck_assert_str_eq(get(chain).key_id, "AKIDNEW");
	credentials_refused(chain);
	ck_assert_int_eq(get(chain).error.kind, AWS_TIMEOUT);
	rig_end(chain);
}
END_TEST

START_TEST(short_lives_are_renewed_in_proportion)
{
	struct credential_chain *chain;

	rig_begin();
	set_instance("AKIDOLD", 15 * 60);
	chain = chain_of(NULL, NULL);
	get(chain);
	get(chain);
	ck_assert_uint_eq(times_asked(IMDS_KEYS), 1);
	pass_s(7 * 60);
	ck_assert_uint_eq(times_asked(IMDS_KEYS), 1);
	pass_s(3 * 60);
	ck_assert_uint_eq(times_asked(IMDS_KEYS), 2);
	rig_end(chain);
}
END_TEST

START_TEST(the_moment_of_renewal_differs_from_node_to_node)
{
	struct credential_chain *chains[20];
	unsigned before;

	rig_begin();
	set_instance("AKIDOLD", 6 * HOUR_S);
	for (size_t i = 0; i < COUNT(chains); i++) {
		chains[i] = chain_of(NULL, NULL);
		get(chains[i]);
	}
	pass_s(6 * HOUR_S - 15 * 60 + 75);
	before = times_asked(IMDS_KEYS);
	ck_assert_uint_gt(before, COUNT(chains));
	ck_assert_uint_lt(before, 2 * COUNT(chains));
	for (size_t i = 0; i < COUNT(chains); i++)
		credential_chain_free(chains[i]);
	rig_end(NULL);
}
END_TEST

START_TEST(the_clock_of_the_service_decides_when_they_end)
{
	struct credential_chain *chain;

	rig_begin();
	set_instance("AKIDOLD", 6 * HOUR_S);
	chain = chain_of(NULL, NULL);
	get(chain);
	credential_chain_set_skew(chain, (int64_t)(6 * HOUR_S - 60) * (int64_t)US_PER_SEC);
	get(chain);
	ck_assert_uint_eq(times_asked(IMDS_KEYS), 2);
	rig_end(chain);
}
END_TEST

/* Asks again from inside the answer, once. */
struct again {
	struct waiter waiter;
	struct credential_chain *chain;
	bool free_it;
};

static void on_told_again(struct credential_wait *wait, const struct credentials *credentials,
			  const struct aws_error *error)
{
	struct again *again =
		container_of(container_of(wait, struct waiter, wait), struct again, waiter);

	on_told(wait, credentials, error);
	if (again->free_it)
		credential_chain_free(again->chain);
	else if (again->waiter.told == 1)
		credentials_get(again->chain, wait);
}

START_TEST(one_who_asks_again_from_inside_the_answer_is_answered_later)
{
	struct again again = {.waiter.wait.on_credentials = on_told_again};

	rig_begin();
	set_instance("AKIDNODE", 6 * HOUR_S);
	again.chain = chain_of(NULL, NULL);
	credentials_get(again.chain, &again.waiter.wait);
	settle();
	ck_assert_uint_eq(again.waiter.told, 2);
	rig_end(again.chain);
}
END_TEST

START_TEST(a_chain_may_be_freed_from_inside_an_answer)
{
	struct again again = {.waiter.wait.on_credentials = on_told_again, .free_it = true};
	struct waiter other = {.wait.on_credentials = on_told};

	rig_begin();
	set_instance("AKIDNODE", 6 * HOUR_S);
	again.chain = chain_of(NULL, NULL);
	credentials_get(again.chain, &again.waiter.wait);
	credentials_get(again.chain, &other.wait);
	settle();
	ck_assert_uint_eq(again.waiter.told, 1);
	ck_assert_uint_eq(other.told, 0);
	ck_assert(!other.wait.waiting);
	rig_end(NULL);
}
END_TEST

START_TEST(the_error_of_the_last_provider_names_all_that_were_asked)
{
	struct credential_chain *chain;
	struct waiter said;

	rig_begin();
	route(IMDS_TOKEN, 0, NULL)->err = AWS_TIMEOUT;
	chain = chain_of(NULL, NULL);
	said = get(chain);
	ck_assert_int_eq(said.error.kind, AWS_TIMEOUT);
	ck_assert_ptr_nonnull(strstr(said.error.text, "HttpPutResponseHopLimit"));
	ck_assert_ptr_nonnull(strstr(said.error.text, "environment: "));
	ck_assert_ptr_nonnull(strstr(said.error.text, "web identity: "));
	ck_assert_ptr_nonnull(strstr(said.error.text, "profile default: "));
	ck_assert_ptr_nonnull(strstr(said.error.text, "container: "));
	ck_assert_uint_eq(times_asked(IMDS_TOKEN), 3);
	ck_assert_uint_eq(times_asked("GET"), 0);
	rig_end(chain);
}
END_TEST

START_TEST(an_instance_without_a_role_is_told_what_it_lacks)
{
	struct credential_chain *chain;

	rig_begin();
	route(IMDS_TOKEN, 200, "imds-token");
	route(IMDS_ROLE, 404, "");
	chain = chain_of(NULL, NULL);
	ck_assert_ptr_nonnull(strstr(get(chain).error.text, "attach an instance profile"));
	ck_assert_uint_eq(times_asked(IMDS_ROLE), 1);
	rig_end(chain);
}
END_TEST

START_TEST(answers_that_cannot_be_believed_are_not)
{
	static const char *const bad[] = {
		"",
		"<html>hush</html>",
		"[]",
		"{\"Code\": \"AssumeRoleUnauthorizedAccess\", \"Message\": \"hush\"}",
		"{\"AccessKeyId\": \"AKID\"}",
		"{\"AccessKeyId\": \"AKID\", \"SecretAccessKey\": \"hush\\r\\nX: y\"}",
		"{\"AccessKeyId\": \"A/B\", \"SecretAccessKey\": \"hush\"}",
		"{\"AccessKeyId\": \"AKID\", \"SecretAccessKey\": \"hush\", \"Expiration\": \"x\"}",
		"{\"AccessKeyId\": 1, \"SecretAccessKey\": \"hush\"}",
	};

	rig_begin();
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/keys", 1);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct credential_chain *chain = chain_of(NULL, NULL);

		route(AGENT_KEYS, 200, bad[i])->times = 1;
		ck_assert_int_eq(get(chain).error.kind, AWS_GARBAGE);
		credential_chain_free(chain);
	}
	rig_end(NULL);
}
END_TEST

START_TEST(a_name_of_a_role_that_is_none_never_becomes_a_path)
{
	static const char *const bad[] = {"", "\nnode", "../../user-data", "a b", "a?b"};

	rig_begin();
	route(IMDS_TOKEN, 200, "imds-token");
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct credential_chain *chain = chain_of(NULL, NULL);

		route(IMDS_ROLE, 200, bad[i])->times = 1;
		ck_assert_int_eq(get(chain).error.kind, AWS_GARBAGE);
		credential_chain_free(chain);
	}
	ck_assert_uint_eq(times_asked("GET"), COUNT(bad));
	rig_end(NULL);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		keys_of_the_environment_are_given_without_asking_anybody,
		an_instance_is_asked_with_a_token_and_never_without,
		new_credentials_are_there_ten_minutes_ahead_before_anyone_has_to_wait,
		old_credentials_are_handed_out_while_new_ones_are_fetched,
		a_refusal_while_new_ones_are_fetched_does_not_ask_twice,
		within_ten_minutes_of_the_end_one_waits_for_new_credentials,
		many_wait_for_one_request,
		credentials_of_an_instance_are_used_beyond_their_end_while_metadata_fails,
		a_failing_metadata_service_is_asked_at_most_once_a_minute,
		an_instance_that_goes_on_giving_expired_credentials_is_believed,
		a_container_that_gives_expired_credentials_is_not_believed,
		credentials_of_a_container_end_when_they_end,
		what_the_service_refused_is_asked_for_anew,
		short_lives_are_renewed_in_proportion,
		the_moment_of_renewal_differs_from_node_to_node,
		the_clock_of_the_service_decides_when_they_end,
		one_who_asks_again_from_inside_the_answer_is_answered_later,
		a_chain_may_be_freed_from_inside_an_answer,
		the_error_of_the_last_provider_names_all_that_were_asked,
		an_instance_without_a_role_is_told_what_it_lacks,
		answers_that_cannot_be_believed_are_not,
		a_name_of_a_role_that_is_none_never_becomes_a_path,
	};

	return run_tests("credentials", tests, COUNT(tests));
}
