"""`portolan datapath` and `portolan trace` against a real datapath-loader in namespaces; upgrades and kills under load."""

import importlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from integration.topology import wait_until

lab_module = importlib.import_module("services.datapath-loader.interop.laboratory")
VIP_V4, VIP_V6, CLIENT = lab_module.VIP_V4, lab_module.VIP_V6, lab_module.CLIENT

_PORTOLAN = os.path.abspath("tools/portolan/portolan")
_OBJECTS = {"tc": "bpf/programs/lb_tc.bpf.o", "xdp": "bpf/programs/lb_xdp.bpf.o", "broken": "bpf/test/broken_tc.bpf.o"}
_PRIVILEGES = ("bpf", "net_admin", "perfmon")
_USER = 64123

# Two thousand numbered datagrams a second over eight flows, and a stream, both sent back by the backends, until the
# stop file is there. Prints what was sent and what did not come back.
_LOAD = """
import os, select, socket, struct, sys, threading, time
address, stop = sys.argv[1:]
family = socket.AF_INET6 if ':' in address else socket.AF_INET
flows = []
for _ in range(8):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 23)
    s.connect((address, 80))
    flows.append(s)
seen, sent, done = set(), 0, False
def receive():
    while not done:
        for s in select.select(flows, [], [], 0.1)[0]:
            try: seen.add(struct.unpack('!Q', s.recv(100))[0])
            except OSError as error: print('error', error, flush=True)
stream = {'sent': 0, 'wrong': 0, 'broken': ''}
def talk():
    try:
        c = socket.create_connection((address, 80), timeout=20)
        while not done:
            line = b'%015d\\n' % stream['sent']
            c.sendall(line)
            got = b''
            while len(got) < 16:
                part = c.recv(16 - len(got))
                if not part: raise OSError('closed')
                got += part
            stream['wrong'] += got != line
            stream['sent'] += 1
    except OSError as error: stream['broken'] = str(error)
threads = [threading.Thread(target=receive), threading.Thread(target=talk)]
for t in threads: t.start()
begin = time.monotonic()
while not os.path.exists(stop):
    while sent < (time.monotonic() - begin) * 2000:
        flows[sent % 8].send(struct.pack('!Q', sent))
        sent += 1
    if sent > 200: print('running', flush=True)
    time.sleep(0.0005)
deadline = time.monotonic() + 5
while len(seen) < sent and time.monotonic() < deadline: time.sleep(0.01)
done = True
for t in threads: t.join()
print('sent', sent, 'lost', sent - len(seen), 'stream', stream['sent'], stream['wrong'], stream['broken'] or '-', flush=True)
"""


def _tcp_frame(lab, port=30000, vip_port=80):
    """A SYN of a client that is not there, as it would come in on the LAN."""

    def words(data):
        return sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))

    def checksum(data):
        total = words(data)
        while total > 0xFFFF:
            total = (total & 0xFFFF) + (total >> 16)
        return (~total & 0xFFFF).to_bytes(2, "big")

    mac = bytes.fromhex(lab.node_a.mac("lan").replace(":", ""))
    source, destination = (bytes(map(int, a.split("."))) for a in (CLIENT[4], VIP_V4))
    ip = bytes.fromhex("45000028000040004006") + b"\0\0" + source + destination
    ip = ip[:10] + checksum(ip) + ip[12:]
    tcp = port.to_bytes(2, "big") + vip_port.to_bytes(2, "big") + bytes(8) + bytes.fromhex("50020400") + bytes(4)
    tcp = tcp[:16] + checksum(source + destination + b"\0\x06\0\x14" + tcp) + tcp[18:]
    return (mac + bytes.fromhex("0200000000010800") + ip + tcp).hex()


@unittest.skipUnless(os.geteuid() == 0, "network namespaces and BPF need root")
class DatapathCommandsTest(unittest.TestCase):
    def setUp(self):
        self.lab = lab_module.Laboratory()
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__)

    def begin(self, lan_mode="xdp", **service):
        self.lab.configure(lan_mode)
        self.lab.serve(**service)
        self.lab.start()
        self.lab.wait_ready()

    def words(self, *words):
        return [_PORTOLAN, "--socket", os.path.join(self.lab.run_dir, "datapath-loader.sock"), *words]

    def ask(self, *words, said=""):
        done = subprocess.run(
            self.words(*words), input=said, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout, done.stderr

    def rows(self, *words):
        code, said, wrong = self.ask(*words, "-o", "json")
        self.assertEqual(code, 0, wrong)
        return json.loads(said)

    def load(self, address):
        """Traffic that lasts until `end` of it is called, which returns what was lost."""
        stop = os.path.join(self.lab.topology.run_dir, f"stop-{len(address)}")
        process = self.lab.client.spawn(["/usr/bin/python3", "-c", _LOAD, address, stop], name="load")
        process.wait_for_log("running")

        def end():
            with open(stop, "w", encoding="utf-8"):
                pass
            process.wait_for_log("sent", timeout=20)
            return process.log().splitlines()[-1].split()

        return end

    def expect_nothing_lost(self, said, at_least=2000):
        """Of the last line of the load."""
        sent, lost, stream, wrong, broken = int(said[1]), int(said[3]), int(said[5]), said[6], said[7]
        self.assertGreater(sent, at_least)
        self.assertGreater(stream, 10)
        self.assertEqual((lost, wrong, broken), (0, "0", "-"), said)

    def traced(self):
        """How many frontends are marked in the kernel, and the sample of drops."""
        pins = f"{self.lab.pins}/maps"
        infos = json.loads(subprocess.check_output(["/usr/sbin/bpftool", "-j", "map", "dump", "pinned", f"{pins}/frontend_info"]))
        settings = json.loads(subprocess.check_output(["/usr/sbin/bpftool", "-j", "map", "dump", "pinned", f"{pins}/settings_map"]))
        marked = sum(1 for row in infos if row["formatted"]["value"]["flags"] & 8)
        return marked, settings[0]["formatted"]["value"]["drop_sample"]

    # ---- flows ----

    def test_flows_are_listed_flushed_and_imported_again_and_go_on(self):
        self.begin()
        self.lab.echo()
        end = self.load(VIP_V4)
        flows = self.rows("datapath", "flows", "--service", "ns/web", "--client", CLIENT[4])
        self.assertEqual(len(flows), 9)
        self.assertEqual({flow["frontend"] for flow in flows}, {f"{VIP_V4}:80"})
        self.assertEqual(
            {flow["source"].split(":")[0] for flow in flows}, {CLIENT[4], lab_module.NODE_A[4]}, "of both kinds"
        )
        self.expect_nothing_lost(end(), at_least=200)
        code, said, _ = self.ask("datapath", "flush", "--service", "ns/web")
        self.assertEqual(code, 0)
        self.assertRegex(said, r"^\d+ flows forgotten\n$")
        self.assertGreaterEqual(int(said.split()[0]), 9)
        self.assertEqual(self.rows("datapath", "flows"), [])
        code, said, _ = self.ask("datapath", "import", "-", said=json.dumps(flows))
        self.assertEqual((code, said), (0, "9 flows imported, 0 were there already, 0 refused\n"))
        again = self.rows("datapath", "flows")
        strip = lambda rows: sorted(json.dumps({**row, "idle-s": ""}) for row in rows)
        self.assertEqual(strip(again), strip(flows))
        code, said, _ = self.ask("datapath", "import", "-", said=json.dumps(flows))
        self.assertEqual((code, said), (0, "0 flows imported, 9 were there already, 0 refused\n"))
        flows[0]["service"], flows[1]["frontend"] = "ns/other", "20.0.10.9:80"
        code, said, wrong = self.ask("datapath", "import", "-", said=json.dumps(flows))
        self.assertEqual((code, said), (3, "0 flows imported, 7 were there already, 2 refused\n"))
        self.assertIn("[other-service]", wrong)
        self.assertIn("does not carry 20.0.10.9/tcp/80" if flows[1]["protocol"] == "tcp" else "[no-frontend]", wrong)

    def test_a_stream_outlives_a_flush_when_its_flow_is_imported_in_time(self):
        self.begin(backends=["a1"])
        self.lab.echo()
        end = self.load(VIP_V6)
        flows = self.rows("datapath", "flows", "--client", CLIENT[6])
        for _ in range(3):
            self.ask("datapath", "flush", "--backend", lab_module.BACKENDS["a1"][1][6])
            self.assertEqual(self.ask("datapath", "import", "-", said=json.dumps(flows))[0], 0)
        self.assertEqual(end()[-1], "-")

    def test_wrong_words_are_refused_with_the_field(self):
        self.begin()
        for words, code, text in (
            (("datapath", "flush"), 1, "filter: it is empty"),
            (("datapath", "flows", "--service", "ns/none"), 4, 'no Service "ns/none"'),
            (("datapath", "flows", "--backend", "x"), 1, 'filter.backend: "x" is not an address'),
            (("datapath", "simulate", "--interface", "none", "00" * 20), 4, 'interface: "none" does not exist'),
            (("datapath", "simulate", "--interface", "lan", "0g"), 1, "no hexadecimal digit"),
            (("datapath", "import", "/nowhere"), 4, "/nowhere: cannot be read"),
            (("trace",), 2, "--service or --drops"),
            (("trace", "--service", "ns/none"), 4, 'no Service "ns/none"'),
        ):
            with self.subTest(words):
                got = self.ask(*words)
                self.assertEqual(got[0], code, got)
                self.assertIn(text, got[2])

    # ---- what it is and would do ----

    def test_capabilities_say_yes_or_no_and_why(self):
        self.begin()
        rows = {row["capability"]: row for row in self.rows("datapath", "capabilities")}
        self.assertEqual(rows["native-xdp/lan"]["answer"], "yes")
        self.assertEqual(rows["privilege/CAP_BPF"]["answer"], "yes")
        self.assertIn(rows["tcx"]["answer"], ("yes", "no"))
        self.assertTrue(all(row["matters"] and row["found"] for row in rows.values()))

    def test_a_simulation_says_what_then_happens_and_counts_nothing(self):
        self.begin(backends=["a1"])
        self.lab.tell("sync")
        frame = _tcp_frame(self.lab)
        for program in ("tc", "xdp"):
            row = self.rows("datapath", "simulate", "--interface", "lan", "--program", program, frame)[0]
            self.assertEqual((row["service"], row["flow"]), ("ns/web", "new"), row)
            self.assertEqual(row["backend"], "10.244.1.11:8080")
            self.assertIn("the packet is rewritten", row["reasons"])
            refused = self.rows(
                "datapath", "simulate", "--interface", "lan", "--program", program, _tcp_frame(self.lab, vip_port=81)
            )[0]
            self.assertEqual(refused["drop"], "unserved" if program == "tc" else "", refused)
        self.assertEqual(self.rows("datapath", "flows"), [])
        self.assertEqual(self.lab.published("FrontendState")[f"a/{VIP_V4}/tcp/80"].get("packets", "0"), "0")
        code, said, _ = self.ask("datapath", "simulate", "--interface", "lan", "-", said=frame)
        self.assertEqual(code, 0)
        self.assertIn("a new flow of Service ns/web", said)

    # ---- upgrade ----

    def test_upgrades_under_load_lose_nothing(self):
        self.begin()
        self.lab.echo()
        loads = [self.load(address) for address in (VIP_V4, VIP_V6)]
        for number in range(10):
            files = ["--tc", _OBJECTS["tc"], "--xdp", _OBJECTS["xdp"]] if number % 2 else []
            code, said, wrong = self.ask("datapath", "upgrade", *files)
            self.assertEqual(code, 0, wrong)
            self.assertIn("the programs of 2 interfaces are upgraded", said)
        for end in loads:
            self.expect_nothing_lost(end())

    def test_a_broken_object_is_refused_and_the_old_programs_go_on(self):
        self.begin()
        self.lab.echo()
        end = self.load(VIP_V4)
        for tc, xdp, text in (
            ("broken", "xdp", "self-test of the tc program"),
            ("xdp", "xdp", "no program portolan_lb_tc"),
            ("tc", None, "xdp_object: it is missing"),
        ):
            files = ["--tc", _OBJECTS[tc], *(["--xdp", _OBJECTS[xdp]] if xdp else [])]
            code, _, wrong = self.ask("datapath", "upgrade", *files)
            self.assertEqual(code, 1)
            self.assertIn(text, wrong)
        code, _, wrong = self.ask("datapath", "upgrade", "--tc", _PORTOLAN, "--xdp", _PORTOLAN)
        self.assertEqual(code, 1, wrong)
        self.expect_nothing_lost(end(), at_least=500)

    # ---- tracing ----

    def test_a_trace_prints_the_packets_of_its_service_and_leaves_no_mark(self):
        self.begin(backends=["a1"])
        self.assertEqual(self.traced(), (0, 0))
        with subprocess.Popen(
            self.words("trace", "--service", "ns/web", "--count", "4"), stdout=subprocess.PIPE, text=True
        ) as trace:
            self.addCleanup(trace.kill)
            wait_until(lambda: self.traced() == (4, 64), what="both addresses are traced, TCP and UDP")
            self.assertEqual(self.lab.ask_udp(VIP_V4), "a1")
            self.assertEqual(self.lab.ask_udp(VIP_V6), "a1")
            lines = trace.communicate(timeout=20)[0].splitlines()
        self.assertEqual(trace.returncode, 0)
        self.assertRegex(
            lines[0], rf"^\d\d:\d\d:\d\d\.\d{{6}} new ns/web udp {CLIENT[4]}:\d+ > {VIP_V4}:80 backend 10\.244\.1\.11:8080"
        )
        self.assertRegex(lines[1], r"carried ns/web udp 10\.244\.1\.11:8080 > ")
        wait_until(lambda: self.traced() == (0, 0), what="the marks are gone with the watcher")

    def test_a_trace_ends_with_the_loader_and_the_next_one_starts_without_marks(self):
        self.begin()
        with subprocess.Popen(self.words("trace", "--service", "ns/web"), stderr=subprocess.PIPE, text=True) as trace:
            self.addCleanup(trace.kill)
            wait_until(lambda: self.traced() == (4, 64), what="it is traced")
            self.lab.loader.kill()
            trace.communicate(timeout=20)
        self.assertEqual(trace.returncode, 1)
        self.assertEqual(self.traced(), (4, 64))
        self.lab.start()
        self.lab.wait_ready()
        self.assertEqual(self.traced(), (0, 0))

    def test_a_trace_follows_a_change_of_its_service_and_a_killed_watcher_leaves_no_mark(self):
        self.begin()
        with subprocess.Popen(self.words("trace", "--service", "ns/web"), stdout=subprocess.DEVNULL) as trace:
            wait_until(lambda: self.traced() == (4, 64), what="it is traced")
            self.lab.set_backends(["b1"])
            wait_until(
                lambda: self.lab.published("FrontendState")[f"a/{VIP_V4}/tcp/80"]["backends"] == 1, what="one backend"
            )
            self.assertEqual(self.traced(), (4, 64))
            self.lab.serve(backends=["b1"], addresses=(VIP_V4,))
            wait_until(lambda: self.traced() == (2, 64), what="only what it still has is traced")
            trace.kill()
        wait_until(lambda: self.traced() == (0, 0), what="the marks are gone with the watcher")

    def test_drops_are_sampled_with_their_reason(self):
        self.begin()
        self.lab.set_settings(drop_unserved=True)
        with subprocess.Popen(
            self.words("trace", "--drops", "1", "--count", "1", "-o", "json"), stdout=subprocess.PIPE, text=True
        ) as trace:
            self.addCleanup(trace.kill)
            wait_until(lambda: self.traced() == (0, 1), what="every drop is told")
            self.assertEqual(self.lab.connect(VIP_V4, 81), "silence")
            event = json.loads(trace.communicate(timeout=20)[0])
        self.assertEqual((event["kind"], event["drop"]), ("drop", "unserved"))
        self.assertEqual(event["destination"], f"{VIP_V4}:81")

    # ---- safety ----

    def test_kill_9_and_restart_under_load_lose_nothing(self):
        self.begin()
        self.lab.echo()
        loads = [self.load(address) for address in (VIP_V4, VIP_V6)]
        for _ in range(3):
            self.lab.loader.kill()
            self.lab.start().wait_for_log('"adopted":"yes"')
            self.lab.wait_ready()
        for end in loads:
            self.expect_nothing_lost(end())

    def test_a_restart_with_larger_maps_under_load_loses_nothing(self):
        self.begin()
        self.lab.echo()
        loads = [self.load(address) for address in (VIP_V4, VIP_V6)]
        sizes = {"max_flows": 8192, "max_frontends": 128, "max_backends": 512}
        self.lab.set("DatapathSettings", "settings", hash_seed=1, **sizes)
        wait_until(lambda: self.lab.status("node", "a").get("reason") == "sizes-changed", what="it is said")
        self.assertIn("restart datapath-loader", self.lab.status("node", "a")["remedy"])
        self.lab.loader.kill()
        self.lab.start().wait_for_log('"made_anew":"addresses affinity ')
        self.lab.wait_ready()
        self.assertEqual(self.lab.status("node", "a")["reason"], "loaded")
        for end in loads:
            self.expect_nothing_lost(end(), at_least=500)
        self.assertGreaterEqual(len(self.rows("datapath", "flows")), 18)

    def unprivileged(self, privileges):
        """The words that make a command run as a user with these privileges and no others."""
        plus = "".join(f",+{name}" for name in privileges)
        return [
            *("setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", "--no-new-privs"),
            *(f"--bounding-set=-all{plus}", f"--inh-caps=-all{plus}", f"--ambient-caps=-all{plus}"),
        ]

    def give_to_user(self):
        """Everything that the loader needs, in a place that the user can reach."""
        place = tempfile.mkdtemp(prefix="portolan-", dir="/tmp")
        self.addCleanup(shutil.rmtree, place, ignore_errors=True)
        os.chmod(place, 0o755)
        self.lab.binary = shutil.copy(self.lab.binary, place)
        bpffs = os.path.join(place, "bpf")
        os.mkdir(bpffs)
        subprocess.run(["mount", "-t", "bpf", "none", bpffs, "-o", "mode=0700"], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", bpffs], check=True)
        self.lab.pins = os.path.join(bpffs, "a")
        self.lab.state_dir = os.path.join(place, "state")
        os.mkdir(self.lab.state_dir)
        for path in (bpffs, self.lab.state_dir, self.lab.run_dir):
            os.chown(path, _USER, _USER)
        parent = self.lab.topology.run_dir
        os.chmod(parent, 0o755)
        for name in os.listdir(self.lab.run_dir):
            os.chmod(os.path.join(self.lab.run_dir, name), 0o666)

    def test_three_privileges_are_enough_for_the_whole_way(self):
        self.give_to_user()
        self.lab.configure()
        self.lab.serve()
        for adopted in ("no", "yes"):
            loader = self.lab.start(before=self.unprivileged(_PRIVILEGES))
            loader.wait_for_log(f'"adopted":"{adopted}"')
            self.lab.wait_ready()
            self.assertEqual(self.lab.published("InterfaceState")["a/lan"]["mode"], "xdp")
            for address in (VIP_V4, VIP_V6):
                for ask in (self.lab.ask, self.lab.ask_udp):
                    self.assertEqual({ask(address) for _ in range(30)}, {"a1", "b1"})
            self.assertTrue(self.rows("datapath", "flows"))
            self.assertEqual(self.ask("datapath", "upgrade")[0], 0)
            row = self.rows("datapath", "simulate", "--interface", "lan", _tcp_frame(self.lab))[0]
            self.assertEqual(row["service"], "ns/web")
            loader.kill()

    def test_the_status_names_the_privilege_that_is_missing(self):
        self.give_to_user()
        self.lab.configure()
        self.lab.serve()
        for missing in _PRIVILEGES:
            with self.subTest(missing):
                others = [name for name in _PRIVILEGES if name != missing]
                loader = self.lab.start(before=self.unprivileged(others))
                wait_until(
                    lambda: self.lab.status("service", "ns/web").get("reason") == "no-privilege", what="it is said"
                )
                name = f"CAP_{missing.upper()}"
                self.assertIn(f"lacks {name})", self.lab.status("service", "ns/web")["message"])
                rows = {row["capability"]: row["answer"] for row in self.rows("datapath", "capabilities")}
                self.assertEqual([key for key, answer in rows.items() if key.startswith("privilege/") and answer == "no"], [f"privilege/{name}"])
                code, _, wrong = self.ask("datapath", "flows")
                self.assertEqual(code, 1)
                self.assertIn("the datapath is not loaded", wrong)
                loader.kill()


if __name__ == "__main__":
    unittest.main()
