"""Text files inside a binary."""

load("@rules_cc//cc:defs.bzl", "cc_library")

def portolan_text(name, src, symbol):
    """C++ header NAME.h with the text of a file as portolan::plugin::SYMBOL.

    Args:
      name: the cc_library.
      src: the file; no part of it may read )TEXT".
      symbol: constant, kLikeThis.
    """
    native.genrule(
        name = name + "_gen",
        srcs = [src],
        outs = [name + ".h"],
        cmd = "(echo '// The text of %s. Constant; any thread.'; " % src +
              "echo '// Made by the build; see tools/bazel/text.bzl.'; echo '#pragma once'; " +
              "echo 'namespace portolan::plugin {'; printf 'inline constexpr char %s[] = R\"TEXT('; " % symbol +
              "cat $<; echo ')TEXT\";'; echo '}  // namespace portolan::plugin') > $@",
        visibility = ["//visibility:private"],
    )
    cc_library(
        name = name,
        hdrs = [name + ".h"],
    )
