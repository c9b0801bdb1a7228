"""Claims about the layers, on #include lines and on a build graph."""

import unittest

from tools.tidy import include_rules, layers, query_rules
from tools.tidy.testing_tree import TreeTest

CORE = "services/ipam-service/core/engine.cc"


def including(*headers):
    return "".join(f'#include "{header}"\n' if header[0] != "<" else f"#include {header}\n" for header in headers)


class TableTest(unittest.TestCase):
    def test_TheTableSaysWhoMayImportWhom(self):
        for importer, imported, allowed in (
            ("api/proto/bgp/v1alpha1", "services/base/net", False),
            ("bpf/include", "bpf/lib", False),
            ("bpf/programs", "bpf/lib", True),
            ("integration/scripts", "services/ipam-service/shell", True),
            ("plugins/address_pickers/lowest_free", "plugins/address_pickers/stable_hash", False),
            ("plugins/address_pickers/lowest_free", "plugins/sdk", True),
            ("plugins/builtin", "plugins/address_pickers/lowest_free", True),
            ("plugins/sdk", "plugins/builtin", False),
            ("plugins/sdk", "services/ipam-service/core", False),
            ("services/base/net", "plugins/sdk", False),
            ("services/base/wire", "api/proto/stream/v1alpha1", True),
            ("services/ipam-service", "services/ipam-service/core", False),
            ("services/ipam-service", "services/ipam-service/shell", True),
            ("services/ipam-service/core", "api/proto/bgp/v1alpha1", False),
            ("services/ipam-service/core", "plugins/builtin", False),
            ("services/ipam-service/core", "plugins/sdk", True),
            ("services/ipam-service/core", "services/bgp-exporter/core", False),
            ("services/ipam-service/core", "services/ipam-service/shell", False),
            ("services/ipam-service/shell", "services/bgp-exporter/shell", False),
            ("services/ipam-service/shell", "services/ipam-service/core", True),
            ("services/standalone", "services/ipam-service/core", False),
            ("services/standalone", "services/ipam-service/shell", True),
            ("services/base/net", "integration/topology", False),
            ("services/base/net", "somewhere/else", False),
        ):
            why = layers.forbidden_import(importer, imported)
            self.assertEqual(why is None, allowed, f"{importer} -> {imported}: {why}")

    def test_TestsImportWhatTheyNeed(self):
        self.assertIsNone(layers.forbidden_import("services/base/net", "integration/topology", importer_is_test=True))

    def test_EveryLibraryHasItsHome(self):
        for package, library, allowed in (
            ("services/base/wire", "grpc", True),
            ("services/base/table", "grpc", False),
            ("services/base/yang", "yang", True),
            ("services/config-service/shell", "yang", False),
            ("services/base/store", "sqlite3", True),
            ("services/ipam-service/shell", "sqlite3", False),
            ("services/base/wire", "uv", False),
            ("services/base/net", "absl", True),
        ):
            self.assertEqual(layers.forbidden_library(package, library) is None, allowed, f"{package} {library}")


class IncludeTest(TreeTest):
    def test_AGoodCoreIsClean(self):
        files = {
            CORE: including("services/ipam-service/core/pool.h", "plugins/sdk/stage.h", "services/base/net/prefix.h", "<vector>"),
            "services/ipam-service/core/pool.h": including("absl/time/time.h"),
            "plugins/sdk/stage.h": including("services/base/net/prefix.h"),
            "services/base/net/prefix.h": including("<string>"),
        }
        self.assert_clean(include_rules.check, files)

    def test_AForbiddenEdgeIsFoundWithItsLine(self):
        files = {CORE: including("<vector>", "services/bgp-exporter/core/path.h")}
        self.assert_finds(include_rules.check, files, rf"^{CORE}:2: .*core of ipam-service may not import core of bgp-exp")

    def test_APathFromACoreToGrpcIsFoundAndTold(self):
        files = {
            CORE: including("services/base/selector/selector.h"),
            "services/base/selector/selector.h": including("services/base/other/deep.h"),
            "services/base/other/deep.h": including("api/proto/bgp/v1alpha1/bgp.grpc.pb.h"),
        }
        self.assert_finds(
            include_rules.check, files, r"core may not reach the library grpc: .*selector.h -> .*deep.h -> .*grpc.pb.h"
        )

    def test_APathFromACoreToAnImpureBaseRoomIsFound(self):
        files = {CORE: including("services/base/clock/clock.h"), "services/base/clock/clock.h": ""}
        self.assert_finds(include_rules.check, files, "impure base room services/base/clock")

    def test_ClocksLocksThreadsAndSocketsAreFoundInACore(self):
        for header in ("absl/time/clock.h", "absl/synchronization/mutex.h", "<mutex>", "<thread>", "<sys/socket.h>"):
            self.assert_finds(include_rules.check, {CORE: including(header)}, "a core has no clock, lock")

    def test_ACoresTestMayUseThem(self):
        path = "services/ipam-service/core/engine_test.cc"
        self.assert_clean(include_rules.check, {path: including("<thread>", "integration/fakes/world.h")})

    def test_ALibraryOutsideItsHomeIsFound(self):
        for header, path in (
            ("<sqlite3.h>", "services/ipam-service/shell/service.cc"),
            ("<libyang/libyang.h>", "services/config-service/shell/service.cc"),
            ("<grpcpp/grpcpp.h>", "services/base/table/table.cc"),
            ("<uv.h>", "services/base/wire/server.cc"),
        ):
            self.assert_finds(include_rules.check, {path: including(header)}, "may use the library")
        self.assert_clean(include_rules.check, {"services/base/store/sqlite_store.cc": including("<sqlite3.h>")})


GRAPH = """<?xml version="1.1"?><query version="2">
<rule class="cc_library" name="//services/ipam-service/core:engine">{core}</rule>
<rule class="cc_library" name="//services/base/net:net"><rule-input name="@system//:absl"/></rule>
<rule class="cc_library" name="//services/base/wire:wire"><rule-input name="@system//:grpc"/></rule>
<rule class="cc_library" name="//services/base/selector:selector"><rule-input name="//services/base/wire:wire"/></rule>
<rule class="cc_library" name="@system//:grpc"><rule-input name="@system//:protobuf"/></rule>
{more}</query>"""


class QueryTest(unittest.TestCase):
    def found(self, core="", more=""):
        return [str(finding) for finding in query_rules.check(query_rules.parse(GRAPH.format(core=core, more=more)))]

    def test_AGoodGraphIsClean(self):
        self.assertEqual(self.found('<rule-input name="//services/base/net:net"/>'), [])

    def test_APathFromACoreToGrpcIsFoundAndTold(self):
        (finding,) = self.found('<rule-input name="//services/base/selector:selector"/>')
        self.assertIn("core:engine -> //services/base/selector:selector -> //services/base/wire:wire: a core may", finding)
        self.assertIn("services/ipam-service/core/BUILD.bazel", finding)

    def test_AForbiddenEdgeIsFound(self):
        self.assertEqual(len(self.found('<rule-input name="//services/bgp-exporter/core:path"/>')), 1)

    def test_ALibraryOutsideItsHomeIsFound(self):
        more = '<rule class="cc_library" name="//services/base/table:t"><rule-input name="@system//:sqlite3"/></rule>'
        self.assertEqual(len(self.found(more=more)), 1)

    def test_TestsAndTestonlyTargetsAreExempt(self):
        edge = '<rule-input name="//integration/topology:topology"/>'
        for rule in (
            f'<rule class="cc_test" name="//services/base/net:net_test">{edge}</rule>',
            f'<rule class="cc_library" name="//services/base/net:f"><boolean name="testonly" value="true"/>{edge}</rule>',
        ):
            self.assertEqual(self.found(more=rule), [])
        self.assertEqual(len(self.found(more=f'<rule class="cc_library" name="//services/base/net:x">{edge}</rule>')), 1)

    def test_AnEmptyGraphProvesNothing(self):
        self.assertEqual(len(list(query_rules.check({}))), 1)


if __name__ == "__main__":
    unittest.main()
