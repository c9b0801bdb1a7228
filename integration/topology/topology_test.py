"""Claims about laboratories. Most need root and are skipped without it."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from integration import topology
from integration.topology import topology as rooms
from integration.topology.process import Process, run

NEEDS_ROOT = unittest.skipIf(os.geteuid() != 0, "network namespaces need root: run this with sudo")

# A laboratory that tells its prefix and then waits, for tests of how laboratories end.
WAITING_LABORATORY = """
import time
from integration import topology
with topology.Topology() as lab:
    host = lab.host("a")
    sleeper = host.spawn(["sleep", "1000"])
    print(lab.prefix, sleeper.pid, flush=True)
    {then}
"""

ASK_BY_UDP = """
import socket, sys
udp = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
udp.settimeout(2)
udp.connect((sys.argv[1], 80))
udp.send(b"who is there?")
print(udp.recv(100).decode(), end="")
"""


def gone(pid):
    return not os.path.exists(f"/proc/{pid}")


def start_waiting_laboratory(then="time.sleep(1000)"):
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    child = subprocess.Popen(
        [sys.executable, "-c", WAITING_LABORATORY.format(then=then)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    prefix, pid = child.stdout.readline().split()
    return child, prefix, int(pid)


class ProcessTest(unittest.TestCase):
    def setUp(self):
        self.log = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "log")

    def start(self, script):
        started = Process(["bash", "-c", script], "it", self.log)
        self.addCleanup(started.kill)
        return started

    def test_StopEndsAProgramThatIgnoresSigterm(self):
        started = self.start("trap '' TERM; echo ready; while :; do sleep 0.1; done")
        started.wait_for_log("ready")
        self.assertEqual(started.stop(grace=0.2), -signal.SIGKILL)

    def test_StopReachesTheChildrenThatItForked(self):
        started = self.start("sleep 1000 & echo child $!; wait")
        started.wait_for_log("child")
        child = int(started.log().split()[1])
        started.stop()
        topology.wait_until(lambda: gone(child), what="the child's end")

    def test_StopLetsTheProgramCleanUp(self):
        started = self.start("trap 'echo cleaned; exit 3' TERM; echo ready; while :; do sleep 0.05; done")
        started.wait_for_log("ready")
        self.assertEqual(started.stop(), 3)
        self.assertIn("cleaned", started.log())

    def test_WaitForLogTellsWhyAProgramEnded(self):
        started = self.start("echo no such device; exit 4")
        with self.assertRaisesRegex(topology.CommandFailed, "(?s)exit code 4.*no such device"):
            started.wait_for_log("ready", timeout=5)

    def test_RunTellsCommandCodeAndError(self):
        with self.assertRaisesRegex(topology.CommandFailed, "here: bash .*exit code 7: oh dear"):
            run(["bash", "-c", "echo oh dear >&2; exit 7"], "here", timeout=5, check=True)

    def test_RunEndsACommandThatHangs(self):
        with self.assertRaisesRegex(topology.CommandFailed, "no end after 0.2 s"):
            run(["sleep", "1000"], "here", timeout=0.2, check=True)

    def test_WaitUntilNamesWhatDidNotHappen(self):
        with self.assertRaisesRegex(TimeoutError, "the moon"):
            topology.wait_until(lambda: False, timeout=0.1, what="the moon")


class NameTest(unittest.TestCase):
    def test_RemoveRefusesAPrefixThatIsNoLaboratory(self):
        for prefix in ("", ".", "..", "portolan-", "etc", "portolan-../../etc"):
            with self.assertRaises(ValueError, msg=prefix):
                topology.Topology.remove(prefix)


@NEEDS_ROOT
class TopologyTest(unittest.TestCase):
    def lab(self, **arguments):
        return self.enterContext(topology.Topology(**arguments))

    def test_HostsOfOneLanReachEachOtherInBothFamilies(self):
        lab = self.lab()
        lan = lab.bridge("lan")
        for index, name in enumerate(("a", "b"), start=1):
            lab.connect(lab.host(name), lan, addresses=[f"192.0.2.{index}/24", f"2001:db8::{index}/64"])
        for target in ("192.0.2.2", "2001:db8::2"):
            lab.hosts["a"].run(["ping", "-c1", "-W2", target])
        self.assertEqual(lab.hosts["a"].neighbours()["192.0.2.2"], lab.hosts["b"].mac("lan"))

    def test_ARouterCarriesPacketsBetweenLinks(self):
        lab = self.lab()
        left, router, right = lab.host("left"), lab.host("router", forwarding=True), lab.host("right")
        lab.link(left, router, ["192.0.2.1/24", "2001:db8:1::1/64"], ["192.0.2.2/24", "2001:db8:1::2/64"])
        lab.link(router, right, ["198.51.100.1/24", "2001:db8:2::1/64"], ["198.51.100.2/24", "2001:db8:2::2/64"])
        left.add_route("default", via="192.0.2.2")
        left.add_route("default", via="2001:db8:1::2")
        right.add_route("192.0.2.0/24", via="198.51.100.1")
        right.add_route("2001:db8:1::/64", via="2001:db8:2::1")
        left.run(["ping", "-c1", "-W2", "198.51.100.2"])
        left.run(["ping", "-c1", "-W2", "2001:db8:2::2"])
        self.assertIn("198.51.100.0/24", [route["dst"] for route in router.routes()])

    def test_AHostThatDoesNotForwardCarriesNothing(self):
        lab = self.lab()
        left, middle, right = lab.host("left"), lab.host("middle"), lab.host("right")
        lab.link(left, middle, ["192.0.2.1/24"], ["192.0.2.2/24"])
        lab.link(middle, right, ["198.51.100.1/24"], ["198.51.100.2/24"])
        left.add_route("default", via="192.0.2.2")
        right.add_route("default", via="198.51.100.1")
        with self.assertRaises(topology.CommandFailed):
            left.run(["ping", "-c1", "-W1", "198.51.100.2"])

    def test_OffloadsAreOffAndTheMacIsTheGivenOne(self):
        lab = self.lab()
        lab.connect(lab.host("a"), lab.bridge("lan"), interface="eth0", mac="02:00:00:00:00:0a")
        features = lab.hosts["a"].run(["ethtool", "-k", "eth0"]).stdout
        for feature in ("tx-checksumming", "tcp-segmentation-offload", "generic-segmentation-offload"):
            self.assertIn(f"{feature}: off", features)
        self.assertIn("generic-receive-offload: off", features)
        self.assertEqual(lab.hosts["a"].mac("eth0"), "02:00:00:00:00:0a")

    def test_NothingAppearsInTheMachinesOwnNamespace(self):
        before = os.listdir("/sys/class/net")
        lab = self.lab()
        lab.connect(lab.host("a"), lab.bridge("lan"))
        self.assertEqual(os.listdir("/sys/class/net"), before)

    def test_ABadNameIsRefusedAndATakenOneToo(self):
        lab = self.lab()
        lab.host("a")
        for name in ("a", "A", "", "a.b", "x" * 16):
            with self.assertRaises(ValueError, msg=name):
                lab.host(name)

    def test_BackendsAnswerTheirNameAndSeeTheClient(self):
        lab = self.lab()
        lab.link(lab.host("client"), lab.host("server"), ["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"])
        topology.HttpBackend(lab.hosts["server"], name="blue")
        client = lab.hosts["client"]
        for target, source in (("192.0.2.2", "192.0.2.1"), ("[2001:db8::2]", "2001:db8::1")):
            self.assertEqual(client.run(["curl", "-sS", f"http://{target}/"]).stdout, "blue\n")
            self.assertIn(f'"client": "{source}"', client.run(["curl", "-sS", f"http://{target}/whoami"]).stdout)
        self.assertIn("blue 3", client.run(["curl", "-sS", "http://192.0.2.2/drip?seconds=0.6"]).stdout)
        for target in ("192.0.2.2", "2001:db8::2"):
            self.assertEqual(client.run([sys.executable, "-c", ASK_BY_UDP, target]).stdout, "blue\n")

    def test_ARestartedProgramHasALogOfItsOwn(self):
        host = self.lab().host("a")
        host.spawn(["bash", "-c", "echo ready"]).wait_for_log("ready")
        again = host.spawn(["bash", "-c", "echo something else"])
        again.wait(10)
        self.assertEqual(again.log(), "something else\n")

    def test_TwoLaboratoriesOfOneTestHaveTheirOwnLogs(self):
        self.assertNotEqual(self.lab().log_dir, self.lab().log_dir)

    def test_ASnifferSeesTheArpRequest(self):
        lab = self.lab()
        lab.link(lab.host("a"), lab.host("b"), ["192.0.2.1/24"], ["192.0.2.2/24"])
        sniffer = topology.Sniffer(lab.hosts["b"], "a", "arp")
        lab.hosts["a"].run(["ping", "-c1", "-W2", "192.0.2.2"])
        topology.wait_until(lambda: any("who-has 192.0.2.2" in line for line in sniffer.lines()), what="the request")

    def test_TwoFrrRoutersExchangeARoute(self):
        lab = self.lab()
        lab.link(lab.host("r1", forwarding=True), lab.host("r2", forwarding=True), ["192.0.2.1/24"], ["192.0.2.2/24"])
        config = (
            "router bgp {own}\n no bgp ebgp-requires-policy\n timers bgp 1 3\n"
            " neighbor {peer} remote-as {other}\n neighbor {peer} timers connect 1\n"
            " address-family ipv4 unicast\n  redistribute static\n exit-address-family\n"
        )
        routers = {
            name: topology.FrrRouter(
                lab.hosts[name], config.format(own=own, other=other, peer=peer), daemons=("zebra", "staticd", "bgpd")
            )
            for name, own, other, peer in (("r1", 65001, 65002, "192.0.2.2"), ("r2", 65002, 65001, "192.0.2.1"))
        }
        routers["r1"].configure("ip route 203.0.113.0/24 blackhole\n")
        topology.wait_until(lambda: "203.0.113.0/24" in routers["r2"].bgp_routes(), timeout=30, what="the route")
        self.assertEqual(routers["r2"].neighbor_state("192.0.2.1"), "Established")
        topology.wait_until(
            lambda: "203.0.113.0/24" in [route["dst"] for route in lab.hosts["r2"].routes()], what="the kernel's route"
        )

    def test_FrrRefusesABadConfigurationByName(self):
        lab = self.lab()
        with self.assertRaisesRegex(topology.CommandFailed, "nonsense"):
            topology.FrrRouter(lab.host("r1"), "nonsense here\n")


@NEEDS_ROOT
class EndTest(unittest.TestCase):
    def assert_removed(self, prefix, *pids):
        self.assertEqual(rooms.namespaces_of(prefix), [])
        self.assertFalse(os.path.exists(rooms.run_dir_of(prefix)))
        for pid in pids:
            topology.wait_until(lambda pid=pid: gone(pid), what=f"the end of process {pid}")

    def test_AnExceptionLeavesNothing(self):
        with self.assertRaisesRegex(RuntimeError, "on purpose"):
            with topology.Topology() as lab:
                sleeper = lab.host("a").spawn(["sleep", "1000"])
                raise RuntimeError("on purpose")
        self.assert_removed(lab.prefix, sleeper.pid)

    def test_SignalsLeaveNothing(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            child, prefix, pid = start_waiting_laboratory()
            child.send_signal(number)
            self.assertEqual(child.wait(20), 128 + number)
            child.stdout.close()
            self.assert_removed(prefix, pid)

    def test_ADaemonThatLeftItsSessionIsKilled(self):
        with topology.Topology() as lab:
            host = lab.host("a")
            host.run(["bash", "-c", "setsid --fork sleep 1000 >/dev/null 2>&1"])
            pids = run(["ip", "netns", "pids", host.netns], "here", 5, True).stdout.split()
            self.assertEqual(len(pids), 1)
        self.assert_removed(lab.prefix, int(pids[0]))

    def test_AKilledOwnersLaboratoryIsAnOrphanThatRemoveEnds(self):
        child, prefix, pid = start_waiting_laboratory()
        self.assertNotIn(prefix, rooms.orphans())
        child.kill()
        child.wait(20)
        child.stdout.close()
        self.assertFalse(gone(pid))
        self.assertIn(prefix, rooms.orphans())
        topology.Topology.remove(prefix)
        self.assert_removed(prefix, pid)

    def test_AKeptLaboratoryStaysUntilItIsRemoved(self):
        child, prefix, pid = start_waiting_laboratory(then="lab.keep = True")
        self.assertEqual(child.wait(20), 0)
        child.stdout.close()
        self.assertFalse(gone(pid))
        self.assertEqual(rooms.namespaces_of(prefix), [f"{prefix}.a"])
        topology.Topology.remove(prefix)
        self.assert_removed(prefix, pid)

    def test_ASecondLaboratoryOfOnePrefixIsRefusedWithTheRemedy(self):
        prefix = f"portolan-twice-{os.getpid()}"
        with topology.Topology(prefix=prefix):
            with self.assertRaisesRegex(FileExistsError, f"remove {prefix}"):
                with topology.Topology(prefix=prefix):
                    pass

    def test_AThreadThatIsNotMainMayOwnOne(self):
        seen = []

        def own():
            with topology.Topology() as lab:
                seen.append(lab.prefix)

        thread = threading.Thread(target=own)
        thread.start()
        thread.join()
        self.assert_removed(seen[0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
