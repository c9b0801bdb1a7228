"""config-service at 1,000 pools, 10,000 services and 100 peers; the rival of the first commit is yanglint."""

from integration.benchmarks.benchmark import Benchmark

BENCHMARK = Benchmark(
    what="config-service: first commit, one-leaf commit, read of one service, memory",
    build=("//services/config-service/shell:service_benchmark",),
    ours=("{//services/config-service/shell:service_benchmark}",),
)
