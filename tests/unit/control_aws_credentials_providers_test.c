/* SPDX-License-Identifier: Apache-2.0
 *
 * Which provider is chosen, and how each is asked: order, profiles and their roles, containers and
 * whom they may be, web identity, STS. HTTP is the rig's routes.
 */
/* link: -Wl,--wrap=http_start,--wrap=http_cancel,--wrap=http_header */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=log_event */
#include "tests/unit/control_aws_rig.h"

#define CONFIG      "AWS_CONFIG_FILE"
#define CREDENTIALS "AWS_SHARED_CREDENTIALS_FILE"
#define KEYS(id)    "aws_access_key_id = " id "\naws_secret_access_key = hush-" id "\n"

static const char *const assume = STS_URL "Action=AssumeRole&Version=2011-06-15&RoleArn=";

/* What `profile` (NULL: not named) comes to. */
static struct waiter once(const char *profile, const char *role_arn)
{
	struct credential_chain *chain = chain_of(profile, role_arn);
	struct waiter said = get(chain);

	credential_chain_free(chain);
	return said;
}

static void expect_refusal(const char *profile, const char *words)
{
	struct waiter said = once(profile, NULL);

	ck_assert_msg(strstr(said.error.text, words) != NULL, "\"%s\" is not in \"%s\"", words,
		      said.error.text);
	ck_assert_int_eq(said.error.kind, AWS_CREDENTIALS);
}

START_TEST(the_order_is_the_one_of_the_sdks)
{
	rig_begin();
	route(IMDS_TOKEN, 200, "imds-token");
	route(IMDS_ROLE, 200, "node");
	route(IMDS_KEYS, 200, keys_json("AKIDNODE", 21600));
	ck_assert_str_eq(once(NULL, NULL).key_id, "AKIDNODE");
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/keys", 1);
	route(AGENT_KEYS, 200, keys_json("AKIDTASK", 21600));
	ck_assert_str_eq(once(NULL, NULL).key_id, "AKIDTASK");
	set_file(CREDENTIALS, "credentials", "[default]\n" KEYS("AKIDFILE"));
	ck_assert_str_eq(once(NULL, NULL).key_id, "AKIDFILE");
	set_file("AWS_WEB_IDENTITY_TOKEN_FILE", "web", "token-jwt\n");
	setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/w", 1);
	route(STS_URL, 200, keys_xml("AssumeRoleWithWebIdentity", "AKIDWEB", 3600));
	ck_assert_str_eq(once(NULL, NULL).key_id, "AKIDWEB");
	setenv("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "hush", 1);
	ck_assert_str_eq(once(NULL, NULL).key_id, "AKIDENV");
	ck_assert_str_eq(once("default", NULL).key_id, "AKIDFILE"); /* named: it outranks */
	rig_end(NULL);
}
END_TEST

START_TEST(half_of_a_pair_in_the_environment_ends_the_chain)
{
	rig_begin();
	setenv("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
	expect_refusal(NULL, "AWS_SECRET_ACCESS_KEY is not");
	setenv("AWS_SECRET_ACCESS_KEY", "hush\n", 1);
	expect_refusal(NULL, "characters that no credentials have");
	setenv("AWS_SECRET_ACCESS_KEY", "hush", 1);
	setenv("AWS_CREDENTIAL_EXPIRATION", "soon", 1);
	expect_refusal(NULL, "AWS_CREDENTIAL_EXPIRATION");
	unsetenv("AWS_ACCESS_KEY_ID");
	expect_refusal(NULL, "AWS_ACCESS_KEY_ID is not");
	ck_assert_str_eq(asked, "");
	rig_end(NULL);
}
END_TEST

START_TEST(both_files_make_one_profile_and_the_credentials_file_outranks)
{
	char region[64];

	rig_begin();
	set_file(CONFIG, "config",
		 "[profile a]\nregion = eu-north-1\n" KEYS("AKIDCONFIG") "[profile b]\n" KEYS(
			 "AKIDB") "[default]\nregion = us-west-2\n[profile c]\n");
	set_file(CREDENTIALS, "credentials", "[a]\n" KEYS("AKIDA") "aws_session_token = token-a\n");
	ck_assert_str_eq(once("a", NULL).key_id, "AKIDA");
	ck_assert_str_eq(once("a", NULL).token, "token-a");
	ck_assert_str_eq(once("b", NULL).key_id, "AKIDB");
	ck_assert_str_eq(credentials_region("a", region), "eu-north-1");
	ck_assert_str_eq(credentials_region(NULL, region), "us-west-2");
	ck_assert_ptr_null(credentials_region("b", region));
	setenv("AWS_PROFILE", "a", 1);
	ck_assert_str_eq(once(NULL, NULL).key_id, "AKIDA");
	ck_assert_str_eq(credentials_region(NULL, region), "eu-north-1");
	setenv("AWS_DEFAULT_REGION", "eu-west-2", 1);
	ck_assert_str_eq(credentials_region(NULL, region), "eu-west-2");
	setenv("AWS_REGION", "eu-west-3", 1);
	ck_assert_str_eq(credentials_region(NULL, region), "eu-west-3");
	expect_refusal("nobody", "there is no profile nobody");
	ck_assert_ptr_nonnull(strstr(once("c", NULL).error.text, "profile c has no credentials"));
	rig_end(NULL);
}
END_TEST

START_TEST(a_file_that_cannot_be_parsed_is_named_with_its_line_and_no_word_of_it)
{
	rig_begin();
	set_file(CREDENTIALS, "credentials", "[default]\naws_secret_access_key hush\n");
	expect_refusal(NULL, "credentials: line 2 is neither");
	setenv(CREDENTIALS, "/dev/zero", 1);
	ck_assert_ptr_nonnull(strstr(once(NULL, NULL).error.text, "/dev/zero: Invalid argument"));
	rig_end(NULL);
}
END_TEST

START_TEST(roles_are_assumed_from_the_bottom_up_each_signed_by_the_one_below)
{
	struct waiter said;

	rig_begin();
	set_file(CONFIG, "config",
		 "[profile top]\nrole_arn = arn:aws:iam::1:role/top\nsource_profile = middle\n"
		 "external_id = secret id\nrole_session_name = me@host\nduration_seconds = 900\n"
		 "[profile middle]\nrole_arn = arn:aws:iam::1:role/middle\n"
		 "source_profile = base\n[profile base]\n" KEYS("AKIDBASE"));
	route(STS_URL
	      "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2F"
	      "middle&",
	      200, keys_xml("AssumeRole", "AKIDMIDDLE", 3600));
	route(STS_URL
	      "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2F"
	      "top&RoleSessionName=me%40host&ExternalId=secret%20id&DurationSeconds=900|",
	      200, keys_xml("AssumeRole", "AKIDTOP", 3600));
	route(STS_URL, 200, keys_xml("AssumeRole", "AKIDOURS", 3600));
	said = once("top", "arn:aws:iam::2:role/ours");
	ck_assert_str_eq(said.key_id, "AKIDOURS");
	ck_assert_str_eq(said.provider, "assumed role");
	ck_assert(strstr(asked, "role%2Fmiddle&") < strstr(asked, "role%2Ftop&"));
	ck_assert(strstr(asked, "role%2Ftop&") < strstr(asked, "role%2Fours&"));
	ck_assert_ptr_nonnull(strstr(asked, "Credential=AKIDBASE/20260101/eu-west-1/sts/"));
	ck_assert_ptr_nonnull(strstr(asked, "Credential=AKIDMIDDLE/20260101/eu-west-1/sts/"));
	ck_assert_ptr_nonnull(strstr(asked, "Credential=AKIDTOP/20260101/eu-west-1/sts/"));
	ck_assert_ptr_nonnull(strstr(asked, "|X-Amz-Security-Token: token-AKIDTOP"));
	ck_assert_ptr_nonnull(strstr(asked, "role%2Fours&RoleSessionName=sluice-control"));
	ck_assert_ptr_nonnull(strstr(asked, "&ExternalId=ours|"));
	ck_assert_ptr_null(strstr(asked, "hush"));
	ck_assert_uint_eq(times_asked(assume), 3);
	rig_end(NULL);
}
END_TEST

START_TEST(a_profile_may_be_its_own_source_for_the_keys_beside_its_role)
{
	rig_begin();
	set_file(CONFIG, "config",
		 "[profile a]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = a\n" KEYS(
			 "AKIDA") "[profile b]\nrole_arn = x\nsource_profile = c\n"
				  "[profile c]\nrole_arn = x\nsource_profile = b\n"
				  "[profile d]\nrole_arn = x\nsource_profile = d\n"
				  "[profile e]\nrole_arn = x\nsource_profile = b\n");
	route(STS_URL, 200, keys_xml("AssumeRole", "AKIDROLE", 3600));
	ck_assert_str_eq(once("a", NULL).key_id, "AKIDROLE");
	expect_refusal("b", "circle: b comes again");
	expect_refusal("d", "circle: d comes again");
	expect_refusal("e", "circle: b comes again");
	ck_assert_uint_eq(times_asked("POST"), 1);
	rig_end(NULL);
}
END_TEST

START_TEST(a_ladder_of_roles_that_never_ends_is_cut)
{
	char text[4096] = "";

	rig_begin();
	for (unsigned i = 0; i < 20; i++)
		sprintf(text + strlen(text), "[profile p%u]\nrole_arn = x\nsource_profile = p%u\n",
			i, i + 1);
	set_file(CONFIG, "config", text);
	expect_refusal("p0", "more than 8 roles");
	rig_end(NULL);
}
END_TEST

START_TEST(a_profile_says_what_is_wrong_with_it_and_what_to_use_instead)
{
	rig_begin();
	set_file(CONFIG, "config",
		 "[profile process]\ncredential_process = /bin/keys hush\n"
		 "[profile sso]\nsso_session = corp\n"
		 "[profile old]\nsso_start_url = https://hush\n"
		 "[profile mfa]\nrole_arn = x\nsource_profile = old\nmfa_serial = y\n"
		 "[profile both]\nrole_arn = x\nsource_profile = old\n"
		 "credential_source = Environment\n"
		 "[profile none]\nrole_arn = x\n"
		 "[profile where]\nrole_arn = x\ncredential_source = Elsewhere\n"
		 "[profile env]\nrole_arn = x\ncredential_source = Environment\n"
		 "[profile lost]\nrole_arn = x\nsource_profile = nobody\n"
		 "[profile empty]\nrole_arn = x\nsource_profile = nothing\n"
		 "[profile nothing]\nregion = x\n"
		 "[profile half]\naws_access_key_id = AKID\n"
		 "[profile tworoles]\nrole_arn = x\nsource_profile = sso\n");
	expect_refusal("process", "credential_process is not supported: programs are not run; use");
	expect_refusal("sso", "sso_session is not supported: single sign-on needs a person; use");
	expect_refusal("old", "sso_start_url is not supported");
	expect_refusal("mfa", "mfa_serial needs a person");
	expect_refusal("both", "needs one of source_profile and credential_source");
	expect_refusal("none", "needs one of source_profile and credential_source");
	expect_refusal("where", "credential_source is not Environment");
	expect_refusal("env", "AWS_ACCESS_KEY_ID is not set");
	expect_refusal("lost", "source_profile nobody does not exist");
	expect_refusal("empty", "source_profile nothing has no credentials");
	expect_refusal("half", "profile half has no aws_secret_access_key");
	expect_refusal("tworoles", "profile sso: sso_session is not supported");
	ck_assert_str_eq(asked, "");
	rig_end(NULL);
}
END_TEST

START_TEST(a_credential_source_is_asked_for_the_keys_below_a_role)
{
	rig_begin();
	set_file(CONFIG, "config",
		 "[profile node]\nrole_arn = x\ncredential_source = Ec2InstanceMetadata\n"
		 "[profile task]\nrole_arn = x\ncredential_source = EcsContainer\n"
		 "[profile env]\nrole_arn = x\ncredential_source = Environment\n");
	route(IMDS_TOKEN, 200, "imds-token");
	route(IMDS_ROLE, 200, "node");
	route(IMDS_KEYS, 200, keys_json("AKIDNODE", 21600));
	route(AGENT_KEYS, 200, keys_json("AKIDTASK", 21600));
	route(STS_URL, 200, keys_xml("AssumeRole", "AKIDROLE", 3600));
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/keys", 1);
	setenv("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "hush", 1);
	once("node", NULL);
	ck_assert_ptr_nonnull(strstr(asked, "Credential=AKIDNODE/"));
	once("task", NULL);
	ck_assert_ptr_nonnull(strstr(asked, "Credential=AKIDTASK/"));
	once("env", NULL);
	ck_assert_ptr_nonnull(strstr(asked, "Credential=AKIDENV/"));
	rig_end(NULL);
}
END_TEST

START_TEST(a_web_identity_is_exchanged_unsigned_with_the_token_of_the_moment)
{
	rig_begin();
	set_file("AWS_WEB_IDENTITY_TOKEN_FILE", "web", "token-one\n");
	setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/w", 1);
	setenv("AWS_ROLE_SESSION_NAME", "pod", 1);
	route(STS_URL, 200, keys_xml("AssumeRoleWithWebIdentity", "AKIDWEB", 3600));
	ck_assert_str_eq(once(NULL, NULL).provider, "web identity");
	ck_assert_str_eq(
		asked, STS_URL
		"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam"
		"%3A%3A1%3Arole%2Fw&RoleSessionName=pod&WebIdentityToken=token-one|Content-"
		"Type: application/x-www-form-urlencoded; charset=utf-8|Host: "
		"sts.eu-west-1.amazonaws.com\n");
	set_file("AWS_WEB_IDENTITY_TOKEN_FILE", "web", "token-two");
	once(NULL, NULL);
	ck_assert_ptr_nonnull(strstr(asked, "WebIdentityToken=token-two|"));
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token", 1);
	expect_refusal(NULL, "/nowhere/token: No such file");
	unsetenv("AWS_ROLE_ARN");
	expect_refusal(NULL, "AWS_ROLE_ARN is not");
	rig_end(NULL);
}
END_TEST

START_TEST(a_profile_may_have_a_web_identity_below_a_role)
{
	rig_begin();
	set_file("X", "web", "token-jwt");
	set_file(CONFIG, "config", "");
	{
		char text[512];

		snprintf(text, sizeof(text),
			 "[profile a]\nrole_arn = up\nsource_profile = b\n[profile b]\n"
			 "role_arn = down\nweb_identity_token_file = %s\n",
			 getenv("X"));
		set_file(CONFIG, "config", text);
	}
	route(STS_URL "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=down&", 200,
	      keys_xml("AssumeRoleWithWebIdentity", "AKIDWEB", 3600));
	route(STS_URL "Action=AssumeRole&Version=2011-06-15&RoleArn=up&", 200,
	      keys_xml("AssumeRole", "AKIDUP", 3600));
	ck_assert_str_eq(once("a", NULL).key_id, "AKIDUP");
	ck_assert_ptr_nonnull(strstr(asked, "Credential=AKIDWEB/"));
	rig_end(NULL);
}
END_TEST

START_TEST(a_container_is_asked_with_its_token)
{
	rig_begin();
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials", 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "plain", 1);
	route("GET http://169.254.170.23/v1/credentials ", 200, keys_json("AKIDPOD", 21600));
	ck_assert_str_eq(once(NULL, NULL).key_id, "AKIDPOD");
	ck_assert_ptr_nonnull(strstr(asked, "|Authorization: plain\n"));
	set_file("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "token", "rotated\n");
	once(NULL, NULL);
	ck_assert_ptr_nonnull(strstr(asked, "|Authorization: rotated\n"));
	set_file("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "token", "a\r\nb");
	expect_refusal(NULL, "has line breaks");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nowhere/x", 1);
	expect_refusal(NULL, "/nowhere/x: No such file");
	rig_end(NULL);
}
END_TEST

START_TEST(only_agents_loopback_and_https_are_told_the_token)
{
	static const char *const good[] = {
		"http://127.0.0.1:51678/x",  "http://127.200.0.1/x",   "http://[::1]:1/x",
		"http://localhost:8080/x",   "http://169.254.170.2/x", "http://[fd00:ec2::23]/x",
		"http://[FD00:EC2:0::23]/x", "https://example.com/x",
	};
	static const char *const bad[] = {"http://example.com/x",
					  "http://169.254.169.254/x",
					  "http://127.0.0.1@evil/x",
					  "http://127.0.0.1.evil/x",
					  "http://128.0.0.1/x",
					  "http://126.0.0.1/x",
					  "http://[fd00:ec2::24]/x",
					  "http://localhost.evil/x",
					  "file:///etc/passwd",
					  "ftp://127.0.0.1/x",
					  "http://user@127.0.0.1/x",
					  "127.0.0.1/x",
					  "http://",
					  "http://[::ffff:1.2.3.4]/x",
					  "https://u:p@example.com/x"};

	rig_begin();
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "token-secret", 1);
	for (size_t i = 0; i < COUNT(bad); i++) {
		setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", bad[i], 1);
		expect_refusal(NULL, "is not allowed");
	}
	ck_assert_str_eq(asked, "");
	for (size_t i = 0; i < COUNT(good); i++) {
		setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", good[i], 1);
		ck_assert_int_eq(once(NULL, NULL).error.kind, AWS_UNREACHABLE);
		ck_assert_ptr_nonnull(strstr(asked, good[i]));
	}
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "evil.example/x", 1);
	expect_refusal(NULL, "does not begin with a slash");
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "//x", 1);
	once(NULL, NULL);
	ck_assert_uint_eq(times_asked("GET http://169.254.170.2//x "), 3);
	rig_end(NULL);
}
END_TEST

START_TEST(metadata_that_is_switched_off_is_not_asked)
{
	rig_begin();
	setenv("AWS_EC2_METADATA_DISABLED", "TRUE", 1);
	expect_refusal(NULL, "AWS_EC2_METADATA_DISABLED is true");
	ck_assert_str_eq(asked, "");
	rig_end(NULL);
}
END_TEST

START_TEST(a_region_that_nobody_says_is_asked_of_metadata_before_sts)
{
	struct credential_conf conf = {.loop = &loop, .role_arn = "arn:aws:iam::1:role/x"};
	struct credential_chain *chain;

	rig_begin();
	setenv("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "hush", 1);
	route(IMDS_TOKEN, 200, "imds-token");
	route("GET http://169.254.169.254/latest/meta-data/placement/region ", 200, "cn-north-1\n");
	route("POST https://sts.cn-north-1.amazonaws.com.cn/ ", 200,
	      keys_xml("AssumeRole", "AKIDROLE", 3600));
	ck_assert_int_eq(credential_chain_new(&conf, &chain), 0);
	ck_assert_str_eq(get(chain).key_id, "AKIDROLE");
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	credentials_refused(chain);
	ck_assert_ptr_nonnull(strstr(get(chain).error.text, "set `control.region` or AWS_REGION"));
	setenv("AWS_REGION", "cn-north-1", 1);
	ck_assert_str_eq(get(chain).key_id, "AKIDROLE");
	setenv("AWS_REGION", "cn-north-1.evil/", 1);
	credentials_refused(chain);
	ck_assert_ptr_nonnull(strstr(get(chain).error.text, "no endpoint of STS"));
	rig_end(chain);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_order_is_the_one_of_the_sdks,
		half_of_a_pair_in_the_environment_ends_the_chain,
		both_files_make_one_profile_and_the_credentials_file_outranks,
		a_file_that_cannot_be_parsed_is_named_with_its_line_and_no_word_of_it,
		roles_are_assumed_from_the_bottom_up_each_signed_by_the_one_below,
		a_profile_may_be_its_own_source_for_the_keys_beside_its_role,
		a_ladder_of_roles_that_never_ends_is_cut,
		a_profile_says_what_is_wrong_with_it_and_what_to_use_instead,
		a_credential_source_is_asked_for_the_keys_below_a_role,
		a_web_identity_is_exchanged_unsigned_with_the_token_of_the_moment,
		a_profile_may_have_a_web_identity_below_a_role,
		a_container_is_asked_with_its_token,
		only_agents_loopback_and_https_are_told_the_token,
		metadata_that_is_switched_off_is_not_asked,
		a_region_that_nobody_says_is_asked_of_metadata_before_sts,
	};

	return run_tests("credential providers", tests, COUNT(tests));
}
