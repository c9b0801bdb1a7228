"""Compiles a BPF program and embeds it in C++."""

load("@rules_cc//cc:defs.bzl", "cc_library")

# -g gives BTF; bpftool's linker then drops the DWARF, which only tells of the build machine.
_COMPILE = "{clang} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -I. -fdebug-prefix-map=$$PWD=. " + \
           "-c $(location {src}) -o $(@D)/{name}.raw && " + \
           "/usr/sbin/bpftool gen object $@ $(@D)/{name}.raw && rm $(@D)/{name}.raw"

_EMBED = "(echo '// Generated.'; " + \
         "echo '#include \"bpf/programs/object.h\"'; " + \
         "echo 'namespace portolan::bpf {{'; " + \
         "echo 'static const unsigned char kBytes[] __attribute__((aligned(8))) = {{'; " + \
         "od -An -v -tu1 $< | sed 's/ \\+\\([0-9]\\+\\)/\\1,/g'; " + \
         "echo '}};'; " + \
         "echo 'Object {function}() {{ return {{\"{name}\", kBytes, sizeof(kBytes)}}; }}'; " + \
         "echo '}}  // namespace portolan::bpf') > $@"

def bpf_program(name, src, function, hdrs = [], testonly = False, clang = "clang"):
    """`src` becomes NAME.bpf.o and a library that defines `bpf::Object FUNCTION()`."""
    native.genrule(
        name = name + "_object",
        srcs = [
            src,
            "//bpf/include:datapath_maps.h",
            "//bpf/lib:headers",
        ] + hdrs,
        outs = [name + ".bpf.o"],
        cmd = _COMPILE.format(name = name, src = src, clang = clang),
        testonly = testonly,
        visibility = ["//bpf:__subpackages__"],
    )
    native.genrule(
        name = name + "_embed",
        srcs = [name + ".bpf.o"],
        outs = [name + ".bpf.cc"],
        cmd = _EMBED.format(name = name, function = function),
        testonly = testonly,
    )
    cc_library(
        name = name,
        srcs = [name + ".bpf.cc"],
        testonly = testonly,
        deps = ["//bpf/programs:object"],
        alwayslink = True,
    )
