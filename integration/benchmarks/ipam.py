"""Time and memory of the ipam core for 10 thousand to a million services. No rival yet: its figures stand alone."""

from integration.benchmarks.benchmark import Benchmark

BENCHMARK = Benchmark(
    what="ipam core: assign and adopt services, bytes a service",
    build=("//services/ipam-service/core:engine_benchmark",),
    ours=("{//services/ipam-service/core:engine_benchmark}",),
)
