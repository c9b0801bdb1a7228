"""Claims about announcers on a real LAN: kernel neighbour tables, real frames, killed and frozen processes."""

import json
import os
import signal
import sys
import time
import unittest

from integration import topology
from integration.topology.process import CommandFailed, wait_until

ROOM = os.path.dirname(os.path.abspath(__file__))
ANNOUNCER = os.path.join(ROOM, "..", "l2-announcer")
PUBLISHER = os.path.join(ROOM, "testing_publisher")

V4 = "172.18.255.200"
V6 = "2001:db8:dead:beef::200"
SERVICE = "shop/web"
HEARTBEAT = 0.2
DEAD = 1.0

# Asks by ARP, as fast as told, and prints who answers: seconds since the epoch, hardware address.
ASK = """
import select, socket, struct, sys, time
interface, target, interval, duration = sys.argv[1], socket.inet_aton(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
link.bind((interface, 0x0806))
mac = link.getsockname()[4]
source = socket.inet_aton("172.18.255.9")
question = b"\\xff" * 6 + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + mac + source + bytes(6) + target
end = time.time() + duration
while time.time() < end:
    link.send(question)
    until = time.time() + interval
    while (left := until - time.time()) > 0:
        if not select.select([link], [], [], left)[0]:
            continue
        frame = link.recv(2048)
        if frame[:6] == mac and frame[20:22] == b"\\0\\2" and frame[28:32] == target:
            print(f"{time.time():.6f} {frame[22:28].hex(':')}", flush=True)
"""

# Sends one UDP datagram, so that the kernel asks for the neighbour.
KNOCK = """
import socket, sys
socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (sys.argv[1], 9))
"""


class Node:
    """A host with an announcer and what feeds it."""

    def __init__(self, lab, name, host):
        self.name = name
        self.host = host
        self.run_dir = os.path.join(lab.run_dir, name)
        os.mkdir(self.run_dir)
        self._fifo = os.path.join(self.run_dir, "fifo")
        os.mkfifo(self._fifo)
        publisher = os.path.join(self.run_dir, "publisher.sock")
        self.publisher = host.spawn([PUBLISHER, publisher, self._fifo])
        self.publisher.wait_for_log("ready")
        for upstream in ("config-service", "ipam-service", "datapath-loader"):
            os.symlink(publisher, os.path.join(self.run_dir, upstream + ".sock"))
        self.process = None

    def start(self, prefix=()):
        self.process = self.host.spawn(
            [*prefix, ANNOUNCER, "--node", self.name, "--run-dir", self.run_dir, "--state-dir", self.run_dir],
            name="l2-announcer",
        )

    def tell(self, line):
        with open(self._fifo, "w", encoding="utf-8") as fifo:
            fifo.write(line + "\n")

    def put(self, table, name, /, **fields):
        self.tell(f"put {table} {name} {json.dumps(fields)}")

    def configure(self, nodes, dead=DEAD, **policy):
        self.put(
            "L2Settings",
            "settings",
            heartbeatIntervalMs=int(HEARTBEAT * 1000),
            deadIntervalMs=int(dead * 1000),
            gratuitousCount=3,
            gratuitousIntervalMs=500,
        )
        for node in nodes:
            self.put("Node", node, name=node)
        self.put("L2Policy", "lan", name="lan", **policy)
        self.allocate(V4, V6)
        self.gate(V4, V6)
        self.tell("synced")

    def allocate(self, *addresses):
        grants = [{"address": address, "pool": "lan"} for address in addresses]
        self.put("Allocation", SERVICE, key=SERVICE, generation=1, grants=grants)

    def gate(self, *addresses):
        key = f"datapath/{self.name}/service/{SERVICE}"
        fields = {"component": "datapath", "node": self.name, "kind": "service", "key": SERVICE}
        self.put("ObjectStatus", key, addresses=list(addresses), **fields)


@unittest.skipIf(os.geteuid() != 0, "network namespaces need root: run this with sudo")
class LanTest(unittest.TestCase):
    def setUp(self):
        self.lab = self.enterContext(topology.Topology())
        self.lan = self.lab.bridge("lan")
        self.client = self.lab.host("client")
        self.lab.connect(self.client, self.lan, addresses=["172.18.255.9/24", "2001:db8:dead:beef::9/64"])
        self.nodes = {}

    def add_node(self, name, number, addresses=True):
        host = self.lab.host(name, forwarding=True)
        own = [f"172.18.255.{number}/24", f"2001:db8:dead:beef::{number}/64"] if addresses else []
        self.lab.connect(host, self.lan, addresses=own)
        self.nodes[name] = Node(self.lab, name, host)
        return self.nodes[name]

    def two_nodes(self, dead=DEAD):
        for number, name in enumerate("ab", start=1):
            self.add_node(name, number).configure(["a", "b"], dead)
        for node in self.nodes.values():
            node.start()

    def mac(self, name):
        return self.nodes[name].host.mac("lan")

    def neighbour(self, address):
        """The hardware address that the client's kernel has for it."""
        return self.client.neighbours().get(address)

    def resolve(self, address, timeout=15.0):
        """The hardware address that the client's kernel finds out by itself, and the node that has it."""

        def resolved():
            self.client.run([sys.executable, "-c", KNOCK, address])
            return self.neighbour(address)

        mac = wait_until(resolved, timeout, f"the client resolves {address}", interval=0.1)
        owners = [name for name in self.nodes if self.mac(name) == mac]
        self.assertEqual(len(owners), 1, f"{address} is at {mac}, which is no node's")
        return owners[0]

    def ask(self, address=V4, duration=0.5):
        """Hardware addresses that answer to ARP requests."""
        answers = self.client.run([sys.executable, "-c", ASK, "lan", address, "0.1", str(duration)]).stdout
        return {line.split()[1] for line in answers.splitlines()}

    def test_the_client_finds_the_owner_by_arp_and_by_neighbour_discovery(self):
        self.two_nodes()
        for address in (V4, V6):
            owner = self.resolve(address)
            self.nodes[owner].process.wait_for_log(f'"announcing","interface":"lan","address":"{address}"')
        self.assertEqual(self.ask(), {self.mac(self.resolve(V4))})

    def test_a_single_node_does_not_wait_for_others(self):
        node = self.add_node("a", 1)
        node.configure(["a"])
        begin = time.monotonic()
        node.start()
        self.resolve(V4)
        self.resolve(V6)
        self.assertLess(time.monotonic() - begin, DEAD, "it waited for a dead interval")

    def test_a_killed_owner_is_followed_and_the_client_is_told(self):
        self.two_nodes()
        for address in (V4, V6):
            owner = self.resolve(address)
            other = "b" if owner == "a" else "a"
            # It may take an address back in the moment in which its partner starts again.
            wait_until(lambda: self.resolve(address) == owner, what="a settled owner")
            begin = time.monotonic()
            self.nodes[owner].process.send(signal.SIGKILL)
            # Without a question from the client: only gratuitous frames can change its table.
            wait_until(
                lambda: self.neighbour(address) == self.mac(other), DEAD + 5, f"{address} moves to {other}", 0.02
            )
            self.assertLess(time.monotonic() - begin, DEAD + 1)
            self.nodes[owner].process.stop()
            self.nodes[owner].start()
            wait_until(lambda: self.neighbour(address) == self.mac(owner), what=f"{address} returns to {owner}")

    def test_an_owner_that_is_stopped_in_order_is_followed_before_the_dead_interval(self):
        self.two_nodes()
        owner = self.resolve(V4)
        other = "b" if owner == "a" else "a"
        begin = time.monotonic()
        self.nodes[owner].process.stop()
        wait_until(lambda: self.neighbour(V4) == self.mac(other), what="the other node's address", interval=0.02)
        self.assertLess(time.monotonic() - begin, DEAD)

    def test_an_owner_that_is_started_again_at_once_keeps_its_addresses(self):
        self.two_nodes(dead=3.0)
        owner = self.resolve(V4)
        other = "b" if owner == "a" else "a"
        asker = self.client.spawn([sys.executable, "-c", ASK, "lan", V4, "0.02", "60"], name="asker")
        seen = lambda: [line.split()[1] for line in asker.log().splitlines()]
        wait_until(lambda: seen()[-1:] == [self.mac(owner)], what="an answer of the owner")
        self.nodes[owner].process.send(signal.SIGKILL)
        self.nodes[owner].process.wait(5)
        before = len(seen())
        self.nodes[owner].start()
        wait_until(lambda: len(seen()) > before + 10, what="answers of the new process")
        asker.stop()
        self.assertEqual(set(seen()), {self.mac(owner)})
        self.assertNotIn(f'"announcing","interface":"lan","address":"{V4}"', self.nodes[other].process.log())

    def test_a_frozen_owner_never_answers_while_the_other_owns(self):
        self.two_nodes()
        owner = self.resolve(V4)
        other = "b" if owner == "a" else "a"
        asker = self.client.spawn([sys.executable, "-c", ASK, "lan", V4, "0.02", "60"], name="asker")
        seen = lambda: [line.split()[1] for line in asker.log().splitlines()]
        wait_until(lambda: seen()[-1:] == [self.mac(owner)], what="an answer of the owner")
        self.nodes[owner].process.send(signal.SIGSTOP)
        wait_until(lambda: seen()[-1:] == [self.mac(other)], DEAD + 5, "an answer of the other node")
        self.nodes[owner].process.send(signal.SIGCONT)
        # The questions of the whole freeze wait in its socket now. It listens, then gets its share back.
        wait_until(lambda: seen()[-1:] == [self.mac(owner)], what="the thawed owner has it again")
        answers = seen()
        asker.stop()
        turns = [mac for mac, before in zip(answers, [None, *answers]) if mac != before]
        self.assertEqual(turns, [self.mac(owner), self.mac(other), self.mac(owner)])

    def test_nobody_answers_for_an_address_that_the_datapath_does_not_carry(self):
        node = self.add_node("a", 1)
        node.configure(["a"])
        node.start()
        self.resolve(V4)
        node.gate(V6)
        wait_until(lambda: not self.ask(), what="silence")
        node.gate(V4, V6)
        wait_until(lambda: self.ask() == {self.mac("a")}, what="answers")
        node.tell(f"remove Allocation {SERVICE}")
        wait_until(lambda: not self.ask(), what="silence")

    def test_an_interface_without_addresses_can_announce_when_a_policy_names_it(self):
        node = self.add_node("a", 1, addresses=False)
        node.configure(["a"], interfaces=["lan"])
        node.start()
        self.assertEqual(self.resolve(V4), "a")
        self.assertEqual(self.resolve(V6), "a")

    def test_duplicate_address_detection_of_a_host_finds_the_owner(self):
        node = self.add_node("a", 1)
        node.configure(["a"])
        node.start()
        self.resolve(V6)
        self.client.sysctl("net/ipv6/conf/lan/accept_dad", 1)
        self.client.run(["ip", "address", "add", V6 + "/64", "dev", "lan"])

        def refused():
            infos = self.client.interfaces()["lan"]["addr_info"]
            return any(info["local"] == V6 and info.get("dadfailed") for info in infos)

        wait_until(refused, what="the kernel's duplicate address detection fails")

    def test_a_foreign_host_that_has_the_address_is_left_alone_and_reported(self):
        foreign = self.lab.host("foreign")
        self.lab.connect(foreign, self.lan, addresses=[V4 + "/24"])
        node = self.add_node("a", 1)
        node.configure(["a"])
        node.start()
        node.process.wait_for_log("address-conflict")
        self.assertIn(foreign.mac("lan"), node.process.log())
        self.assertEqual(self.ask(), {foreign.mac("lan")})
        self.assertEqual(self.resolve(V6), "a")

    def test_a_cut_cable_is_noticed_at_once_and_the_node_listens_when_it_is_back(self):
        self.two_nodes()
        owner = self.resolve(V4)
        other = "b" if owner == "a" else "a"
        self.lan.run(["ip", "link", "set", "dev", owner, "down"])
        self.nodes[owner].process.wait_for_log('"no longer announcing"')
        wait_until(lambda: self.neighbour(V4) == self.mac(other), what="the other node's address", interval=0.02)
        self.lan.run(["ip", "link", "set", "dev", owner, "up"])
        wait_until(lambda: self.neighbour(V4) == self.mac(owner), what="the owner has it again")

    def test_without_the_capability_it_says_what_to_do(self):
        node = self.add_node("a", 1)
        node.configure(["a"])
        node.start(["setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw"])
        node.process.wait_for_log("CAP_NET_RAW")
        self.assertTrue(node.process.running)
        self.assertEqual(self.ask(), set())


if __name__ == "__main__":
    unittest.main()
