/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry against a model of it that is too simple to be wrong: thousands of random sets,
 * words, checks, failures, reloads and hours, and after each of them every target is what the model
 * says. What is ejected is up to the registry, within rules that are checked here.
 */
/* link: -Wl,--wrap=log_event,--wrap=clock_gettime */
#include "tests/unit/registry_rig.h"

#define PEOPLE  24 /* identities: three ports of eight hosts */
#define SOURCES 3
#define SEEDS   4
/* A sanitizer is eight times slower, and finds what it is for in fewer rounds. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 4000
#else
#define ROUNDS 20000
#endif

static const char *const sources[SOURCES] = {"config", "operator", "control"};
static const char *const zones[] = {NULL, "x", "y"};

/* What one source says of one target. */
struct said {
	bool listed;
	struct target_spec spec;
};

struct person {
	struct said said[SOURCES];
	struct override word; /* weight -1 and kind none: nothing */
	enum health_status health;
	unsigned sessions;
};

static struct person people[PEOPLE];
static uint64_t state;

static uint32_t any(uint32_t below)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % below;
}

static struct target_spec identity_of(unsigned n)
{
	struct target_spec spec = spec_of(n % 8 + 1);

	spec.addr.port = (uint16_t)(80 + n / 8);
	if (n >= 16)
		spec.id = "i-1";
	return spec;
}

static struct target_record *record_of(unsigned n)
{
	struct target_spec spec = identity_of(n);

	for (size_t i = 0; i < pool_a()->target_count; i++) {
		struct target_record *record = pool_a()->targets[i];

		if (addr_equal(&record->target->addr, &spec.addr) && !record->id == !spec.id)
			return record;
	}
	return NULL;
}

static const struct said *deciding(const struct person *person)
{
	for (unsigned i = 0; i < SOURCES; i++)
		if (person->said[i].listed)
			return &person->said[i];
	return NULL;
}

static enum health_status first_health(void)
{
	return rig_pools[0].health.kind == HEALTH_OFF ? HEALTH_UNCHECKED : HEALTH_UNKNOWN;
}

/* Whoever comes, or comes back, has not been checked. */
static void note_comings(const bool *before)
{
	for (unsigned i = 0; i < PEOPLE; i++)
		if (!before[i] && deciding(&people[i]))
			people[i].health = first_health();
}

static void who_is_listed(bool *ret_listed)
{
	for (unsigned i = 0; i < PEOPLE; i++)
		ret_listed[i] = deciding(&people[i]) != NULL;
}

static struct target_spec any_spec(unsigned n)
{
	struct target_spec spec = identity_of(n);

	spec.weight = any(8) ? any(5) * 50 : 0;
	spec.zone = zones[any(COUNT(zones))];
	spec.backup = !any(4);
	spec.draining = !any(10);
	spec.max_connections = any(2) * 100;
	return spec;
}

static void put_any(void)
{
	struct target_spec specs[PEOPLE];
	unsigned source = any(SOURCES), count = 0, likely = 1 + any(6);
	bool before[PEOPLE];

	who_is_listed(before);
	for (unsigned i = 0; i < PEOPLE; i++) {
		struct said *said = &people[i].said[source];

		said->listed = !any(likely);
		if (said->listed)
			specs[count++] = said->spec = any_spec(i);
	}
	ck_assert_int_eq(registry_put(rig, "a", sources[source], 0, specs, count, &(uint64_t){0}),
			 PUT_APPLIED);
	note_comings(before);
}

static void drop_any(void)
{
	unsigned source = any(SOURCES);

	for (unsigned i = 0; i < PEOPLE; i++)
		people[i].said[source].listed = false;
	registry_drop_source(rig, "a", sources[source]);
}

static void add_any(void)
{
	unsigned n = any(PEOPLE);
	struct target_spec spec = any_spec(n);
	bool before[PEOPLE];

	who_is_listed(before);
	ck_assert_int_eq(registry_add(rig, "a", &spec), before[n] ? -EEXIST : 0);
	if (!before[n])
		people[n].said[1] = (struct said){.listed = true, .spec = spec};
	note_comings(before);
}

static void remove_any(void)
{
	unsigned n = any(PEOPLE);
	struct said *said = people[n].said;
	struct target_record *record = record_of(n);
	int expected = said[0].listed || said[2].listed ? -EPERM : said[1].listed ? 0 : -ENOENT;

	if (!record)
		return;
	ck_assert_int_eq(registry_remove(rig, record), expected);
	if (!expected)
		said[1].listed = false;
}

static void override_any(void)
{
	unsigned n = any(PEOPLE);
	struct target_record *record = record_of(n);
	struct override word = {.who = "somebody",
				.kind = (enum override_kind)any(OVERRIDE_KINDS),
				.weight = any(3) ? -1 : (int32_t)any(3) * 100};

	if (!record)
		return;
	if (!any(4))
		word.until_wall_us = clock_wall_us() + any(100) * US_PER_SEC;
	ck_assert_int_eq(registry_override(rig, record, &word), 0);
	people[n].word = word;
}

static void check_any(void)
{
	unsigned n = any(PEOPLE);
	struct target_record *record = record_of(n);
	enum health_status status = HEALTH_UP + any(HEALTH_STATUSES - HEALTH_UP);

	if (!record)
		return;
	check_says(record, status, "said");
	if (deciding(&people[n]) && rig_pools[0].health.kind != HEALTH_OFF)
		people[n].health = status;
}

static void fail_any(void)
{
	for (unsigned i = 0; i < 1 + any(6); i++) {
		struct target_record *record = record_of(any(PEOPLE));

		if (record)
			atomic_fetch_add(&record->target->failures, any(10));
	}
	registry_outliers(rig);
}

static void reload_any(void)
{
	struct pool_conf *conf = &rig_pools[0];

	conf->min_healthy_percent = any(3) * 30;
	conf->panic = (enum panic_mode)any(PANIC_MODES);
	conf->outlier.failures = any(4) ? 5 : 0;
	conf->outlier.max_ejected_percent = any(4) * 30;
	conf->slow_start_ms = any(2) * 20000;
	conf->drain_timeout_ms = any(3) * 10000;
	conf->zone_aware = any(2);
	conf->on_down = (enum on_down)any(ON_DOWN_KINDS);
	conf->health.kind = any(5) ? HEALTH_TCP : HEALTH_OFF;
	if (!any(5)) {
		/* Gone and back: no source is left, but the operator, and whoever is still there.
		 */
		rig_config.pools = rig_pools + 1;
		rig_configure();
		for (unsigned i = 0; i < PEOPLE; i++) {
			people[i].said[0].listed = people[i].said[2].listed = false;
			people[i].health = first_health();
		}
		rig_config.pools = rig_pools;
	}
	rig_configure();
	for (unsigned i = 0; i < PEOPLE; i++)
		if (conf->health.kind == HEALTH_OFF || people[i].health == HEALTH_UNCHECKED)
			people[i].health = first_health();
	registry_set_zone(rig, zones[any(COUNT(zones))]);
}

static void pass_any(void)
{
	pass_us(any(10) ? any(20000) * US_PER_MS : 700 * US_PER_SEC);
	for (unsigned i = 0; i < PEOPLE; i++) {
		struct override *word = &people[i].word;

		if (word->until_wall_us && word->until_wall_us <= clock_wall_us())
			*word = (struct override){.weight = -1};
	}
}

static void session_any(void)
{
	unsigned n = any(PEOPLE);
	struct target_record *record = record_of(n);

	if (people[n].sessions && any(2)) {
		people[n].sessions--;
		target_release(record->target);
	} else if (record && target_reserve(record->target)) {
		people[n].sessions++;
	}
}

/* --- what must be --- */

struct tally {
	unsigned eligible[2], good[2], unknown[2], ejected, usable;
	bool any_good, below, backup_in_use, panic;
};

static uint32_t weight_of(const struct person *person)
{
	return person->word.weight >= 0 ? (uint32_t)person->word.weight
					: deciding(person)->spec.weight;
}

static bool is_out(const struct person *person)
{
	return !deciding(person) || person->word.kind != OVERRIDE_NONE || !weight_of(person) ||
	       deciding(person)->spec.draining;
}

static bool is_down(const struct person *person)
{
	return person->health == HEALTH_DOWN || person->health == HEALTH_GOING_UP;
}

static struct tally count(void)
{
	struct tally tally = {0};

	for (unsigned i = 0; i < PEOPLE; i++) {
		const struct person *person = &people[i];
		unsigned rank = deciding(person) && deciding(person)->spec.backup;

		if (is_out(person))
			continue;
		tally.eligible[rank]++;
		if (is_down(person))
			continue;
		if (record_of(i)->ejected_until_us)
			tally.ejected++;
		else if (person->health == HEALTH_UNKNOWN)
			tally.unknown[rank]++;
		else
			tally.good[rank]++;
	}
	return tally;
}

static void judge(struct tally *tally)
{
	unsigned usable[2];

	tally->any_good = tally->good[0] || tally->good[1];
	for (unsigned rank = 0; rank < 2; rank++)
		usable[rank] = tally->good[rank] + (tally->any_good ? 0 : tally->unknown[rank]);
	tally->usable = usable[0] + usable[1];
	tally->below = (tally->good[0] + tally->unknown[0]) * 100 <
		       rig_pools[0].min_healthy_percent * tally->eligible[0];
	tally->backup_in_use = usable[1] && (!usable[0] || tally->below);
	tally->panic = tally->eligible[0] + tally->eligible[1] && !usable[1] &&
		       (!usable[0] || tally->below);
}

static enum standing expected_standing(const struct person *person,
				       const struct target_record *record,
				       const struct tally *tally)
{
	if (!deciding(person))
		return STANDING_REMOVED;
	if (person->word.kind == OVERRIDE_MAINTENANCE)
		return STANDING_MAINTENANCE;
	if (is_out(person))
		return STANDING_DRAINING;
	if (is_down(person))
		return STANDING_DOWN;
	if (record->ejected_until_us)
		return STANDING_EJECTED;
	if (person->health == HEALTH_UNKNOWN)
		return STANDING_CHECKING;
	if (deciding(person)->spec.backup && !tally->backup_in_use)
		return STANDING_IDLE_BACKUP;
	return record->ramp_start_us ? STANDING_RAMPING : STANDING_SERVING;
}

static uint32_t expected_weight(const struct person *person, const struct target_record *record,
				const struct tally *tally)
{
	bool usable = !is_down(person) && !record->ejected_until_us &&
		      (person->health != HEALTH_UNKNOWN || !tally->any_good);

	if (is_out(person) || (tally->panic && rig_pools[0].panic == PANIC_REFUSE))
		return 0;
	return usable || tally->panic ? weight_of(person) : 0;
}

static void check_person(unsigned n, const struct tally *tally)
{
	const struct person *person = &people[n];
	const struct target_record *record = record_of(n);
	const struct said *said = deciding(person);

	if (!record) {
		ck_assert(!said && !person->sessions);
		return;
	}
	ck_assert_int_eq(record->standing, expected_standing(person, record, tally));
	ck_assert_uint_eq(record->effective_weight, expected_weight(person, record, tally));
	ck_assert_int_eq(target_is_closed(record->target), !record->effective_weight);
	ck_assert_int_eq(!record->removed_us, said != NULL);
	ck_assert_uint_eq(target_inflight(record->target), person->sessions);
	if (!said)
		return;
	ck_assert_int_eq(record->health, person->health);
	ck_assert_uint_eq(record->weight, said->spec.weight);
	ck_assert_int_eq(record->backup, said->spec.backup);
	ck_assert_uint_eq(record->target->max_connections, said->spec.max_connections);
	ck_assert_str_eq(record->zone ? record->zone : "", said->spec.zone ? said->spec.zone : "");
	ck_assert_str_eq(record->source, sources[said - person->said]);
}

static void check_plan(const struct tally *tally)
{
	struct pool_plan plan = plan_of(0);
	size_t with_weight = 0;

	ck_assert_int_eq(plan.refuse, tally->panic && rig_pools[0].panic == PANIC_REFUSE);
	ck_assert_int_eq(plan.all_down,
			 !tally->usable && tally->eligible[0] + tally->eligible[1] > 0);
	for (size_t i = 0; i < plan.count; i++) {
		const struct plan_member *member = &plan.members[i];

		with_weight += member->weight != 0;
		ck_assert_int_eq(target_is_closed(member->target), !member->weight);
		ck_assert(!member->weight || (member->ramp > 0 && member->ramp <= 1000));
	}
	ck_assert_uint_eq(with_weight, pool_a()->usable);
	ck_assert_uint_le(plan.local_share, 1000);
	pool_plan_fini(&plan);
}

static void check_all(void)
{
	const struct outlier_conf *outlier = &rig_pools[0].outlier;
	struct tally tally = count();
	unsigned eligible = tally.eligible[0] + tally.eligible[1];

	judge(&tally);
	ck_assert_uint_le(tally.ejected,
			  outlier->failures ? (eligible * outlier->max_ejected_percent + 99) / 100
					    : 0);
	ck_assert(!tally.ejected || tally.usable);
	for (unsigned i = 0; i < PEOPLE; i++)
		check_person(i, &tally);
	ck_assert_uint_eq(pool_a()->eligible, tally.eligible[0]);
	ck_assert_uint_eq(pool_a()->healthy, tally.good[0]);
	ck_assert_int_eq(pool_a()->panic, tally.panic);
	ck_assert_int_eq(pool_a()->backup_in_use, tally.backup_in_use);
	check_plan(&tally);
}

static void (*const acts[])(void) = {put_any,   drop_any,    add_any,    remove_any, override_any,
				     check_any, check_any,   check_any,  fail_any,   reload_any,
				     pass_any,  session_any, session_any};

START_TEST(every_target_is_what_the_model_says_whatever_happens)
{
	uint64_t begin = rig_now_us;

	state = (uint64_t)_i + 1;
	rig_pools[0].health.kind = HEALTH_TCP;
	rig_configure();
	for (unsigned i = 0; i < PEOPLE; i++)
		people[i] = (struct person){.word.weight = -1};
	for (unsigned i = 0; i < ROUNDS; i++) {
		acts[any(COUNT(acts))]();
		check_all();
	}
	ck_assert_uint_gt(events_last_id(rig_events), ROUNDS / 10);
	for (unsigned i = 0; i < PEOPLE; i++)
		for (; people[i].sessions; people[i].sessions--)
			target_release(record_of(i)->target);
	rig_now_us = begin; /* Check cannot count the weeks that a test took */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("registry_model");
	TCase *tcase = tcase_create("registry_model");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, rig_setup, rig_shut);
	tcase_add_loop_test(tcase, every_target_is_what_the_model_says_whatever_happens, 0, SEEDS);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
