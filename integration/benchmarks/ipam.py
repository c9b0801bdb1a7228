"""ipam-service: its core alone, the whole service with its journal on a disk, and the fan-out of what it publishes.

What is measured, and in which unit of time, stands at the head of each program. The only rival is the disk: nothing else
at hand does the same work.
"""

from integration.benchmarks.benchmark import Benchmark

_CORE = "//services/ipam-service/core:engine_benchmark"
_SERVICE = "//services/ipam-service/shell:service_benchmark"
_FAN_OUT = "//services/base/wire:hub_benchmark"

BENCHMARK = Benchmark(
    what="ipam: assign, record, adopt and publish up to a million services",
    asked={
        "assign_100k_s": 1,
        "assign_1m_s": 12,
        "growth_1m_over_10k": 2,
        "bytes_per_service": 600,
        "durable_100k_s": 5,
        "adopt_100k_s": 2,
        "assign_durable_p99_ms": 5,
        "fanout_stalled_peer_ratio": 1.1,
    },
    build=(_CORE, _SERVICE, _FAN_OUT),
    ours=(
        *("{python}", "-m", "integration.benchmarks.ipam_sides", "{" + _CORE + "}"),
        *("--in-directory", "{" + _SERVICE + "}", "--in-directory", "{" + _FAN_OUT + "}"),
    ),
)
