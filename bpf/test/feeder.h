// What the generators of feeder.bpf.c are told: the value of their map "plan". For C and C++; only
// benchmarks and their sinks use it.
#pragma once

#ifndef __bpf__
#include <linux/types.h>
#endif

#define FEEDER_FRAME 96           // octets
#define FEEDER_SOURCE 0xc6120000  // 198.18.0.0/16, for benchmarks (RFC 2544)

// Flow f has the source port 1024 + f % 2^14 and f / 2^14 in the last two octets of the source
// address; the frame is given with 0 in both, and checksums that fit.
struct feeder_plan {
  __u8 frame[FEEDER_FRAME];
  __u32 ifindex;  // where frames leave
  __u32 flows;    // so many different ones: a power of two; 0: the frame as it is, over and over
  __u32 stride;   // from one to the next: odd; large ones defeat the processor's foresight
  __u32 next;
};
