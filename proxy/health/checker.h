/* SPDX-License-Identifier: Apache-2.0
 *
 * When each target is checked, and what becomes of the verdict. Everything here belongs to the
 * checker's thread, save checker_init() and checker_fini(), which frame its life.
 */
#pragma once

#include <stdint.h>

#include "proxy/base/list.h"
#include "proxy/base/loop.h"
#include "proxy/health/subject.h"

struct checker {
	struct loop loop;
	struct subject_table table;
	struct reports *reports; /* borrowed */
	struct list line;        /* struct subject::link: due, but too many checks are under way */
	unsigned under_way;
	unsigned max_checks;
	uint64_t random; /* state of the generator, never 0 */
};

/* 0 or -errno of epoll_create1(2). */
int checker_init(struct checker *checker, struct reports *reports, unsigned max_checks);
void checker_fini(struct checker *checker);

/* Check these from now on, and nothing else. Takes over the table and what is in it; known targets
 * keep their state, unless they are to be checked differently their time, too. */
void checker_set(struct checker *checker, struct subject_table *fresh);
