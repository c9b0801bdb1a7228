"""Nanoseconds a packet costs in the XDP program, against an empty program under the same call."""

from integration.benchmarks.benchmark import Benchmark

BENCHMARK = Benchmark(
    what="XDP program per packet, hot cache",
    build=("//bpf/test:datapath_bench",),
    ours=("{//bpf/test:datapath_bench}",),
    root=True,
)
