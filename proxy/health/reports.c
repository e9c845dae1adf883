/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the queue of reports and its lock. The happy path is: push copies into the target's slot,
 * queues that and writes the eventfd; take copies out. Nothing allocates, so nothing can fail; a
 * main thread that stalls sees of each target what was last said, and only that.
 */
#include "proxy/health/reports.h"

#include <sys/eventfd.h>

#include "proxy/base/panic.h"

void reports_init(struct reports *reports, int wake_fd)
{
	must(!pthread_mutex_init(&reports->lock, NULL));
	list_init(&reports->waiting);
	reports->wake_fd = wake_fd;
}

void reports_fini(struct reports *reports)
{
	pthread_mutex_destroy(&reports->lock);
}

void report_slot_init(struct report_slot *slot)
{
	list_init(&slot->link);
}

void reports_push(struct reports *reports, struct report_slot *slot,
		  const struct health_report *report)
{
	pthread_mutex_lock(&reports->lock);
	slot->report = *report;
	if (list_empty(&slot->link))
		list_push_back(&reports->waiting, &slot->link);
	pthread_mutex_unlock(&reports->lock);
	eventfd_write(reports->wake_fd, 1);
}

void reports_drop(struct reports *reports, struct report_slot *slot)
{
	pthread_mutex_lock(&reports->lock);
	list_remove(&slot->link);
	pthread_mutex_unlock(&reports->lock);
}

size_t reports_take(struct reports *reports, struct health_report *ret_reports, size_t max)
{
	struct list *link;
	size_t count = 0;
	bool left;

	pthread_mutex_lock(&reports->lock);
	while (count < max && (link = list_pop_front(&reports->waiting)))
		ret_reports[count++] = container_of(link, struct report_slot, link)->report;
	left = !list_empty(&reports->waiting);
	pthread_mutex_unlock(&reports->lock);
	if (left)
		eventfd_write(reports->wake_fd, 1);
	return count;
}
