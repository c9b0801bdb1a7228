"""One side of the datapath benchmark.

    datapath_sides portolan TRAFFIC BLAST PROGRAM... | nftables TRAFFIC BLAST | routing TRAFFIC

The laboratory is the one of the datapath's interop tests; the backend of node a is replaced by the sink. Prints
forward_udp_ns (time for a datagram, sender and path together, one core), forward_udp_lost (in a thousand) and
connections_per_s; then what PROGRAM prints, and the figures of forwarding_sides.
"""

import importlib
import json
import os
import subprocess
import sys

from integration.benchmarks import forwarding_sides
from integration.topology import wait_until

# Forty parts of whole batches of 64.
_DATAGRAMS = 40 * 64 * 160
_WARM_UP = 40 * 64 * 8
_CONNECTIONS = 4_000


def replace_backend(lab, traffic):
    """Stops the HTTP server of backend a1 and puts the sink on its port. Returns the sink."""
    interop = importlib.import_module("services.datapath-loader.interop.laboratory")
    host = lab.topology.hosts["a1"]
    for started in lab.topology.processes:
        if started.name == f"a1/http-{interop.BACKEND_PORT}":
            started.stop()
    sink = subprocess.Popen(
        host.command([traffic, "sink", interop.BACKEND_PORT]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if sink.stdout.readline().strip() != "listening":
        raise RuntimeError("the sink does not listen")
    return sink


def seconds(lab, traffic, verb, target, count):
    """How long the client takes for one of `count` datagrams or connections (see traffic.cc)."""
    address, port = target
    return json.loads(lab.client.run([traffic, verb, address, port, count], timeout=120).stdout)["seconds"]


def print_figures(lab, traffic, target):
    sink = replace_backend(lab, traffic)
    try:
        wait_until(lambda: _answers(lab, traffic, target), 10, "the backend answers")
        seconds(lab, traffic, "udp", target, _WARM_UP)
        for_datagram = seconds(lab, traffic, "udp", target, _DATAGRAMS)
        for_connection = seconds(lab, traffic, "connect", target, _CONNECTIONS)
    finally:
        output, _ = sink.communicate(timeout=30)
    taken = json.loads(output)
    if taken["connections"] < _CONNECTIONS:
        raise RuntimeError(f"{taken['connections']} of {_CONNECTIONS} connections reached the backend")
    sent = _DATAGRAMS + _WARM_UP
    if taken["datagrams"] < sent // 2:
        raise RuntimeError(f"{taken['datagrams']} of {sent} datagrams reached the backend")
    for figure, value, unit in (
        ("forward_udp_ns", for_datagram * 1e9, "ns"),
        ("forward_udp_lost", (sent - taken["datagrams"]) / sent * 1000, "per mille"),
        ("connections_per_s", 1 / for_connection, "1/s"),
    ):
        print(json.dumps({"figure": figure, "value": value, "unit": unit}))


def use_portolan(lab, interop):
    lab.configure("auto")
    lab.serve(backends=("a1",))
    lab.start()
    lab.wait_ready()
    return interop.VIP_V4, 80


def use_nftables(lab, interop):
    return forwarding_sides.use_nftables(lab, interop), 80


def use_routing(lab, interop):
    lab.client.add_route("10.244.1.0/24", via=interop.NODE_A[4])
    return interop.BACKENDS["a1"][1][4], interop.BACKEND_PORT


SIDES = {"portolan": use_portolan, "nftables": use_nftables, "routing": use_routing}


def main(arguments):
    least = {"portolan": 4, "nftables": 3, "routing": 2}
    if not arguments or len(arguments) < least.get(arguments[0], 9):
        print(__doc__, file=sys.stderr)
        return 2
    traffic, *others = (os.path.abspath(path) for path in arguments[1:])
    for program in others[1:]:
        print(subprocess.run([program], check=True, capture_output=True, text=True).stdout, end="")
    for blast in others[:1]:
        forwarding_sides.print_figures(arguments[0], blast)
    interop = importlib.import_module("services.datapath-loader.interop.laboratory")
    # The interop laboratory finds its programs relative to the tree of built ones.
    os.chdir(traffic.removesuffix("/integration/benchmarks/traffic"))
    with interop.Laboratory() as lab:
        target = SIDES[arguments[0]](lab, interop)
        print_figures(lab, traffic, target)
    return 0


def _answers(lab, traffic, target):
    return lab.client.run([traffic, "connect", *target, 1], timeout=3, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
