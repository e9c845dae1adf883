/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of the dry run: what it prints, with which status it ends, and that it touches nothing.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=log_event */
#include "control/dryrun.h"
#include "tests/unit/control_feed_rig.h"

static struct dryrun *dryrun;
static char *text;
static size_t text_size;
static int ended; /* with this status; -1: not yet */
static FILE *out;

static void on_end(void *context, int status)
{
	ck_assert_int_eq(ended, -1);
	ended = status;
}

static void begin(const char *proxy_words)
{
	rig_begin(true);
	ended = -1;
	out = open_memstream(&text, &text_size);
	proxy.up = true;
	proxy.has = proxy_words ? set_of(proxy_words) : NULL;
	ck_assert_int_eq(dryrun_start(&(struct dryrun_conf){.feeds = &rig.feeds,
							    .link = rig.feeds.link,
							    .out = out,
							    .on_end = on_end},
				      &dryrun),
			 0);
	ck_assert(!rig.pending);
}

/* Both ended, with this text and status. */
static void printed(int status, const char *want)
{
	ck_assert_int_eq(ended, status);
	ck_assert_str_eq(text, want);
	ck_assert_uint_eq(proxy.pushes, 0);
	ck_assert_uint_eq(journal_count(rig.feeds.journal), 0);
	ck_assert_ptr_null(rig.feed->current);
}

static void finish(void)
{
	rig_end();
	dryrun_free(dryrun);
	fclose(out);
	free(text);
}

START_TEST(every_change_is_a_line)
{
	begin("a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80,z1 10.0.0.4:80 e=10.0.0.5:80,drain");
	dryrun_on_proxy(dryrun, NULL);
	ck_assert_str_eq(source_current(&rig.source, "a")->address, "10.0.0.1:80");
	dryrun_on_proxy(dryrun, "gone again");
	ck_assert_int_eq(ended, -1);
	rig_says("a=10.0.0.1:80 c=10.0.0.3:80,w50,z2 10.0.0.4:80,drain e=10.0.0.5:80 "
		 "f=10.0.0.6:80,use1-az1,backup");
	printed(0, "api fake (fake): 5 targets, the proxy has 5, 5 changes\n"
		   "  ~ 10.0.0.4:80 drained\n"
		   "  - 10.0.0.2:80 b removed\n"
		   "  ~ 10.0.0.3:80 c changed, weight 100 to 50, zone z1 to z2\n"
		   "  ~ 10.0.0.5:80 e returned\n"
		   "  + 10.0.0.6:80 f added, weight 100, zone use1-az1, backup\n");
	finish();
}
END_TEST

START_TEST(what_the_guard_would_hold_is_said)
{
	begin("a=10.0.0.1:80 b=10.0.0.2:80");
	dryrun_on_proxy(dryrun, NULL);
	rig_says("");
	printed(3, "api fake (fake): 0 targets, the proxy has 2, 2 changes\n"
		   "  - 10.0.0.1:80 a removed\n"
		   "  - 10.0.0.2:80 b removed\n"
		   "  ! held back (empty): all 2 usable targets would go: only an approval lets "
		   "that through\n");
	finish();
}
END_TEST

START_TEST(a_source_that_fails_is_said)
{
	begin("a=10.0.0.1:80");
	dryrun_on_proxy(dryrun, NULL);
	rig_fails("denied");
	printed(3, "api fake (fake): failed: the source says denied\n");
	finish();
}
END_TEST

START_TEST(without_the_proxy_all_is_new)
{
	begin("a=10.0.0.1:80");
	strcpy(rig.source.notice, "one has no address");
	dryrun_on_proxy(dryrun, "no such file");
	rig_says("a=10.0.0.1:80");
	printed(0, "the proxy cannot be read, so all is compared with nothing: no such file\n"
		   "api fake (fake): 1 targets, the proxy has 0, 1 change\n"
		   "  + 10.0.0.1:80 a added, weight 100, zone unknown\n"
		   "  note: one has no address\n");
	finish();
}
END_TEST

START_TEST(nothing_to_do_is_one_line)
{
	begin("a=10.0.0.1:80");
	dryrun_on_proxy(dryrun, NULL);
	rig_says("a=10.0.0.1:80");
	printed(0, "api fake (fake): 1 targets, the proxy has 1, 0 changes\n");
	finish();
}
END_TEST

START_TEST(a_second_answer_is_ignored)
{
	begin(NULL);
	dryrun_on_proxy(dryrun, NULL);
	rig_says("a=10.0.0.1:80");
	rig.pending = true;
	rig_says("");
	rig.pending = true;
	rig_fails("late");
	printed(0, "api fake (fake): 1 targets, the proxy has 0, 1 change\n"
		   "  + 10.0.0.1:80 a added, weight 100, zone unknown\n");
	finish();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_change_is_a_line,      what_the_guard_would_hold_is_said,
		a_source_that_fails_is_said, without_the_proxy_all_is_new,
		nothing_to_do_is_one_line,   a_second_answer_is_ignored,
	};

	return run_tests("control_dryrun", tests, COUNT(tests));
}
