/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of the last-known-good files: what was saved is loaded, and nothing that was damaged, is
 * another source's or is too old ever is.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/lastgood.h"
#include "control/lastgood_file.h"
#include "proxy/base/conf/yaml_tree.h"
#include "tests/unit/control_rig.h"

#define KEY   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "ff23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HOUR  (UINT64_C(3600) * 1000000)
#define NOW   (UINT64_C(1800000000) * 1000000)

static char directory[64];
static struct lastgood *lastgood;

static void setup(void)
{
	strcpy(directory, "/tmp/lastgood_test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(lastgood_open(directory, &lastgood), 0);
}

static void teardown(void)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(directory);
	lastgood_close(lastgood);
}

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void save(const char *words)
{
	struct target_set *set = set_of(words);

	ck_assert_int_eq(lastgood_save(lastgood, KEY, "api", "ecs", set, NOW), 0);
	target_set_free(set);
}

/* What comes of loading it an hour later. */
static int load(const char *key, const char *pool, const char *source, struct target_set **ret_set)
{
	uint64_t saved_us = 0;
	int err = lastgood_load(lastgood, key, pool, source, NOW + HOUR, 24 * HOUR, ret_set,
				&saved_us);

	ck_assert_uint_eq(saved_us, err ? 0 : NOW);
	return err;
}

static bool is_there(const char *name)
{
	return access(path_of(name), F_OK) == 0;
}

START_TEST(what_was_saved_is_loaded)
{
	struct target_set *set = set_of("a=10.0.0.1:80,w7,use1-az1 b=10.0.0.2:80,drain,backup");
	struct target_set *loaded = NULL;

	save("old=10.9.9.9:80");
	save("a=10.0.0.1:80,w7,use1-az1 b=10.0.0.2:80,drain,backup");
	ck_assert_int_eq(load(KEY, "api", "ecs", &loaded), 0);
	ck_assert(target_set_equal(set, loaded));
	ck_assert(!is_there(KEY ".set.new"));
	target_set_free(loaded);
	target_set_free(set);
}
END_TEST

START_TEST(what_was_never_saved_is_not_there)
{
	struct target_set *set = NULL;

	ck_assert_int_eq(load(KEY, "api", "ecs", &set), -ENOENT);
	ck_assert_ptr_null(set);
}
END_TEST

START_TEST(without_a_directory_nothing_is_kept)
{
	struct target_set *set = set_of("a=10.0.0.1:80"), *loaded = NULL;
	struct lastgood *none = NULL;
	uint64_t saved_us;

	ck_assert_int_eq(lastgood_open(NULL, &none), 0);
	ck_assert_int_eq(lastgood_save(none, KEY, "api", "ecs", set, NOW), 0);
	ck_assert_int_eq(lastgood_load(none, KEY, "api", "ecs", NOW, HOUR, &loaded, &saved_us),
			 -ENOENT);
	lastgood_sweep(none, NULL, 0, NOW, HOUR);
	lastgood_close(none);
	ck_assert_int_eq(lastgood_save(NULL, KEY, "api", "ecs", set, NOW), 0);
	ck_assert_int_eq(lastgood_open("/proc/none/such", &none), -ENOENT);
	lastgood_close(NULL);
	target_set_free(set);
}
END_TEST

START_TEST(a_set_that_is_too_old_is_not_used_and_stays)
{
	struct target_set *set = NULL;
	uint64_t saved_us;

	save("a=10.0.0.1:80");
	ck_assert_int_eq(lastgood_load(lastgood, KEY, "api", "ecs", NOW + 24 * HOUR + 1, 24 * HOUR,
				       &set, &saved_us),
			 -ESTALE);
	ck_assert(is_there(KEY ".set"));
	ck_assert_int_eq(lastgood_load(lastgood, KEY, "api", "ecs", NOW + 24 * HOUR, 24 * HOUR,
				       &set, &saved_us),
			 0);
	target_set_free(set);
	ck_assert_int_eq(
		lastgood_load(lastgood, KEY, "api", "ecs", NOW - HOUR, 24 * HOUR, &set, &saved_us),
		0);
	target_set_free(set);
}
END_TEST

static size_t read_bytes(char *buf, size_t room)
{
	int fd = open(path_of(KEY ".set"), O_RDONLY | O_CLOEXEC);
	ssize_t size = read(fd, buf, room);

	ck_assert_int_gt(size, 0);
	close(fd);
	return (size_t)size;
}

static void write_bytes(const char *bytes, size_t size)
{
	int fd = open(path_of(KEY ".set"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

START_TEST(a_file_that_was_changed_or_cut_anywhere_is_put_aside)
{
	struct target_set *set = NULL;
	char bytes[1000];
	size_t size;

	save("a=10.0.0.1:80 b=10.0.0.2:80");
	size = read_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < size; i++) {
		bytes[i] ^= 1;
		write_bytes(bytes, size);
		bytes[i] ^= 1;
		ck_assert_int_eq(load(KEY, "api", "ecs", &set), -EBADMSG);
		ck_assert(!is_there(KEY ".set") && is_there(KEY ".set.bad"));
		unlink(path_of(KEY ".set.bad"));
		write_bytes(bytes, i);
		ck_assert_int_eq(load(KEY, "api", "ecs", &set), -EBADMSG);
		ck_assert(!is_there(KEY ".set") && is_there(KEY ".set.bad"));
		unlink(path_of(KEY ".set.bad"));
	}
	write_bytes(bytes, size);
	ck_assert_int_eq(load(KEY, "api", "ecs", &set), 0);
	target_set_free(set);
}
END_TEST

START_TEST(a_file_of_another_pool_source_or_meaning_is_not_used)
{
	struct target_set *set = NULL;
	const char *from;

	save("a=10.0.0.1:80");
	ck_assert_int_eq(load(KEY, "web", "ecs", &set), -EINVAL);
	ck_assert(is_there(KEY ".set.bad"));
	save("a=10.0.0.1:80");
	ck_assert_int_eq(load(KEY, "api", "ec2", &set), -EINVAL);
	save("a=10.0.0.1:80");
	from = strdupa(path_of(KEY ".set")); /* the next call overwrites it */
	ck_assert_int_eq(rename(from, path_of(OTHER ".set")), 0);
	ck_assert_int_eq(load(OTHER, "api", "ecs", &set), -EINVAL);
	ck_assert_ptr_null(set);
}
END_TEST

/* A whole file, checksum and all, with this body. */
static int decode(const char *body)
{
	struct lastgood_owner owner = {"k", "api", "ecs"};
	char *text = lastgood_wrap(body);
	struct target_set *set = NULL;
	uint64_t saved_us;
	int err = lastgood_decode(text, strlen(text), &owner, &set, &saved_us);

	target_set_free(set);
	free(text);
	return err;
}

START_TEST(a_whole_file_that_makes_no_sense_is_not_believed)
{
#define OWNER "\"key\":\"k\",\"pool\":\"api\",\"source\":\"ecs\""
	ck_assert_int_eq(decode("{" OWNER ",\"saved_us\":1,\"targets\":[]}"), 0);
	ck_assert_int_eq(decode("{" OWNER ",\"saved_us\":0,\"targets\":[]}"), -EBADMSG);
	ck_assert_int_eq(decode("{" OWNER ",\"saved_us\":\"1\",\"targets\":[]}"), -EBADMSG);
	ck_assert_int_eq(decode("{" OWNER ",\"saved_us\":1,\"targets\":[{}]}"), -EBADMSG);
	ck_assert_int_eq(decode("{" OWNER ",\"saved_us\":1}"), -EBADMSG);
	ck_assert_int_eq(decode("{" OWNER ",\"saved_us\":1,\"targets\":[],\"targets\":[]}"),
			 -EBADMSG);
	ck_assert_int_eq(decode("{\"saved_us\":1,\"targets\":[]}"), -EINVAL);
	ck_assert_int_eq(decode("[]"), -EBADMSG);
	ck_assert_int_eq(decode(""), -EBADMSG);
}
END_TEST

START_TEST(a_directory_that_cannot_be_written_is_an_error_and_keeps_the_file)
{
	struct target_set *set = set_of("b=10.0.0.2:80"), *loaded = NULL;

	save("a=10.0.0.1:80");
	/* Stands in the way of the temporary file, whoever we are. */
	ck_assert_int_eq(mkdir(path_of(KEY ".set.new"), 0700), 0);
	ck_assert_int_eq(lastgood_save(lastgood, KEY, "api", "ecs", set, NOW), -EISDIR);
	ck_assert_int_eq(rmdir(path_of(KEY ".set.new")), 0);
	ck_assert_int_eq(load(KEY, "api", "ecs", &loaded), 0);
	ck_assert_str_eq(target_set_at(loaded, 0)->id, "a");
	target_set_free(loaded);
	target_set_free(set);
}
END_TEST

/* An empty file, changed last at NOW. */
static void touch(const char *name)
{
	struct timespec times[2] = {{.tv_sec = NOW / 1000000}, {.tv_sec = NOW / 1000000}};
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_eq(futimens(fd, times), 0);
	close(fd);
}

START_TEST(a_sweep_takes_what_is_old_and_of_no_source)
{
	const char *keys[] = {KEY};

	touch(KEY ".set");
	touch(KEY ".set.bad");
	touch(OTHER ".set");
	touch(OTHER ".set.new");
	touch("overrides.json");
	lastgood_sweep(lastgood, keys, 1, NOW + HOUR, HOUR);
	ck_assert(is_there(OTHER ".set") && is_there(KEY ".set.bad"));
	lastgood_sweep(lastgood, keys, 1, NOW + HOUR + 1000000, HOUR);
	ck_assert(is_there(KEY ".set") && is_there("overrides.json"));
	ck_assert(!is_there(KEY ".set.bad"));
	ck_assert(!is_there(OTHER ".set") && !is_there(OTHER ".set.new"));
}
END_TEST

static const char *key_of(const char *pool, const char *kind, const char *yaml, const char *region)
{
	static char keys[4][LASTGOOD_KEY];
	static unsigned turn;
	struct conf_errors errors = {0};
	struct node *root = NULL;

	ck_assert_int_eq(yaml_tree_parse("f", yaml, strlen(yaml), &errors, &root), 0);
	turn = (turn + 1) % 4;
	lastgood_key(pool, kind, root, region, keys[turn]);
	node_free(root);
	return keys[turn];
}

#define EC2(yaml) key_of("api", "ec2", "{tags: {a: b, c: [d, e]}, port: 80" yaml "}", "eu-west-1")
#define ARN(what) ", role_arn: \"arn:aws:iam::" what "\""

START_TEST(a_key_is_what_a_source_means_not_how_it_is_asked)
{
	const char *plain = strdupa(EC2(""));

	ck_assert_uint_eq(strlen(plain), LASTGOOD_KEY - 1);
	ck_assert_str_eq(plain, EC2(", interval: 5s, max_shrink: 1%, allow_empty: true"));
	ck_assert_str_eq(plain, EC2(", profile: x, external_id: y, endpoint: z, region: r"));
	ck_assert_str_eq(plain,
			 key_of("api", "ec2", "{port: 80, tags: {c: [d, e], a: b}}", "eu-west-1"));
	ck_assert_str_ne(plain, EC2(", address: public"));
	ck_assert_str_ne(plain, key_of("api", "ec2", "{tags: {a: b, c: [d, e]}, port: 80}", "x"));
	ck_assert_str_ne(plain,
			 key_of("web", "ec2", "{tags: {a: b, c: [d, e]}, port: 80}", "eu-west-1"));
	ck_assert_str_ne(plain, key_of("api", "ec2", "{tags: {a: b, c: [d]}, e: [], port: 80}",
				       "eu-west-1"));
	ck_assert_str_eq(EC2(ARN("111:role/a")), EC2(ARN("111:role/b")));
	ck_assert_str_ne(EC2(ARN("111:role/a")), EC2(ARN("222:role/a")));
	ck_assert_str_ne(plain, EC2(ARN("111:role/a")));
	ck_assert_str_ne(key_of("api", "dns", "{name: a.example}", NULL),
			 key_of("api", "dns", "{name: b.example}", NULL));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_was_saved_is_loaded,
		what_was_never_saved_is_not_there,
		without_a_directory_nothing_is_kept,
		a_set_that_is_too_old_is_not_used_and_stays,
		a_file_that_was_changed_or_cut_anywhere_is_put_aside,
		a_file_of_another_pool_source_or_meaning_is_not_used,
		a_whole_file_that_makes_no_sense_is_not_believed,
		a_directory_that_cannot_be_written_is_an_error_and_keeps_the_file,
		a_sweep_takes_what_is_old_and_of_no_source,
		a_key_is_what_a_source_means_not_how_it_is_asked,
	};

	return run_tests_in("control_lastgood", tests, COUNT(tests), setup, teardown);
}
