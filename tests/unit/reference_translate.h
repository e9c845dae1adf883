/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel programs of flow splice must make of a packet, written from the RFCs and not from
 * the programs: bytes instead of structs, sums over the whole packet instead of differences.
 *
 * Happy path: reference_translate() copies a frame and changes addresses, ports, numbers, options
 * and window in the copy; reference_same() holds a program's answer against it.
 * Failure modes: a frame that is not TCP in plain IPv4 or IPv6 is refused by reference_parse().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ETHERNET_SIZE 14

/* One direction; everything in the host's order. */
struct reference_rules {
	bool ipv6;
	bool hop;           /* it goes one hop further */
	bool mac;           /* and gets MACs */
	uint8_t source[16]; /* IPv4: the first four */
	uint8_t destination[16];
	uint8_t macs[12]; /* destination, source */
	uint16_t source_port;
	uint16_t destination_port;
	uint32_t seq; /* to be added, like the next three */
	uint32_t ack;
	uint32_t tsval;
	uint32_t tsecr;
	bool shift_clock; /* translate timestamps */
	unsigned window_in;
	unsigned window_out;
};

/* Where what stands in a frame. */
struct reference_frame {
	bool ipv6;
	size_t tcp;     /* the TCP header's place */
	size_t options; /* how many bytes of them */
	size_t payload; /* how many bytes, by what the IP header says */
};

static inline uint16_t read16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t read32(const uint8_t *at)
{
	return (uint32_t)read16(at) << 16 | read16(at + 2);
}

static inline void write16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void write32(uint8_t *at, uint32_t value)
{
	write16(at, (uint16_t)(value >> 16));
	write16(at + 2, (uint16_t)value);
}

/* RFC 1071: words in network order, an odd last byte is a word's first. */
static inline uint32_t sum_of(const uint8_t *bytes, size_t length, uint32_t sum)
{
	for (size_t i = 0; i < length; i++)
		sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return sum;
}

/* Of one's complement; 0 and 0xffff are the same number there, and are returned as 0xffff. */
static inline uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum ? (uint16_t)sum : 0xffff;
}

/* RFC 791: 0xffff when the header is intact. */
static inline uint16_t sum_ip4(const uint8_t *frame)
{
	return folded(sum_of(frame + ETHERNET_SIZE, 20, 0));
}

/* RFC 9293, 3.1, and RFC 8200, 8.1: 0xffff when the segment is intact. */
static inline uint16_t sum_tcp(const uint8_t *frame, const struct reference_frame *layout)
{
	size_t length = 20 + layout->options + layout->payload;
	size_t addresses = ETHERNET_SIZE + (layout->ipv6 ? 8 : 12);
	uint32_t sum = sum_of(frame + addresses, layout->ipv6 ? 32 : 8, 6 + (uint32_t)length);

	return folded(sum_of(frame + layout->tcp, length, sum));
}

static inline bool reference_parse(const uint8_t *frame, size_t length, struct reference_frame *ret)
{
	const uint8_t *ip = frame + ETHERNET_SIZE;
	size_t segment, header;

	if (length < ETHERNET_SIZE + 40)
		return false;
	if (read16(frame + 12) == 0x0800) {
		if (ip[0] != 0x45 || read16(ip + 6) & 0x3fff || ip[9] != 6 || read16(ip + 2) < 40)
			return false;
		*ret = (struct reference_frame){.tcp = ETHERNET_SIZE + 20};
		segment = read16(ip + 2) - 20u;
	} else if (read16(frame + 12) == 0x86dd && length >= ETHERNET_SIZE + 60) {
		if (ip[0] >> 4 != 6 || ip[6] != 6)
			return false;
		*ret = (struct reference_frame){.ipv6 = true, .tcp = ETHERNET_SIZE + 40};
		segment = read16(ip + 4);
	} else {
		return false;
	}
	header = (frame[ret->tcp + 12] >> 4) * 4u;
	if (header < 20 || segment < header || ret->tcp + segment > length)
		return false;
	ret->options = header - 20;
	ret->payload = segment - header;
	return true;
}

/* RFC 7323, 3.2: an echo of 0 stands for none. RFC 2018, 3: blocks of two edges each. */
static inline void reference_option(uint8_t *option, size_t length,
				    const struct reference_rules *rules)
{
	if (option[0] == 8 && length == 10 && rules->shift_clock) {
		write32(option + 2, read32(option + 2) + rules->tsval);
		if (read32(option + 6))
			write32(option + 6, read32(option + 6) + rules->tsecr);
	} else if (option[0] == 5 && length > 2 && (length - 2) % 8 == 0) {
		for (size_t edge = 2; edge < length; edge += 4)
			write32(option + edge, read32(option + edge) + rules->ack);
	}
}

/* RFC 9293, 3.2. What cannot be read any further stays as it is. */
static inline void reference_options(uint8_t *options, size_t length,
				     const struct reference_rules *rules)
{
	size_t at = 0;

	while (at < length && options[at] != 0) {
		size_t size = 1;

		if (options[at] != 1) {
			if (at + 1 >= length)
				return;
			size = options[at + 1];
			if (size < 2 || at + size > length)
				return;
			reference_option(options + at, size, rules);
		}
		at += size;
	}
}

/* RFC 7323, 2.3; rounded up, so that it is closed only if it was. */
static inline uint16_t reference_window(uint16_t window, const struct reference_rules *rules)
{
	uint64_t bytes = (uint64_t)window << rules->window_in;
	uint64_t unit = 1ull << rules->window_out;
	uint64_t scaled = (bytes + unit - 1) / unit;

	return scaled > 65535 ? 65535 : (uint16_t)scaled;
}

/* `frame`, as laid out, in place. Its checksums become those that are right, except that what was
 * wrong with them stays wrong: their sums do not change. */
static inline void reference_translate(uint8_t *frame, const struct reference_frame *layout,
				       const struct reference_rules *rules)
{
	uint8_t *ip = frame + ETHERNET_SIZE;
	uint8_t *tcp = frame + layout->tcp;
	size_t size = layout->ipv6 ? 16 : 4;
	size_t addresses = layout->ipv6 ? 8 : 12;

	memcpy(ip + addresses, rules->source, size);
	memcpy(ip + addresses + size, rules->destination, size);
	ip[layout->ipv6 ? 7 : 8] -= rules->hop;
	if (rules->mac)
		memcpy(frame, rules->macs, sizeof(rules->macs));
	write16(tcp, rules->source_port);
	write16(tcp + 2, rules->destination_port);
	write32(tcp + 4, read32(tcp + 4) + rules->seq);
	if (tcp[13] & 0x10)
		write32(tcp + 8, read32(tcp + 8) + rules->ack);
	if (!(tcp[13] & 0x04)) /* a reset's window means nothing */
		write16(tcp + 14, reference_window(read16(tcp + 14), rules));
	reference_options(tcp + 20, layout->options, rules);
}

/* Make both checksums right. */
static inline void reference_checksums(uint8_t *frame, const struct reference_frame *layout)
{
	uint8_t *tcp = frame + layout->tcp;

	if (!layout->ipv6) {
		write16(frame + ETHERNET_SIZE + 10, 0);
		write16(frame + ETHERNET_SIZE + 10, (uint16_t)~sum_ip4(frame));
	}
	write16(tcp + 16, 0);
	write16(tcp + 16, (uint16_t)~sum_tcp(frame, layout));
}

/* Where the checksums stand nothing is compared: they are right if their sums are what they were
 * in `in`, which is 0xffff if they were right there. */
static inline bool reference_same(const uint8_t *in, const uint8_t *out, size_t length,
				  const struct reference_frame *layout,
				  const struct reference_rules *rules)
{
	uint8_t wanted[4096];
	size_t ip_sum = ETHERNET_SIZE + 10;

	if (length > sizeof(wanted))
		return false;
	memcpy(wanted, in, length);
	reference_translate(wanted, layout, rules);
	memcpy(wanted + layout->tcp + 16, out + layout->tcp + 16, 2);
	if (!layout->ipv6)
		memcpy(wanted + ip_sum, out + ip_sum, 2);
	if (memcmp(wanted, out, length) != 0 || sum_tcp(in, layout) != sum_tcp(out, layout))
		return false;
	return layout->ipv6 || sum_ip4(in) == sum_ip4(out);
}
