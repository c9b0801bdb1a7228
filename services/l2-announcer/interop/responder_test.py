"""l2-announcer and datapath-loader together: the datapath answers ARP and ND, and exactly one node and one answerer does.

    client 172.18.255.9 --- bridge lan --- node a .1, node b .2, each with a datapath-loader and an l2-announcer
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

from integration.topology import CommandFailed, Sniffer, Topology, wait_until

V4, V6 = "172.18.255.200", "2001:db8:dead:beef::200"
ADDRESSES = (V4, V6)
SERVICE = "shop/web"
HEARTBEAT, DEAD = 0.2, 1.0
SLACK = 0.3  # a busy machine's delay between a signal and what follows from it
_PROGRAMS = {name: os.path.abspath(f"services/{name}/{name}") for name in ("datapath-loader", "l2-announcer")}
_UPSTREAMS = os.path.abspath("services/datapath-loader/interop/upstreams")

# Asks for both addresses, as fast as told; prints "TIME ADDRESS ask" and "TIME ADDRESS MAC" for each answer.
ASK = """
import select, socket, struct, sys, time
interface, v4, v6, interval, duration = *sys.argv[1:4], float(sys.argv[4]), float(sys.argv[5])
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
link.bind((interface, 3))
mac = link.getsockname()[4]
ip4, ip6 = socket.inet_aton(v4), socket.inet_pton(socket.AF_INET6, v6)
own6 = socket.inet_pton(socket.AF_INET6, "2001:db8:dead:beef::9")
arp = b"\\xff" * 6 + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + mac + socket.inet_aton("172.18.255.9")
arp += bytes(6) + ip4
group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + ip6[13:]
def summed(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return struct.pack("!H", ~total & 0xffff)
body = bytes(4) + ip6 + b"\\1\\1" + mac
check = summed(own6 + group + struct.pack("!II", 4 + len(body), 58) + b"\\x87\\0\\0\\0" + body)
nd = b"\\x33\\x33\\xff" + ip6[13:] + mac + struct.pack("!HIHBB", 0x86dd, 6 << 28, 4 + len(body), 58, 255) + own6 + group
nd += b"\\x87\\0" + check + body
end = time.time() + duration
while time.time() < end:
    for name, question in ((v4, arp), (v6, nd)):
        print(f"{time.time():.6f} {name} ask", flush=True)
        link.send(question)
    until = time.time() + interval
    while (left := until - time.time()) > 0:
        if not select.select([link], [], [], left)[0]:
            continue
        frame = link.recv(2048)
        if frame[:6] != mac: continue
        if frame[12:14] == b"\\x08\\x06" and frame[20:22] == b"\\0\\2" and frame[28:32] == ip4:
            print(f"{time.time():.6f} {v4} {frame[22:28].hex(':')}", flush=True)
        if frame[12:14] == b"\\x86\\xdd" and frame[54] == 136 and frame[62:78] == ip6:
            print(f"{time.time():.6f} {v6} {frame[80:86].hex(':')}", flush=True)
"""

# Sends one datagram, so that the kernel asks for the neighbour.
KNOCK = """
import socket, sys
socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (sys.argv[1], 9))
"""


class Node:
    """A host with both services; what they read is played by the program `upstreams`."""

    def __init__(self, lab, name, number, lan):
        self.name = name
        self.host = lab.host(name, forwarding=True)
        lab.connect(self.host, lan, addresses=[f"172.18.255.{number}/24", f"2001:db8:dead:beef::{number}/64"])
        lab.link(self.host, lab.host(f"{name}1"), ["10.244.1.1/24"], ["10.244.1.11/24"], "pods", "eth0")
        self.run_dir = os.path.join(lab.run_dir, name)
        os.mkdir(self.run_dir)
        self.pins = f"/sys/fs/bpf/portolan/{lab.prefix}-{name}"
        self.upstreams = subprocess.Popen(
            [_UPSTREAMS, self.run_dir], encoding="utf-8", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._expect_ok()
        self.announcer = self.loader = None

    def close(self):
        self.upstreams.stdin.close()
        self.upstreams.terminate()
        self.upstreams.wait()
        self.upstreams.stdout.close()
        shutil.rmtree(self.pins, ignore_errors=True)

    # ---- programs ----

    def _arguments(self, program, *extra):
        directories = ["--run-dir", self.run_dir, "--state-dir", self.run_dir, "--bpf-dir", self.pins]
        if "--detach" in extra:
            directories = directories[2:]
        return [_PROGRAMS[program], "--node", self.name, *directories, *extra]

    def start_loader(self):
        self.loader = self.host.spawn(self._arguments("datapath-loader"), name="datapath-loader")

    def start_announcer(self):
        self.announcer = self.host.spawn(self._arguments("l2-announcer"), name="l2-announcer")

    def detach(self):
        self.host.run(self._arguments("datapath-loader", "--detach"))

    # ---- configuration ----

    def tell(self, line):
        self.upstreams.stdin.write(line + "\n")
        self.upstreams.stdin.flush()
        return self._expect_ok()

    def _expect_ok(self):
        rows = []
        while (line := self.upstreams.stdout.readline().rstrip("\n")) != "ok":
            if " {" not in line:
                raise CommandFailed(f"upstreams: {line}")
            rows.append(line)
        return rows

    def set(self, table, key, /, **fields):
        self.tell(f"set {table} {key} {json.dumps(fields)}")

    def configure(self, nodes, mode, dead):
        self.set("DatapathInterface", "lan", name="lan", mode=mode)
        self.set("DatapathInterface", "pods", name="pods", mode="tc")
        self.set("DatapathSettings", "settings", max_flows=4096, max_frontends=64, max_backends=256, hash_seed=1)
        intervals = {"heartbeat_interval_ms": int(HEARTBEAT * 1000), "dead_interval_ms": int(dead * 1000)}
        self.set("L2Settings", "settings", **intervals, gratuitous_count=2, gratuitous_interval_ms=500)
        self.set("L2Policy", "lan", name="lan", interfaces=["lan"])
        for node in nodes:
            self.set("Node", node, name=node)
        ports = [{"name": "web", "protocol": "PROTOCOL_TCP", "port": 80}]
        self.set("ServiceIntent", SERVICE, key=SERVICE, generation=1, ports=ports)
        backend = {"ports": [{"name": "web", "port": 8080}], "weight": 1, "node": self.name}
        backends = [{"id": a, "address": a, **backend} for a in ("10.244.1.11", "fd00:244:1::11")]
        self.set("BackendSet", SERVICE, key=SERVICE, generation=1, backends=backends)
        self.allocate()
        self.tell("sync")

    def allocate(self):
        grants = [{"address": address, "pool": "lan"} for address in ADDRESSES]
        self.set("Allocation", SERVICE, key=SERVICE, generation=1, grants=grants)

    # ---- what it did ----

    def mac(self):
        return self.host.mac("lan")

    def answered_by_datapath(self):
        """Answers to ARP and ND that the programs have given."""
        path = os.path.join(self.pins, "maps", "answers")
        dump = json.loads(subprocess.check_output(["/usr/sbin/bpftool", "-j", "map", "dump", "pinned", path]))
        cells = [cell for row in dump for cell in row["formatted"]["values"] if row["formatted"]["key"] < 2]
        return sum(cell["value"]["packets"] for cell in cells)


@unittest.skipUnless(os.geteuid() == 0, "network namespaces and BPF need root")
class ResponderTest(unittest.TestCase):
    def setUp(self):
        self.lab = self.enterContext(Topology())
        self.lan = self.lab.bridge("lan")
        self.client = self.lab.host("client")
        self.lab.connect(self.client, self.lan, addresses=["172.18.255.9/24", "2001:db8:dead:beef::9/64"])
        self.nodes = {}

    def begin(self, names="a", mode="tc", dead=DEAD, frames_from_xdp=False):
        for number, name in enumerate(names, start=1):
            node = self.nodes[name] = Node(self.lab, name, number, self.lan)
            self.addCleanup(node.close)
            node.configure(list(names), mode, dead)
            if frames_from_xdp:
                self.lan.run(["ethtool", "-K", name, "gro", "on"])
        for node in self.nodes.values():
            node.start_loader()
            node.start_announcer()
        self.asker = self.client.spawn(
            [sys.executable, "-c", ASK, "lan", V4, V6, "0.02", "120"], name="asker"
        )
        wait_until(lambda: all(self.owner(address) for address in ADDRESSES), what="owners of both addresses")
        wait_until(self.datapath_answers, what="the datapath answers")

    def events(self, address):
        """(time, "ask" or a hardware address), in order."""
        rows = (line.split() for line in self.asker.log().splitlines())
        return [(float(row[0]), row[2]) for row in rows if len(row) == 3 and row[1] == address]

    def answers(self, address):
        return [event for event in self.events(address) if event[1] != "ask"]

    def owner(self, address):
        """The node that has just answered for it."""
        last = self.answers(address)[-1:]
        if not last or time.time() - last[0][0] > 0.2:
            return None
        return next(name for name, node in self.nodes.items() if node.mac() == last[0][1])

    def datapath_answers(self):
        before = sum(node.answered_by_datapath() for node in self.nodes.values())
        asked = len(self.answers(V4)) + len(self.answers(V6))
        wait_until(lambda: len(self.answers(V4)) + len(self.answers(V6)) >= asked + 20, what="more answers")
        return sum(node.answered_by_datapath() for node in self.nodes.values()) >= before + 10

    def expect_one_answer_each(self, seconds=1.0):
        """Every question is answered, and by one frame."""
        start = time.time()
        wait_until(lambda: self.events(V4)[-1][0] > start + seconds, what="questions")
        for address in ADDRESSES:
            events = [kind for when, kind in self.events(address) if when > start]
            asked = events.count("ask")
            # An answer that comes after the next question, on a busy machine, is counted all the same.
            self.assertAlmostEqual(len(events) - asked, asked, delta=1, msg=f"answers for {address}")

    def expect_silence_after(self, start, limit):
        """No answer comes later than `limit` after `start`."""
        wait_until(lambda: time.time() > start + limit + 1, timeout=limit + 5, what="the time to be silent in")
        for address in ADDRESSES:
            late = [when - start for when, _ in self.answers(address) if when > start + limit]
            self.assertEqual(late, [], f"answers for {address}")

    def turns(self, address):
        """Who answered, one after the other."""
        answers = [mac for _, mac in self.answers(address)]
        return [mac for mac, before in zip(answers, [None, *answers]) if mac != before]

    def test_the_datapath_alone_answers_the_clients_kernel(self):
        for mode in ("tc", "xdp"):
            with self.subTest(mode):
                self.setUp()
                self.begin(mode=mode)
                self.expect_one_answer_each()
                self.asker.stop()
                before = self.nodes["a"].answered_by_datapath()
                for address in ADDRESSES:

                    def resolved(address=address):
                        self.client.run([sys.executable, "-c", KNOCK, address])
                        return self.client.neighbours().get(address) == self.nodes["a"].mac()

                    wait_until(resolved, what=f"the client resolves {address}")
                self.assertGreaterEqual(self.nodes["a"].answered_by_datapath(), before + 1)

    def test_where_the_other_end_of_the_cable_takes_its_frames_xdp_answers(self):
        self.begin(mode="xdp", frames_from_xdp=True)
        sniffer = Sniffer(self.nodes["a"].host, "lan", "inbound and ( arp[6:2] == 1 or icmp6[0] == 135 )")
        reached = lambda: [line for line in sniffer.lines() if V4 in line or V6 in line]
        self.expect_one_answer_each()
        self.assertTrue(self.datapath_answers())
        self.assertEqual(reached(), [], "questions that came as far as the kernel")
        self.nodes["a"].announcer.kill()
        wait_until(reached, what="questions that nobody answers come as far as the kernel")

    def test_a_killed_announcer_is_silent_when_its_last_promise_ends(self):
        self.begin()
        killed = time.time()
        self.nodes["a"].announcer.send(signal.SIGKILL)
        self.expect_silence_after(killed, DEAD + SLACK)
        self.nodes["a"].start_announcer()
        wait_until(lambda: self.owner(V4) == self.owner(V6) == "a", what="it answers again")
        wait_until(self.datapath_answers, what="the datapath answers again")

    def test_a_frozen_announcer_is_silent_when_its_last_promise_ends(self):
        self.begin()
        frozen = time.time()
        self.nodes["a"].announcer.send(signal.SIGSTOP)
        self.expect_silence_after(frozen, DEAD + SLACK)
        self.nodes["a"].announcer.send(signal.SIGCONT)
        wait_until(lambda: self.owner(V4) == self.owner(V6) == "a", what="it answers again")

    def test_an_announcer_that_is_stopped_or_loses_its_address_is_silent_at_once(self):
        self.begin(dead=30.0)
        removed = time.time()
        self.nodes["a"].tell(f"remove Allocation {SERVICE}")
        self.expect_silence_after(removed, SLACK)
        self.nodes["a"].allocate()
        wait_until(lambda: self.owner(V4) == self.owner(V6) == "a", what="it answers again")
        stopped = time.time()
        self.nodes["a"].announcer.ask_to_stop()
        self.expect_silence_after(stopped, SLACK)

    def test_a_new_announcer_silences_what_the_killed_one_left(self):
        self.begin(dead=30.0)
        self.nodes["a"].announcer.kill()
        time_before = time.time()
        wait_until(lambda: self.answers(V4)[-1][0] > time_before + 0.5, what="the promise lasts")
        self.nodes["a"].loader.kill()
        self.nodes["a"].tell(f"remove Allocation {SERVICE}")
        self.nodes["a"].start_announcer()
        self.nodes["a"].announcer.wait_for_log("running")
        self.expect_silence_after(time.time(), SLACK)

    def test_without_the_loader_answers_go_on_and_can_be_given_up_and_taken(self):
        self.begin()
        self.nodes["a"].loader.kill()
        self.expect_one_answer_each(2 * DEAD)
        self.assertTrue(self.datapath_answers())
        removed = time.time()
        self.nodes["a"].tell(f"remove Allocation {SERVICE}")
        self.expect_silence_after(removed, SLACK)
        self.nodes["a"].allocate()
        wait_until(lambda: self.owner(V4) == self.owner(V6) == "a", what="it answers again")
        self.assertTrue(self.datapath_answers())
        self.nodes["a"].start_loader()
        self.nodes["a"].loader.wait_for_log('"interface","name":"lan"')
        self.expect_one_answer_each()
        self.assertTrue(self.datapath_answers())

    def test_where_the_datapath_is_taken_off_the_announcer_answers_and_gives_it_back(self):
        self.begin()
        self.nodes["a"].tell("remove DatapathInterface lan")
        self.nodes["a"].loader.wait_for_log("interface detached")
        self.expect_one_answer_each()
        self.assertFalse(self.datapath_answers())
        self.nodes["a"].set("DatapathInterface", "lan", name="lan", mode="tc")
        wait_until(self.datapath_answers, what="the datapath answers again")
        self.expect_one_answer_each()
        self.nodes["a"].loader.kill()
        self.nodes["a"].detach()
        noticed = time.time() + HEARTBEAT + SLACK  # with the next heartbeat
        wait_until(lambda: self.answers(V4)[-1][0] > noticed, what="the announcer answers")
        self.expect_one_answer_each()
        self.nodes["a"].start_loader()
        wait_until(lambda: os.path.exists(os.path.join(self.nodes["a"].pins, "maps", "answers")), what="new maps")
        wait_until(self.datapath_answers, what="the datapath answers by the new maps")
        self.expect_one_answer_each()

    def test_addresses_change_their_node_without_two_answers_to_one_question(self):
        self.begin("ab")
        for how, back in ((signal.SIGSTOP, signal.SIGCONT), (signal.SIGKILL, None), (signal.SIGTERM, None)):
            with self.subTest(how.name):
                wait_until(lambda: self.owner(V4) and self.owner(V6), what="owners")
                owners = {address: self.owner(address) for address in ADDRESSES}
                turns = {address: self.turns(address) for address in ADDRESSES}
                node = self.nodes[owners[V4]]
                other = "b" if node.name == "a" else "a"
                node.announcer.send(how)
                wait_until(lambda: all(self.owner(a) == other for a in ADDRESSES), what=f"{other} has both")
                if back is not None:
                    node.announcer.send(back)
                else:
                    node.announcer.stop()
                    node.start_announcer()
                wait_until(lambda: all(self.owner(a) == owners[a] for a in ADDRESSES), what="all are back")
                for address in ADDRESSES:
                    moved = [self.nodes[other].mac(), node.mac()] if owners[address] == node.name else []
                    self.assertEqual(self.turns(address), turns[address] + moved, address)
        self.expect_one_answer_each()


if __name__ == "__main__":
    unittest.main()
