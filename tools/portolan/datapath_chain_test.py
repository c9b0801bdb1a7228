"""`portolan datapath chain` with other XDP programs on a real interface, through restarts and upgrades."""

import importlib
import json
import os
import shutil
import subprocess
import unittest

from integration.topology import wait_until

lab_module = importlib.import_module("services.datapath-loader.interop.laboratory")
VIP_V4, NODE_A = lab_module.VIP_V4, lab_module.NODE_A

_PORTOLAN = os.path.abspath("tools/portolan/portolan")
_BPFTOOL = "/usr/sbin/bpftool"


@unittest.skipUnless(os.geteuid() == 0, "network namespaces and BPF need root")
class DatapathChainTest(unittest.TestCase):
    def setUp(self):
        self.lab = lab_module.Laboratory()
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__)
        self.lab.configure("xdp")
        self.lab.serve()
        self.lab.start()
        self.lab.wait_ready()
        # One before ours that goes on, but drops ICMP; one behind ours that drops what it sees.
        self.others = f"{self.lab.pins}-others"
        self.addCleanup(shutil.rmtree, self.others, ignore_errors=True)
        chain = f"{self.lab.pins}/maps/xdp_chain"
        words = ["prog", "loadall", "bpf/test/beside.bpf.o", self.others, "type", "xdp"]
        subprocess.run([_BPFTOOL, *words, "map", "name", "xdp_chain", "pinned", chain], check=True)

    def ask(self, *words):
        place = os.path.join(self.lab.run_dir, "datapath-loader.sock")
        done = subprocess.run(
            [_PORTOLAN, "--socket", place, "datapath", *words], capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout, done.stderr

    def chain(self):
        code, said, wrong = self.ask("chain", "list", "-o", "json")
        self.assertEqual(code, 0, wrong)
        return {int(row["slot"]): row["name"] for row in json.loads(said)}

    def expect_filtered(self):
        """The one before ours does its work, and so does ours."""
        self.assertIn(self.lab.ask(VIP_V4), ("a1", "b1"))
        self.assertFalse(self.lab.ping(VIP_V4))
        self.assertEqual(self.chain(), {0: "beside_before", 3: "portolan_lb_xdp"})

    def test_a_program_before_ours_stays_through_upgrade_kill_and_restart_until_it_is_taken_out(self):
        self.assertEqual(self.chain(), {3: "portolan_lb_xdp"})
        self.assertTrue(self.lab.ping(VIP_V4))
        code, said, wrong = self.ask("chain", "set", "0", f"{self.others}/beside_before")
        self.assertEqual(code, 0, wrong)
        self.assertRegex(said, r"0 +before +\d+ +beside_before")
        self.expect_filtered()
        message = lambda: self.lab.published("InterfaceState")["a/lan"]["message"]
        self.assertIn("native XDP behind other programs", message())
        self.assertIn("2 interfaces are upgraded", self.ask("upgrade")[1])
        self.expect_filtered()
        self.lab.loader.kill()
        self.assertFalse(self.lab.ping(VIP_V4), "without the loader")
        self.lab.start()
        self.lab.wait_ready()
        self.expect_filtered()
        self.assertEqual(self.ask("chain", "clear", "0")[0], 0)
        self.assertTrue(self.lab.ping(VIP_V4))
        self.assertIn(self.lab.ask(VIP_V4), ("a1", "b1"))
        self.assertEqual(self.chain(), {3: "portolan_lb_xdp"})
        wait_until(lambda: "behind other" not in message(), what="the interface has ours alone")
        self.assertEqual(self.ask("chain", "clear", "0")[0], 0, "again is harmless")

    def test_a_program_behind_ours_sees_what_ours_leaves_to_the_machine(self):
        self.assertTrue(self.lab.ping(NODE_A[4]))
        self.assertEqual(self.ask("chain", "set", "5", f"{self.others}/beside_after")[0], 0)
        self.assertFalse(self.lab.ping(NODE_A[4]))
        self.assertEqual(self.chain(), {3: "portolan_lb_xdp", 5: "beside_after"})
        self.assertEqual(self.ask("chain", "clear", "5")[0], 0)
        self.assertTrue(self.lab.ping(NODE_A[4]))

    def test_what_cannot_stand_there_is_refused_and_nothing_changes(self):
        link = next(entry.path for entry in os.scandir(f"{self.lab.pins}/links") if entry.name.startswith("xdp-"))
        for slot, program, code, text in (
            ("3", f"{self.others}/beside_before", 1, "slot: 3 is ours; 0 to 2 are before ours, 4 to 7 behind"),
            ("8", f"{self.others}/beside_before", 1, "slot: 8 does not exist"),
            ("0", "/sys/fs/bpf/nowhere", 4, "program: nothing is pinned at /sys/fs/bpf/nowhere"),
            ("0", link, 1, "is no XDP program"),
            ("0", f"{self.others}/beside_after", 1, "beside_after does not go on to the slots behind it"),
        ):
            with self.subTest(slot=slot, program=program):
                got = self.ask("chain", "set", slot, program)
                self.assertEqual(got[0], code, got)
                self.assertIn(text, got[2])
        self.assertEqual(self.chain(), {3: "portolan_lb_xdp"})
        self.assertTrue(self.lab.ping(VIP_V4))

    def test_a_program_that_is_there_already_is_told_with_the_remedy(self):
        self.lab.node_a.run(["ip", "link", "add", "used", "type", "veth", "peer", "name", "used1"])
        words = ["ip", "link", "set", "dev", "used", "xdpdrv", "pinned", f"{self.others}/beside_after"]
        self.lab.node_a.run(["nsenter", f"--mount=/proc/{os.getpid()}/ns/mnt", *words])
        self.lab.set("DatapathInterface", "used", name="used", mode="xdp")
        wait_until(lambda: self.lab.status("interface", "used").get("reason") == "no-xdp", what="it is said")
        status = self.lab.status("interface", "used")
        self.assertRegex(status["message"], r"another program is attached there already, of id \d+")
        self.assertIn("ip link set dev used xdp off", status["message"])
        self.assertIn("portolan datapath chain set SLOT PATH", status["message"])
        self.assertIn(self.lab.ask(VIP_V4), ("a1", "b1"))
        code, _, wrong = self.ask("attach", "used", "--mode", "xdp")
        self.assertEqual(code, 1)
        self.assertIn("another program is attached there already", wrong)

    def test_capabilities_say_whether_there_can_be_a_chain(self):
        code, said, wrong = self.ask("capabilities", "-o", "json")
        self.assertEqual(code, 0, wrong)
        self.assertEqual({row["capability"]: row["answer"] for row in json.loads(said)}["xdp-chain"], "yes")


if __name__ == "__main__":
    unittest.main()
