"""How fast routes reach a router: a whole table on a new session, and one more route on an established one.

The rivals get the fastest feed that they have: routes of the kernel's table, learned over netlink. BIRD 2.0.12 keeps the
end of an initial table until its next 3 s poll unless something wakes it, so it is asked for its status every 20 ms; FRR
runs with `coalesce-time 0` (its default adds a second).
"""

from integration.benchmarks.benchmark import Benchmark

_UPSTREAMS = "//services/bgp-exporter/interop:upstreams"
_SIDE = ("{python}", "-m", "integration.benchmarks.bgp_sides")

BENCHMARK = Benchmark(
    what="BGP: 1000 routes on a new session, single routes on an established one",
    build=("//services/bgp-exporter", _UPSTREAMS),
    ours=(*_SIDE, "portolan", "{" + _UPSTREAMS + "}"),
    rivals={"bird": (*_SIDE, "bird"), "frr": (*_SIDE, "frr")},
    root=True,
)
