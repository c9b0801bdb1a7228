"""What a packet costs: in the XDP program alone, and from a client through a node to a backend.

The program alone stands against an empty one under the same call. Through the node, ours (as mode auto attaches it) stands against nftables DNAT and against plain routing to the backend's own address, which is the floor: the
same namespaces, cables, generator and sink.
"""

from integration.benchmarks.benchmark import Benchmark

_PROGRAM = "//bpf/test:datapath_bench"
_TRAFFIC = "//integration/benchmarks:traffic"
_UPSTREAMS = "//services/datapath-loader/interop:upstreams"
_SIDE = ("{python}", "-m", "integration.benchmarks.datapath_sides")

BENCHMARK = Benchmark(
    what="datapath: nanoseconds a packet, connections a second",
    build=(_PROGRAM, _TRAFFIC, _UPSTREAMS, "//services/datapath-loader"),
    ours=(*_SIDE, "portolan", "{" + _TRAFFIC + "}", "{" + _PROGRAM + "}"),
    rivals={
        "nftables": (*_SIDE, "nftables", "{" + _TRAFFIC + "}"),
        "routing": (*_SIDE, "routing", "{" + _TRAFFIC + "}"),
    },
    root=True,
)
