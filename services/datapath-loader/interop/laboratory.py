"""Two nodes with backends and a client on one LAN; datapath-loader runs on node a.

    client .10 --- lan 172.18.255.0/24, fd00:18::/64 --- .11 node a --- pods 10.244.1.0/24, fd00:244:1::/64: a1
                                                     \\-- .12 node b --- pods 10.244.2.0/24, fd00:244:2::/64: b1

The loader is the real binary with its own socket; what it reads from is played by the program `upstreams`, which
lives as long as the laboratory. The client sends what is for 20.0.10.0/24 and 2001:db8:20::/64 to node a.
"""

import json
import os
import shutil
import subprocess

from integration.topology import CommandFailed, HttpBackend, Topology, wait_until

BACKEND_PORT = 8080
VIP_V4, VIP_V6 = "20.0.10.1", "2001:db8:20::1"
NODE_A = {4: "172.18.255.11", 6: "fd00:18::11"}
CLIENT = {4: "172.18.255.10", 6: "fd00:18::10"}
BACKENDS = {
    "a1": ("a", {4: "10.244.1.11", 6: "fd00:244:1::11"}),
    "b1": ("b", {4: "10.244.2.11", 6: "fd00:244:2::11"}),
}
_BINARIES = "services/datapath-loader"


_ECHO = """
import socket, sys, threading
tcp = socket.create_server(('::', int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.setsockopt(socket.SOL_SOCKET, 33, 1 << 23)  # SO_RCVBUFFORCE
udp.bind(('::', int(sys.argv[1])))
def serve(c):
    while data := c.recv(1 << 16): c.sendall(data)
def datagrams():
    while True:
        data, peer = udp.recvfrom(100)
        udp.sendto(data, peer)
threading.Thread(target=datagrams, daemon=True).start()
print('ready', flush=True)
while True: threading.Thread(target=serve, args=(tcp.accept()[0],), daemon=True).start()
"""


class Laboratory:
    """`with Laboratory() as lab:`"""

    def __init__(self):
        self.topology = Topology()
        self.loader = None
        self.binary = os.path.abspath(f"{_BINARIES}/datapath-loader")

    def __enter__(self):
        self.topology.__enter__()
        try:
            self._build()
        except BaseException:
            self.topology.__exit__()
            raise
        return self

    def __exit__(self, *error):
        self.upstreams.stdin.close()
        self.topology.__exit__(*error)
        self.upstreams.terminate()
        self.upstreams.wait()
        self.upstreams.stdout.close()
        shutil.rmtree(self.pins, ignore_errors=True)

    def _build(self):
        lab = self.topology
        lan = lab.bridge("lan")
        self.client = lab.host("client")
        lab.connect(self.client, lan, addresses=[f"{CLIENT[4]}/24", f"{CLIENT[6]}/64"])
        self.client.add_route("20.0.10.0/24", via=NODE_A[4])
        self.client.add_route("2001:db8:20::/64", via=NODE_A[6])
        self.node_a = self._node("a", 1, lan)
        self.node_b = self._node("b", 2, lan)
        self.node_a.add_route("10.244.2.0/24", via="172.18.255.12")
        self.node_a.add_route("fd00:244:2::/64", via="fd00:18::12")
        self.run_dir = os.path.join(lab.run_dir, "run")
        self.state_dir = os.path.join(lab.run_dir, "state")
        os.mkdir(self.run_dir)
        self.pins = f"/sys/fs/bpf/portolan/{lab.prefix}"
        self.upstreams = subprocess.Popen(
            [os.path.abspath(f"{_BINARIES}/interop/upstreams"), self.run_dir],
            encoding="utf-8",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._expect_ok()

    def _node(self, name, number, lan):
        lab = self.topology
        host = lab.host(f"node-{name}", forwarding=True)
        lab.connect(host, lan, addresses=[f"172.18.255.{10 + number}/24", f"fd00:18::{10 + number}/64"])
        backend = lab.host(f"{name}1")
        lab.link(
            *(host, backend, [f"10.244.{number}.1/24", f"fd00:244:{number}::1/64"]),
            *([f"10.244.{number}.11/24", f"fd00:244:{number}::11/64"], "pods", "eth0"),
        )
        backend.add_route("default", via=f"10.244.{number}.1")
        backend.add_route("default", via=f"fd00:244:{number}::1")
        HttpBackend(backend, port=BACKEND_PORT)
        return host

    def wire_like(self):
        """Makes the LAN like one of NICs for node a: its driver takes frames from XDP, because the other end of its
        veth is made ready for them (it is a bridge's port, which has no XDP program but may have GRO), and all frames
        have full checksums and are no longer than a packet."""
        self.topology.hosts["lan"].run(["ethtool", "-K", "node-a", "gro", "on"])
        for host, interface in ((self.client, "lan"), (self.node_b, "lan"), (self.topology.hosts["b1"], "eth0")):
            host.run(["ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off"])

    def sent_by_xdp(self):
        """How many frames node a's XDP program on the LAN has sent, as its driver counts them; a failure to send is an
        error."""
        counters = {}
        for line in self.node_a.run(["ethtool", "-S", "lan"]).stdout.splitlines():
            name, _, value = line.strip().partition(": ")
            if value:
                counters[name] = int(value)
        lost = {name: n for name, n in counters.items() if n and ("xmit_errors" in name or "tx_errors" in name)}
        if lost:
            raise AssertionError(f"frames of XDP were lost: {lost}")
        return sum(n for name, n in counters.items() if name.endswith("xdp_redirect"))

    # ---- the loader ----

    def arguments(self, *extra):
        return [
            *(self.binary, "--node", "a", "--bpf-dir", self.pins),
            *("--state-dir", self.state_dir, *extra),
        ]

    def start(self, before=()):
        """Starts the loader on node a; `before` are words in front of the command."""
        self.loader = self.node_a.spawn([*before, *self.arguments("--run-dir", self.run_dir)], name="datapath-loader")
        return self.loader

    def detach(self):
        self.node_a.run(self.arguments("--detach"))

    # ---- its inputs and outputs ----

    def tell(self, line):
        """One line to the upstreams, see upstreams.cc; returns the rows before its "ok"."""
        self.upstreams.stdin.write(line + "\n")
        self.upstreams.stdin.flush()
        return self._expect_ok()

    def _expect_ok(self):
        rows = []
        while True:
            line = self.upstreams.stdout.readline().rstrip("\n")
            if line == "ok":
                return rows
            if " {" not in line:
                raise CommandFailed(f"upstreams: {line}")
            rows.append(line)

    def set(self, table, key, /, **fields):
        self.tell(f"set {table} {key} {json.dumps(fields)}")

    def remove(self, table, key):
        self.tell(f"remove {table} {key}")

    def published(self, table):
        """Key -> row of InterfaceState, FrontendState or ObjectStatus; empty while the loader is away."""
        try:
            rows = (line.split(" ", 1) for line in self.tell(f"get {table}"))
        except CommandFailed:
            return {}
        return {key: json.loads(text) for key, text in rows}

    def status(self, kind, key):
        return self.published("ObjectStatus").get(f"datapath/a/{kind}/{key}", {})

    def configure(self, lan_mode="xdp"):
        for name, mode in (("lan", lan_mode), ("pods", "tc")):
            self.set("DatapathInterface", name, name=name, mode=mode)
        self.set_settings()
        self.set("Node", "a", name="a", ipv4_address=NODE_A[4], ipv6_address=NODE_A[6])
        self.tell("sync")

    def set_settings(self, **fields):
        sizes = {"max_flows": 4096, "max_frontends": 64, "max_backends": 256}
        self.set("DatapathSettings", "settings", **sizes, hash_seed=1, **fields)

    def serve(self, backends=("a1", "b1"), key="ns/web", addresses=(VIP_V4, VIP_V6), families=(4, 6), **fields):
        """A service of both families over TCP and UDP, port 80; `fields` of its ServiceIntent."""
        ports = [
            {"name": "tcp", "protocol": "PROTOCOL_TCP", "port": 80},
            {"name": "udp", "protocol": "PROTOCOL_UDP", "port": 80},
        ]
        self.set("ServiceIntent", key, key=key, generation=1, ports=ports, **fields)
        self.set_backends(backends, key, families=families)
        grants = [{"address": address, "pool": "main"} for address in addresses]
        self.set("Allocation", key, key=key, generation=1, grants=grants)

    def set_backends(self, backends, key="ns/web", udp_port=BACKEND_PORT, families=(4, 6), conditions=None):
        """`conditions`: of some backends, by name, as in intent.proto."""
        ports = [{"name": "tcp", "port": BACKEND_PORT}, {"name": "udp", "port": udp_port}]
        entries = [
            {"id": f"{name}-{family}", "address": address, "ports": ports, "weight": 1, "node": BACKENDS[name][0]}
            | ({"condition": conditions[name]} if name in (conditions or {}) else {})
            for name in backends
            for family, address in BACKENDS[name][1].items()
            if family in families
        ]
        self.set("BackendSet", key, key=key, generation=1, backends=entries)

    def wait_ready(self, key="ns/web"):
        wait_until(lambda: self.status("service", key).get("state") == "STATE_READY", what=f"{key} is ready")

    def stop_backend(self, name):
        for started in self.topology.processes:
            if started.name == f"{name}/http-{BACKEND_PORT}":
                started.stop()

    def start_backend(self, name):
        HttpBackend(self.topology.hosts[name], port=BACKEND_PORT)

    # ---- traffic ----

    def ask(self, address, path="/", host=None):
        """What HTTP GET of the service says; empty when it does not answer."""
        where = f"[{address}]" if ":" in address else address
        result = (host or self.client).run(
            ["curl", "-s", "--noproxy", "*", "--max-time", "3", f"http://{where}:80{path}"], check=False
        )
        return result.stdout.strip()

    def ask_udp(self, address, port=80, size=3, host=None):
        """What the service answers to a datagram of `size` octets; "refused" when an ICMP error says so."""
        script = (
            "import socket,sys\n"
            "family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET\n"
            "s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(3)\n"
            "s.connect((sys.argv[1], int(sys.argv[2]))); s.send(b'w' * int(sys.argv[3]))\n"
            "try: print(s.recv(100).decode().strip())\n"
            "except ConnectionRefusedError: print('refused')\n"
        )
        command = ["/usr/bin/python3", "-c", script, address, str(port), str(size)]
        return (host or self.client).run(command, check=False).stdout.strip()

    def connect(self, address, port):
        """"connected", "refused" or "silence"."""
        script = (
            "import socket,sys\n"
            "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2); print('connected')\n"
            "except ConnectionRefusedError: print('refused')\n"
            "except TimeoutError: print('silence')\n"
        )
        return self.client.run(["/usr/bin/python3", "-c", script, address, str(port)], check=False).stdout.strip()

    def echo(self):
        """From now on the backends send what comes to their port back, datagrams and streams."""
        for name in BACKENDS:
            backend = self.topology.hosts[name]
            owners = f"ss -Hlntup 'sport = :{BACKEND_PORT}' | grep -o 'pid=[0-9]*' | cut -d= -f2"
            for pid in set(backend.run(["sh", "-c", owners]).stdout.split()):
                os.kill(int(pid), 9)
            wait_until(
                lambda: not backend.run(["ss", "-Hlntu", f"sport = :{BACKEND_PORT}"]).stdout, what="the port is free"
            )
            backend.spawn(["/usr/bin/python3", "-c", _ECHO, str(BACKEND_PORT)], name="echo").wait_for_log("ready")

    def ping(self, address):
        """Does the address answer an echo request?"""
        return self.client.run(["ping", "-n", "-c", "1", "-W", "2", address], check=False).returncode == 0

    def drip(self, address, seconds=20):
        """A download that lasts; its log grows by a line "NAME COUNT" every 100 ms."""
        where = f"[{address}]" if ":" in address else address
        command = ["curl", "-sN", "--noproxy", "*", f"http://{where}:80/drip?seconds={seconds}"]
        return self.client.spawn(command, name="drip")
