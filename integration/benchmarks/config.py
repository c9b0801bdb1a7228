"""config-service at 1,000 pools, 10,000 services and 100 peers: alone, where the rival of the first commit is yanglint, and
with all services behind it (config_sides.py).
"""

from integration.benchmarks.benchmark import Benchmark

_PROGRAM = "//services/config-service/shell:service_benchmark"
_IN_FORCE = "//integration/benchmarks:in_force"
_SERVICES = ("config-service", "ipam-service", "l2-announcer", "bgp-exporter", "datapath-loader")

BENCHMARK = Benchmark(
    what="config-service: first commit, one-leaf commit until it is in force, read of one service, memory",
    build=(_PROGRAM, _IN_FORCE, *(f"//services/{name}" for name in _SERVICES)),
    ours=("{python}", "-m", "integration.benchmarks.config_sides", "{" + _PROGRAM + "}", "{" + _IN_FORCE + "}"),
    asked={
        "commit_initial_s": 2,
        "commit_leaf_p99_ms": 200,
        "in_force_p99_ms": 200,
        "get_one_ms": 10,
        "rss_mb": 300,
    },
    root=True,
)
