/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's side of joined sockets: asks the keeper to join them, hears of it and of gates that
 * fall, and says when both are closed.
 *
 * Failure modes: an owner that ends first leaves its joint behind, which is freed when the keeper
 * has said its last word about it.
 */
#include <stdlib.h>

#include "proxy/offload/internal.h"

static void forget(struct offload_joint *joint)
{
	list_remove(&joint->link);
	free(joint);
}

void joints_forget(struct offload_door *door)
{
	list_for_each_safe (link, &door->joints)
		forget(container_of(link, struct offload_joint, link));
}

enum flow_refusal offload_join(struct offload_door *door, void *owner, const int fds[2],
			       struct offload_joint **ret_joint)
{
	struct offload_message message = {.op = OFFLOAD_JOIN};
	struct offload_joint *joint;

	if (!door->offload->sockmap)
		return FLOW_ERROR;
	joint = calloc(1, sizeof(*joint));
	if (!joint)
		return FLOW_ERROR;
	joint->door = door;
	joint->owner = owner;
	list_push_back(&door->joints, &joint->link);
	message.joint = joint;
	door_tell(door, &message, fds);
	*ret_joint = joint;
	return FLOW_FINE;
}

static void part(struct offload_joint *joint)
{
	struct offload_message message = {
		.op = OFFLOAD_PART, .joint = joint, .index = joint->at.index};

	door_tell(joint->door, &message, NULL);
}

void offload_part(struct offload_joint *joint)
{
	joint->owner = NULL;
	if (joint->made)
		part(joint);
}

static void on_joined(struct offload_joint *joint, const struct offload_message *message)
{
	struct offload_door *door = joint->door;
	void *owner = joint->owner;

	if (message->refusal != FLOW_FINE) {
		forget(joint);
		if (owner)
			door->owner.on_not_joined(owner, (enum flow_refusal)message->refusal);
		return;
	}
	joint->at = message->at;
	joint->made = true;
	if (owner)
		door->owner.on_joined(owner);
	else
		part(joint);
}

bool joint_obey(struct offload_door *door, const struct offload_message *message)
{
	struct offload_joint *joint = message->joint;

	switch (message->op) {
	case OFFLOAD_JOINED:
		on_joined(joint, message);
		return true;
	case OFFLOAD_GATED:
		if (joint->owner)
			door->owner.on_gate(joint->owner);
		return true;
	case OFFLOAD_PARTED:
		forget(joint);
		return true;
	default:
		return false;
	}
}

void offload_joint_look(const struct offload_joint *joint, unsigned way,
			struct sockmap_view *ret_view)
{
	sockmap_look(joint->door->offload->sockmap, &joint->at, way, ret_view);
}

bool offload_joint_settle(const struct offload_joint *joint, const int fds[2], bool hurry)
{
	return sockmap_settle(joint->door->offload->sockmap, &joint->at, fds, hurry);
}

bool offload_joint_is_written(const struct offload_joint *joint, unsigned way, int to_fd)
{
	return sockmap_is_written(joint->door->offload->sockmap, &joint->at, way, to_fd);
}

bool offload_joint_is_through(const struct offload_joint *joint, unsigned way, int from_fd,
			      int to_fd, bool finished)
{
	return sockmap_is_through(joint->door->offload->sockmap, &joint->at, way, from_fd, to_fd,
				  finished);
}

uint64_t offload_joint_received(const struct offload_joint *joint, unsigned leg, int fd,
				bool finished)
{
	return sockmap_received(&joint->at, leg, fd, finished);
}
