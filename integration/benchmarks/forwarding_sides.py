"""Forwarding at full speed, for one side of the datapath benchmark.

A client, node a and its backend a1 in a row, veth to veth. One processor makes frames (BPF_PROG_RUN with live frames),
which go through the node to a1, where they are dropped and counted: it does all the work that they are. What the maker
and the sink cost is measured between a client and a sink without a node, and taken off, so that the figures are of the
node alone; path_packets_per_s is the whole way. Prints packets_per_s (64 flows), packets_16k_flows_per_s and
new_flows_per_s (every packet the SYN of another flow).

Ours is attached by XDP on both interfaces. The rival gets the kernel's own path with GRO on the receiving side, as XDP
frames need on a veth, and the sink of the two (XDP, tc) that is faster for it. Its maker and tc sink include a packet
buffer, which its node has to make, too: what is taken off is too much rather than too little.
"""

import importlib
import json
import os
import subprocess

from integration.topology import wait_until

_FRAMES = 2_000_000
_NEW_FLOWS = 1 << 17
_ROUNDS = 3
_CLIENT, _NODE = "198.19.0.1", "198.19.0.2"


class Path:
    """From the client through `interface` to `sink`, (host, interface, kind), which counts while this is entered."""

    def __init__(self, lab, blast, interface, first_hop, sink):
        self.lab, self.blast, self.interface, self.end = lab, blast, interface, sink
        host, name = first_hop
        self.mac = json.loads(host.run(["ip", "-j", "link", "show", name]).stdout)[0]["address"]

    def __enter__(self):
        host, interface, kind = self.end
        command = host.command([self.blast, "sink", interface, kind])
        self.sink = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.sink.stdout.readline().strip() != "ready":
            raise RuntimeError("the sink is not ready")
        return self

    def __exit__(self, *_):
        if self.sink.poll() is None:
            self.sink.communicate(timeout=30)

    def send(self, vip, what, flows, frames):
        """How long `frames` frames took, in seconds."""
        command = [self.blast, "send", self.interface, self.mac, vip, 80, what, flows, frames]
        return json.loads(self.lab.client.run(command, timeout=120).stdout)["seconds"]

    def taken(self):
        """Ends the sink; how many frames it got."""
        output, _ = self.sink.communicate(timeout=30)
        return json.loads(output)["frames"]


def cost(path, vip, what, flows, frames):
    """Seconds for a frame in the fastest round; fails when frames were lost."""
    times = []
    with path:
        path.send(vip, what, flows, frames // 100)
        for _ in range(_ROUNDS if what == "udp" else 1):
            times.append(path.send(vip, what, flows, frames) / frames)
        sent = len(times) * frames + frames // 100
        taken = path.taken()
    if taken < 0.99 * sent:
        raise RuntimeError(f"{what}, {flows} flows: {taken} of {sent} frames reached the sink")
    return min(times)


def costs(lab, blast, kind, vip, what, flows, frames):
    """(seconds for a frame on the whole way, without maker and sink)."""
    backend, idle = lab.topology.hosts["a1"], lab.topology.hosts["sink"]
    whole = cost(Path(lab, blast, "wan", (lab.node_a, "wan"), (backend, "eth0", kind)), vip, what, flows, frames)
    floor = cost(Path(lab, blast, "direct", (idle, "direct"), (idle, "direct", kind)), vip, what, flows, frames)
    return whole, whole - floor


def lay_path(lab):
    """A cable from the client to node a, without the bridge of the laboratory."""
    lab.topology.link(lab.client, lab.node_a, [f"{_CLIENT}/30"], [f"{_NODE}/30"], "wan", "wan")
    lab.node_a.add_route("198.18.0.0/16", via=_CLIENT)
    lab.node_a.run(["ethtool", "-K", "wan", "gro", "on"])
    lab.topology.hosts["a1"].run(["ethtool", "-K", "eth0", "gro", "on"])
    sink = lab.topology.host("sink")
    lab.topology.link(lab.client, sink, ["198.19.1.1/30"], ["198.19.1.2/30"], "direct", "direct")
    sink.run(["ethtool", "-K", "direct", "gro", "on"])
    lab.node_a.run(["ping", "-n", "-c", "1", "-W", "2", "10.244.1.11"])


def use_portolan(lab, interop):
    lab.configure("tc")
    for name in ("wan", "pods"):
        lab.set("DatapathInterface", name, name=name, mode="xdp")
    sizes = {"max_flows": 1 << 20, "max_frontends": 64, "max_backends": 256}
    lab.set("DatapathSettings", "settings", **sizes, hash_seed=1)
    lab.serve(backends=("a1",))
    lab.start()
    lab.wait_ready()
    return interop.VIP_V4


def use_nftables(lab, interop):
    """Destination NAT to the backend of node a, as kube-proxy does it."""
    backend = interop.BACKENDS["a1"][1][4]
    rules = f"""
table ip nat {{
  chain prerouting {{
    type nat hook prerouting priority dstnat
    ip daddr {interop.VIP_V4} meta l4proto {{ tcp, udp }} th dport 80 dnat to {backend}:{interop.BACKEND_PORT}
  }}
}}
"""
    lab.node_a.run(["nft", "-f", "-"], stdin_text=rules)
    return interop.VIP_V4


SIDES = {"portolan": (use_portolan, ("xdp",)), "nftables": (use_nftables, ("xdp", "tc"))}


def print_figures(side, blast):
    """`blast`: the path of that program among the built ones."""
    use, sinks = SIDES[side]
    interop = importlib.import_module("services.datapath-loader.interop.laboratory")
    # The interop laboratory finds its programs relative to the tree of built ones.
    os.chdir(blast.removesuffix("/bpf/test/blast"))
    with interop.Laboratory() as lab:
        lay_path(lab)
        vip = use(lab, interop)
        for figure, what, flows, frames in (
            ("packets_per_s", "udp", 64, _FRAMES),
            ("packets_16k_flows_per_s", "udp", 16384, _FRAMES),
            ("new_flows_per_s", "syn", _NEW_FLOWS, _NEW_FLOWS),
        ):
            whole, node = min(costs(lab, blast, sink, vip, what, flows, frames) for sink in sinks)
            if figure == "packets_per_s":
                print(json.dumps({"figure": "path_packets_per_s", "value": 1 / whole, "unit": "1/s"}))
            print(json.dumps({"figure": figure, "value": 1 / node, "unit": "1/s"}), flush=True)
