"""Claims about the bgp benchmark's own parts: what the receiver reads, and that the rivals' sides work."""

import os
import struct
import subprocess
import sys
import unittest

from integration.benchmarks import benchmark, bgp_receiver

_TEN = b"\x20\x14\x00\x00\x0a"  # 20.0.0.10/32
_NET = b"\x18\x14\x00\x01"  # 20.0.1.0/24


def update(withdrawn=b"", attributes=b"", prefixes=b""):
    return struct.pack("!H", len(withdrawn)) + withdrawn + struct.pack("!H", len(attributes)) + attributes + prefixes


class ReceiverTest(unittest.TestCase):
    def test_PrefixesOfAnUpdateAreRead(self):
        body = update(prefixes=_TEN + _NET + b"\x00")
        self.assertEqual(list(bgp_receiver.announced(body)), ["20.0.0.10/32", "20.0.1.0/24", "0.0.0.0/0"])

    def test_WithdrawnPrefixesAndOtherAttributesAreNot(self):
        origin = b"\x40\x01\x01\x00"
        self.assertEqual(list(bgp_receiver.announced(update(_TEN, origin, _NET))), ["20.0.1.0/24"])

    def test_Ipv4InMultiprotocolReachIsReadAlsoWithALongLength(self):
        value = b"\x00\x01\x01\x04\x0a\x63\x00\x01\x00" + _TEN
        for head in (b"\x80\x0e" + bytes([len(value)]), b"\x90\x0e" + struct.pack("!H", len(value))):
            self.assertEqual(list(bgp_receiver.announced(update(attributes=head + value))), ["20.0.0.10/32"])

    def test_Ipv6InMultiprotocolReachIsNot(self):
        value = b"\x00\x02\x01\x10" + bytes(16) + b"\x00" + b"\x80" + bytes(16)
        body = update(attributes=b"\x80\x0e" + bytes([len(value)]) + value)
        self.assertEqual(list(bgp_receiver.announced(body)), [])


@unittest.skipIf(os.geteuid() != 0, "network namespaces need root: run this with sudo")
class RivalTest(unittest.TestCase):
    def test_EachRivalGivesBothFigures(self):
        for rival in ("bird", "frr"):
            command = [sys.executable, "-m", "integration.benchmarks.bgp_sides", rival]
            done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)
            figures = {entry["figure"]: entry["value"] for entry in benchmark.figures_of(done.stdout)}
            self.assertEqual(sorted(figures), ["bgp_add_ms", "bgp_table_1000_ms"])
            self.assertGreater(figures["bgp_add_ms"], 0)


if __name__ == "__main__":
    unittest.main()
