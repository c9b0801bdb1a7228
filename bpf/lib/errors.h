// ICMP and ICMPv6 errors about a flow (RFC 5508, section 4): the receiver must find its own packet
// in the quote, so the quoted addresses, ports and checksums are translated as well as the
// message's own. Only computes; the programs write.
#pragma once

#include "bpf/lib/balance.h"
#include "bpf/lib/csum.h"
#include "bpf/lib/packet.h"

struct error_change {
  __be16 quoted_ports[2];  // source and destination, as quoted
  __sum16 quoted_ip_check;
  __sum16 quoted_l4_check;
  __u64 message_diff;  // of the ICMP checksum, without the pseudo-header
};

// Does the message's own source change? A router between us and the client may speak for itself;
// backends and what is behind us appear as the frontend.
static __always_inline bool hides_source(const struct rewrite* rewrite) {
  return rewrite->reverse || rewrite->snat;
}

// `rewrite` is that of an answer to the quoted packet: what is source there is destination here.
static __always_inline void change_error(const struct packet* packet, const struct rewrite* rewrite,
                                         struct error_change* out, const bool v6) {
  const union flow_key* key = &packet->key;
  const struct quote* quote = &packet->quote;
  const __be16 sport = v6 ? key->v6.sport : key->v4.sport;
  const __be16 dport = v6 ? key->v6.dport : key->v4.dport;
  const __u8 protocol = v6 ? key->v6.protocol : key->v4.protocol;
  __u64 addresses = 0;
  if (v6) {
    addresses = csum_diff16(key->v6.saddr, rewrite->saddr);
    addresses += csum_diff16(key->v6.daddr, rewrite->daddr);
  } else {
    addresses = csum_diff(key->v4.saddr, rewrite->saddr[0]);
    addresses += csum_diff(key->v4.daddr, rewrite->daddr[0]);
  }
  const __u64 ports = csum_diff(sport, rewrite->sport) + csum_diff(dport, rewrite->dport);
  out->quoted_ports[0] = rewrite->dport;
  out->quoted_ports[1] = rewrite->sport;
  out->quoted_ip_check = csum_apply(quote->ip_check, addresses);
  out->quoted_l4_check = quote->l4_check;
  if (quote->l4_check_offset != 0 && (protocol == IPPROTO_TCP || quote->l4_check != 0)) {
    const __sum16 check = csum_apply(quote->l4_check, addresses + ports);
    out->quoted_l4_check = check == 0 && protocol == IPPROTO_UDP ? 0xffff : check;
  }
  out->message_diff = addresses + ports + csum_diff(quote->l4_check, out->quoted_l4_check);
  if (!v6) out->message_diff += csum_diff(quote->ip_check, out->quoted_ip_check);
}
