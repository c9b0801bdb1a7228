"""What a packet costs: in the XDP program alone, and on its way through a node.

The program alone stands against an empty one under the same call. Through the node, ours stands against nftables DNAT (as
kube-proxy does it): with real sockets, as mode auto attaches it, where plain routing to the backend's own address is the
floor (datapath_sides.py); and with frames as fast as they can be made, by XDP (forwarding_sides.py). The same
namespaces, cables, generators and sinks for all. How fast wishes reach the kernel's maps stands at the head of
publish_benchmark.
"""

from integration.benchmarks.benchmark import Benchmark

_PROGRAM = "//bpf/test:datapath_bench"
_BLAST = "//bpf/test:blast"
_PUBLISH = "//services/datapath-loader/shell:publish_benchmark"
_TRAFFIC = "//integration/benchmarks:traffic"
_UPSTREAMS = "//services/datapath-loader/interop:upstreams"
_SIDE = ("{python}", "-m", "integration.benchmarks.datapath_sides")

BENCHMARK = Benchmark(
    what="datapath: nanoseconds a packet; packets, flows and connections a second; seconds to publish 10,000 services",
    build=(_PROGRAM, _PUBLISH, _BLAST, _TRAFFIC, _UPSTREAMS, "//services/datapath-loader"),
    ours=(*_SIDE, "portolan", *("{" + label + "}" for label in (_TRAFFIC, _BLAST, _PROGRAM, _PUBLISH))),
    rivals={
        "nftables": (*_SIDE, "nftables", "{" + _TRAFFIC + "}", "{" + _BLAST + "}"),
        "routing": (*_SIDE, "routing", "{" + _TRAFFIC + "}"),
    },
    asked={
        "dnat_hot_ns": 150,
        "dnat_1m_flows_ns": 400,
        "syn_insert_ns": 900,
        "no_vip_ns": 70,
        "arp_ns": 90,
        "nd_ns": 90,
        "publish_10k_s": 2,
        "change_one_p99_ms": 20,
        "verified_insns_xdp": 200_000,
        "verified_insns_tc": 200_000,
    },
    root=True,
)
