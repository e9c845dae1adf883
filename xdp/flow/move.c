/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetches sessions from the pinned maps of another process that is dead, when ours are not those.
 *
 * Happy path: all of them are held (what is sent meanwhile is sent again), one grace period later
 * nobody counts in them any more; they are copied, inserted, noted; our programs stand where theirs
 * did, and theirs go with their pins. Failure modes: no slot, or a tuple that is taken: reset. What
 * does not look like our maps is left alone.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xdp/flow/internal.h"

struct estate {
	char path[256];
	int flows_fd;
	int notes_fd;
	uint32_t sessions;
	struct flow *flows;
};

static int open_map(const char *dir, const char *name, size_t value_size, struct bpf_map_info *info)
{
	char path[320];
	__u32 len = sizeof(*info);
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	memset(info, 0, sizeof(*info));
	if (!bpf_obj_get_info_by_fd(fd, info, &len) && info->value_size == value_size)
		return fd;
	close(fd);
	return -EINVAL;
}

static void close_estate(struct estate *estate)
{
	if (estate->flows)
		munmap(estate->flows, 2 * (size_t)estate->sessions * sizeof(struct flow));
	if (estate->flows_fd >= 0)
		close(estate->flows_fd);
	if (estate->notes_fd >= 0)
		close(estate->notes_fd);
}

static int open_estate(const char *path, struct estate *ret_estate)
{
	struct estate estate = {.flows_fd = -1, .notes_fd = -1};
	struct bpf_map_info info;
	void *flows;
	int err = 0;

	snprintf(estate.path, sizeof(estate.path), "%s/" FLOW_PIN_DIR, path, ABI_VERSION);
	estate.notes_fd = open_map(estate.path, "flow_notes", sizeof(struct flow_note), &info);
	estate.flows_fd = open_map(estate.path, "flows", sizeof(struct flow), &info);
	if (estate.notes_fd < 0 || estate.flows_fd < 0)
		err = estate.flows_fd < 0 ? estate.flows_fd : estate.notes_fd;
	if (!err) {
		estate.sessions = info.max_entries / 2;
		flows = mmap(NULL, 2 * (size_t)estate.sessions * sizeof(struct flow),
			     PROT_READ | PROT_WRITE, MAP_SHARED, estate.flows_fd, 0);
		err = flows == MAP_FAILED ? -errno : 0;
		estate.flows = err ? NULL : flows;
	}
	if (err) {
		close_estate(&estate);
		return err;
	}
	*ret_estate = estate;
	return 0;
}

static void hold_all(const struct estate *estate)
{
	for (uint32_t i = 0; i < 2 * estate->sessions; i++)
		if (estate->flows[i].state == FLOW_ACTIVE)
			__atomic_store_n(&estate->flows[i].state, FLOW_HOLD, __ATOMIC_SEQ_CST);
}

/* 0 or -errno; the slot is given back then. */
static int copy(struct flow_engine *engine, const struct flow *pair, const struct flow_note *note)
{
	uint32_t index;
	int err = flow_take(engine, &index);

	if (err)
		return err;
	engine->serial++;
	for (unsigned leg = 0; leg < 2; leg++) {
		engine->flows[index + leg] = pair[leg];
		engine->flows[index + leg].serial = engine->serial;
	}
	err = flow_note_write(engine, index, note);
	if (!err)
		flow_insert(engine, &index, 1, &err);
	if (err)
		flow_remove(engine, index);
	return err;
}

static bool move_one(struct flow_engine *engine, const struct estate *estate, uint32_t index)
{
	const struct flow *pair = &estate->flows[index];
	struct flow_tomb tombs[2];
	struct flow_note note;
	enum flow_found what = flow_judge_found(pair, estate->notes_fd, index, &note);

	if (what == FLOW_FOUND_OVER)
		return false; /* its tuples are free a little sooner */
	if (what == FLOW_FOUND_RUNNING && !copy(engine, pair, &note))
		return true;
	flow_tombs_of(pair, &note, tombs);
	flow_reset_pair(pair, tombs);
	return false;
}

int flow_move_in(struct flow_engine *engine, const char *path)
{
	struct estate estate;
	int err = open_estate(path, &estate);
	int moved = 0;

	if (err)
		return err;
	flow_take_over_links(engine, estate.path);
	hold_all(&estate);
	flow_grace();
	for (uint32_t i = 0; i < estate.sessions; i++)
		if (flow_is_used(&estate.flows[2 * i]))
			moved += move_one(engine, &estate, 2 * i);
	/* Theirs drop what is held for as long as they stand there, links or filters. */
	flow_unpin_dir(estate.path);
	close_estate(&estate);
	return moved;
}
