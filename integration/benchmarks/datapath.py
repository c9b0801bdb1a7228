"""What a packet costs: in the XDP program alone, and from a client through a node to a backend.

The program alone stands against an empty one under the same call. Through the node, ours (as mode auto attaches it) stands against nftables DNAT and against plain routing to the backend's own address, which is the floor: the
same namespaces, cables, generator and sink. How fast wishes reach the kernel's maps stands at the head of publish_benchmark.
"""

from integration.benchmarks.benchmark import Benchmark

_PROGRAM = "//bpf/test:datapath_bench"
_PUBLISH = "//services/datapath-loader/shell:publish_benchmark"
_TRAFFIC = "//integration/benchmarks:traffic"
_UPSTREAMS = "//services/datapath-loader/interop:upstreams"
_SIDE = ("{python}", "-m", "integration.benchmarks.datapath_sides")

BENCHMARK = Benchmark(
    what="datapath: nanoseconds a packet, connections a second, seconds to publish 10,000 services",
    asked={"publish_10k_s": 2, "change_one_p99_ms": 20},
    build=(_PROGRAM, _PUBLISH, _TRAFFIC, _UPSTREAMS, "//services/datapath-loader"),
    ours=(*_SIDE, "portolan", "{" + _TRAFFIC + "}", "{" + _PROGRAM + "}", "{" + _PUBLISH + "}"),
    rivals={
        "nftables": (*_SIDE, "nftables", "{" + _TRAFFIC + "}"),
        "routing": (*_SIDE, "routing", "{" + _TRAFFIC + "}"),
    },
    root=True,
)
