"""Fuzz targets, `x_fuzz.cc` beside `x.cc`: libFuzzer with --config=fuzz, a test of the corpus without."""

load("@rules_cc//cc:defs.bzl", "cc_test")

def portolan_fuzz_test(name, srcs, corpus = [], replay_srcs = None, deps = [], **kwargs):
    """A fuzz target: LLVMFuzzerTestOneInput aborts when a claim about an input does not hold.

    Plain builds replay every corpus file and deterministic mutations of it, in well under a second.
    `bazel test --config=fuzz` fuzzes for ten seconds; for longer, and with a corpus directory to keep:
    `bazel run --config=fuzz //path:x_fuzz -- -max_total_time=600 DIRECTORY`.

    Args:
      name: the target.
      srcs: the file with LLVMFuzzerTestOneInput.
      corpus: files, one input each.
      replay_srcs: own main for plain builds, where inputs are better made by code than kept as files.
      deps: of the target.
      **kwargs: of cc_test.
    """
    replay = replay_srcs or ["//tools/bazel:fuzz_replay.cc"]
    cc_test(
        name = name,
        srcs = srcs + select({
            "//tools/bazel:libfuzzer": [],
            "//conditions:default": replay,
        }),
        args = select({
            "//tools/bazel:libfuzzer": ["-max_total_time=10"],
            "//conditions:default": [] if replay_srcs else ["$(location %s)" % file for file in corpus],
        }),
        data = corpus,
        linkopts = select({
            "//tools/bazel:libfuzzer": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        deps = deps,
        **kwargs
    )
