"""Protobuf and gRPC code from Debian's protoc, without downloading a toolchain."""

load("@rules_cc//cc:defs.bzl", "cc_library")

def portolan_proto(name, srcs, deps = [], grpc = False, visibility = None):
    """C++ library of the given .proto files, which live in the calling package.

    Args:
      name: the cc_library; the sources stay reachable as NAME_srcs for other protos.
      srcs: .proto files of this package.
      deps: other portolan_proto targets whose messages the files import.
      grpc: also generate the service classes.
      visibility: of the library.
    """
    native.filegroup(
        name = name + "_srcs",
        srcs = srcs + [d + "_srcs" for d in deps],
        visibility = ["//api:__subpackages__"],
    )
    stems = [s[:-len(".proto")] for s in srcs]
    hdrs = [s + ".pb.h" for s in stems]
    ccs = [s + ".pb.cc" for s in stems]
    plugin = ""
    if grpc:
        hdrs = hdrs + [s + ".grpc.pb.h" for s in stems]
        ccs = ccs + [s + ".grpc.pb.cc" for s in stems]
        plugin = "--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin --grpc_out=$(GENDIR)"
    native.genrule(
        name = name + "_gen",
        srcs = [":" + name + "_srcs"],
        outs = hdrs + ccs,
        cmd = "protoc -I. -I/usr/include --cpp_out=$(GENDIR) " + plugin + " " +
              " ".join(["$(location %s)" % s for s in srcs]),
        tools = srcs,
        visibility = ["//visibility:private"],
    )
    cc_library(
        name = name,
        srcs = ccs,
        hdrs = hdrs,
        copts = ["-w"],
        visibility = visibility,
        deps = deps + ["@system//:grpc" if grpc else "@system//:protobuf"],
    )
