// IPv6 extension headers before the one that counts (RFC 8200): hop-by-hop options, destination
// options and routing headers that have no way to go are skipped, up to four and 128 octets. What
// has more, a source route that has not ended (its destination is not the last one) or options in
// fragments is not read: dropped when it is for an address of ours, else passed as everything is.
//
// A packet keeps its extension headers when it is translated; they are under no checksum.
#pragma once

#include "bpf/lib/packet.h"
#include "bpf/lib/scratch.h"

#define MOST_EXTENSIONS 4
#define OFFSET_MASK 0xff  // for the verifier: no header that is read begins behind that

// UNREADABLE, or what the packet is behind its extension headers. FOREIGN: shorter than it says.
static __always_inline enum packet_kind parse_extensions(void* data, void* end,
                                                         struct packet* packet) {
  __u8 protocol = packet->protocol;
  __u32 skipped = 0;
#pragma unroll
  for (int i = 0; i < MOST_EXTENSIONS; i++) {
    if (!is_extension(protocol)) break;
    const struct exthdr* header = data + (packet->l4_offset & OFFSET_MASK);
    if (packet->l4_length < sizeof(*header)) return PACKET_UNREADABLE;
    if ((const void*)(header + 1) > end) return PACKET_FOREIGN;
    const __u32 size = (header->length + 1) * 8;
    skipped += size;
    if (skipped > MOST_EXTENSION_OCTETS || size > packet->l4_length) return PACKET_UNREADABLE;
    if (protocol == IPPROTO_ROUTING && header->segments_left != 0) return PACKET_UNREADABLE;
    protocol = header->nexthdr;
    packet->l4_offset += size;
    packet->l4_length -= size;
  }
  if (is_extension(protocol)) return PACKET_UNREADABLE;
  packet->protocol = protocol;
  packet->key.v6.protocol = protocol;
  return parse_payload6(data + (packet->l4_offset & OFFSET_MASK), end, packet);
}

// A function of its own: next to no packet needs it.
__attribute__((noinline)) int portolan_extended(context_t* context) {
  struct scratch* know = get_scratch();
  if (!know) return PACKET_FOREIGN;
  return parse_extensions((void*)(long)context->data, (void*)(long)context->data_end,
                          &know->packet);
}
