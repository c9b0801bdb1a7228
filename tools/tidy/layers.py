"""Who may import whom: the table of ARCHITECTURE.md as data, and what follows from it for one edge or one path.

A package is a directory of the repository. `Layer.may` lists layers; "own" is the same service. Tests import what they
like, except that nothing outside integration, tools and tests may lean on `integration` or `tools`.
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Layer:
    """A row of the table: packages that match `pattern` and the layers they may import."""

    name: str
    pattern: str
    may: tuple


_BASE = ("base", "api", "bpf/include")

# The first pattern that matches a package decides.
LAYERS = (
    Layer("testdata", r".*/testdata(/.*)?", ()),
    Layer("bpf/include", r"bpf/include", ()),
    Layer("bpf", r"bpf(/.*)?", ("bpf/include", "bpf")),
    Layer("api", r"api(/.*)?", ("api",)),
    Layer("base", r"services/base(/.*)?", ("api", "base")),
    Layer("sdk", r"plugins/sdk(/.*)?", ("sdk", "base", "api")),
    Layer("builtin", r"plugins/builtin(/.*)?", ("builtin", "sdk", "plugin", "base")),
    Layer("plugin", r"plugins/(?P<unit>[^/]+/[^/]+)(/.*)?", ("sdk", "base", "api", "own plugin")),
    Layer("standalone", r"services/standalone(/.*)?", ("standalone", "shell", "builtin", "sdk", *_BASE)),
    Layer("core", r"services/(?P<unit>[^/]+)/core(/.*)?", ("own core", "sdk", "base", "bpf/include")),
    Layer("shell", r"services/(?P<unit>[^/]+)/shell(/.*)?", ("own shell", "own core", "sdk", "bpf", *_BASE)),
    Layer("interop", r"services/[^/]+/interop(/.*)?", ("*",)),
    Layer("main", r"services/(?P<unit>[^/]+)", ("own main", "own shell", "builtin", "sdk", *_BASE)),
    Layer("integration", r"integration(/.*)?", ("*",)),
    Layer("tools", r"tools(/.*)?", ("*",)),
)

# Shims and macros for the build itself: every BUILD file loads them.
BUILD_SUPPORT = "tools/bazel"

# Rooms of base that are I/O, time or threads: no core may reach them, on any path.
IMPURE_BASE = ("clock", "log", "loop", "netconf", "process", "store", "wire", "yang")

# Third-party libraries that a core may not reach, on any path.
IMPURE_LIBRARIES = ("bpf", "dl", "grpc", "grpc_reflection", "netconf2", "nlohmann_json", "prometheus", "protobuf", "sqlite3", "ssl", "uv", "yang")

# Libraries with one home each: packages (patterns) whose targets may name them directly, tests included.
LIBRARY_HOMES = {
    "bpf": (r"bpf(/.*)?", r"services/[^/]+/shell(/.*)?"),
    "grpc": (
        r"api/proto(/.*)?",
        r"services/base/store",
        r"services/base/wire",
        r"services/[^/]+/shell(/.*)?",
        r"services/standalone",
        r"plugins/sdk(/.*)?",
        r"plugins/examples(/.*)?",
        r"plugins/health_checks/grpc",
        r"tools/portolan(/.*)?",
    ),
    "netconf2": (r"services/base/netconf",),
    "prometheus": (r"services/base/metrics",),
    "sqlite3": (r"services/base/store",),
    "ssl": (r"services/base/netconf",),
    "uv": (r"services/base/loop",),
    "yang": (r"services/base/yang", r"services/base/netconf"),
}

# How the source files of those libraries begin.
LIBRARY_HEADERS = {
    "bpf/": "bpf",
    "google/protobuf/": "protobuf",
    "grpc/": "grpc",
    "grpcpp/": "grpc",
    "libssh/": "netconf2",
    "libyang/": "yang",
    "nc_server.h": "netconf2",
    "CivetServer.h": "prometheus",
    "nlohmann/": "nlohmann_json",
    "openssl/": "ssl",
    "prometheus/": "prometheus",
    "sqlite3.h": "sqlite3",
    "uv.h": "uv",
}

# Headers of clocks, locks, threads, sockets and files: a core has no use for them.
CORE_BANNED_HEADERS = (
    "absl/synchronization/",
    "absl/time/clock.h",
    "chrono",
    "condition_variable",
    "fcntl.h",
    "fstream",
    "iostream",
    "mutex",
    "sys/epoll.h",
    "sys/socket.h",
    "thread",
    "unistd.h",
)


def layer_of(package):
    """(Layer, unit) of a package, the unit being its service or plugin if the layer has such; (None, None) if unknown."""
    for layer in LAYERS:
        match = re.fullmatch(layer.pattern, package)
        if match:
            return layer, match.groupdict().get("unit")
    return None, None


def forbidden_import(importer, imported, importer_is_test=False):
    """Why `importer` may not import `imported` (both packages), or None if it may."""
    if imported == BUILD_SUPPORT:
        return None
    layer, unit = layer_of(importer)
    other, other_unit = layer_of(imported)
    if layer is None:
        return f"{importer} is in no row of the layer table (tools/tidy/layers.py)"
    if other is None:
        return f"{imported} is in no row of the layer table (tools/tidy/layers.py)"
    if importer_is_test or "*" in layer.may:
        return None
    if other.name in layer.may or (f"own {other.name}" in layer.may and unit == other_unit):
        return None
    if f"own {other.name}" in layer.may:
        return f"{layer.name} of {unit} may not import {other.name} of {other_unit}"
    return f"{layer.name} may not import {other.name}"


def forbidden_library(package, library):
    """Why a target of `package` may not name a third-party library directly, or None."""
    homes = LIBRARY_HOMES.get(library)
    if homes is None or any(re.fullmatch(home, package) for home in homes):
        return None
    return f"only {', '.join(homes)} may use the library {library}"


def impure_for_core(package=None, library=None):
    """Why no path may lead from a core to this package or library, or None."""
    if library is not None:
        return f"the library {library}" if library in IMPURE_LIBRARIES else None
    if re.fullmatch(rf"services/base/({'|'.join(IMPURE_BASE)})(/.*)?", package):
        return f"the impure base room {package}"
    layer, _ = layer_of(package)
    if layer is not None and layer.name in ("api", "shell", "main", "standalone"):
        return f"{layer.name} ({package})"
    return None


def is_core(package):
    layer, _ = layer_of(package)
    return layer is not None and layer.name == "core"
