/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads what sysfs has of interfaces, and asks their drivers (SIOCETHTOOL) what it has not.
 * Loopback is left out, and what only this host's containers see, unless there is nothing else.
 * Failure modes: a driver that does not answer, or a root that is not this host's: unknown.
 */
#include <dirent.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/doctor/facts.h"

#define CLASS "/sys/class/net"

static int64_t number_of(const char *root, const char *name, const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CLASS "/%s/%s", name, file);
	return doctor_read_number(root, path, 0);
}

static bool is_up(const char *root, const char *name)
{
	char path[PATH_MAX], flags[32];
	unsigned bits;

	snprintf(path, sizeof(path), CLASS "/%s/flags", name);
	return doctor_read(root, path, flags, sizeof(flags)) && sscanf(flags, "%x", &bits) == 1 &&
	       bits & IFF_UP && !(bits & IFF_LOOPBACK);
}

static void read_driver(const char *root, struct doctor_nic *nic)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *base;
	ssize_t length;

	snprintf(path, sizeof(path), "%s" CLASS "/%s/device/driver", root, nic->name);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return;
	target[length] = '\0';
	base = strrchr(target, '/');
	snprintf(nic->driver, sizeof(nic->driver), "%.31s", base ? base + 1 : target);
}

static int64_t count_receive_queues(const char *root, const char *name)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int64_t count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s" CLASS "/%s/queues", root, name);
	dir = opendir(path);
	if (!dir)
		return FACT_UNKNOWN;
	while ((entry = readdir(dir)))
		count += !strncmp(entry->d_name, "rx-", 3);
	closedir(dir);
	return count;
}

/* --- what the driver says --- */

static bool ask(int fd, const char *name, void *question)
{
	struct ifreq request = {.ifr_data = question};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return ioctl(fd, SIOCETHTOOL, &request) == 0;
}

static int64_t ask_switch(int fd, const char *name, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};

	return ask(fd, name, &value) ? value.data != 0 : FACT_UNKNOWN;
}

static void ask_channels(int fd, struct doctor_nic *nic)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

	if (!ask(fd, nic->name, &channels))
		return;
	nic->channels = channels.combined_count ? channels.combined_count : channels.rx_count;
	nic->channels_max = channels.max_combined ? channels.max_combined : channels.max_rx;
}

static void ask_driver(struct doctor_nic *nic)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	nic->gro = ask_switch(fd, nic->name, ETHTOOL_GGRO);
	nic->gso = ask_switch(fd, nic->name, ETHTOOL_GGSO);
	nic->tso = ask_switch(fd, nic->name, ETHTOOL_GTSO);
	ask_channels(fd, nic);
	close(fd);
}

/* --- all of them --- */

static struct doctor_nic read_nic(const char *root, const char *name)
{
	struct doctor_nic nic = {.gro = FACT_UNKNOWN,
				 .gso = FACT_UNKNOWN,
				 .tso = FACT_UNKNOWN,
				 .channels = FACT_UNKNOWN,
				 .channels_max = FACT_UNKNOWN};
	char path[PATH_MAX];

	snprintf(nic.name, sizeof(nic.name), "%.15s", name);
	read_driver(root, &nic);
	nic.mtu = number_of(root, name, "mtu");
	nic.threaded = number_of(root, name, "threaded");
	nic.receive_queues = count_receive_queues(root, name);
	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", name);
	nic.rp_filter = doctor_read_number(root, path, 0);
	if (!*root)
		ask_driver(&nic);
	return nic;
}

static void gather_kind(const char *root, DIR *dir, bool physical, struct doctor_facts *facts)
{
	struct dirent *entry;

	rewinddir(dir);
	while ((entry = readdir(dir))) {
		struct doctor_nic nic;

		if (entry->d_name[0] == '.' || !is_up(root, entry->d_name))
			continue;
		nic = read_nic(root, entry->d_name);
		if ((nic.driver[0] != '\0') != physical)
			continue;
		if (facts->nic_count == DOCTOR_NICS)
			facts->nics_left_out = true;
		else
			facts->nics[facts->nic_count++] = nic;
	}
}

void doctor_gather_nics(const char *root, struct doctor_facts *facts)
{
	char path[PATH_MAX];
	DIR *dir;

	snprintf(path, sizeof(path), "%s" CLASS, root);
	dir = opendir(path);
	if (!dir)
		return;
	gather_kind(root, dir, true, facts);
	if (!facts->nic_count)
		gather_kind(root, dir, false, facts);
	closedir(dir);
}
