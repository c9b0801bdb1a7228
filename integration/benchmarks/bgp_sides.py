"""One side of the bgp benchmark: bgp_sides portolan UPSTREAMS | bird | frr.

The speaker runs on one host, the receiver on another, a cable between them. The speaker has its 1000 routes before the
receiver listens. Prints bgp_table_1000_ms (from the established session to the last prefix) and bgp_add_ms (median of
single routes, from the request to the prefix at the receiver).
"""

import importlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time

from integration.topology import FrrRouter, Topology, wait_until

_SPEAKER, _RECEIVER = "10.99.0.1", "10.99.0.2"
_SPEAKER_AS, _RECEIVER_AS = 65001, 65000
_TABLE = [f"20.0.{number // 250}.{number % 250}" for number in range(1000)]
_SINGLE = [f"20.9.0.{number}" for number in range(1, 31)]
_RECEIVER_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bgp_receiver.py")


class Receiver:
    """The peer. Its events are read from its log; the times in them are its own."""

    def __init__(self, host, as_number=_RECEIVER_AS):
        self._process = host.spawn([sys.executable, _RECEIVER_PROGRAM, _RECEIVER, as_number], name="receiver")
        self._process.wait_for_log("listening")

    def events(self):
        lines = self._process.log().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def arrivals(self):
        """Prefix -> first time."""
        times = {}
        for event in self.events():
            if event["event"] == "prefix":
                times.setdefault(event["prefix"], event["time"])
        return times

    def wait_for(self, prefixes, timeout):
        def complete():
            times = self.arrivals()
            return times if times.keys() >= prefixes else None

        return wait_until(complete, timeout, what=f"{len(prefixes)} prefixes", interval=0.005)

    def established(self):
        return next(event["time"] for event in self.events() if event["event"] == "established")


class KernelRoutes:
    """Adds routes to the kernel's table of a host through one running `ip`, without starting a program for each."""

    def __init__(self, host):
        self._host = host
        self._ip = subprocess.Popen(host.command(["ip", "-batch", "-"]), stdin=subprocess.PIPE, text=True)

    def add(self, address):
        self._ip.stdin.write(f"route add blackhole {address}/32 proto static\n")
        self._ip.stdin.flush()

    def wait_for(self, count):
        """Until the kernel has that many: a speaker that starts amid a burst may miss some of it."""

        def arrived():
            return len(self._host.run(["ip", "-4", "route", "show", "proto", "static"]).stdout.splitlines()) == count

        wait_until(arrived, 20, f"the kernel has {count} routes")

    def close(self):
        self._ip.stdin.close()
        self._ip.wait(10)


class Bird:
    """BIRD 2, learning from the kernel; poked every 20 ms while the table is sent (see bgp.py)."""

    def __init__(self, host):
        directory = host.topology.run_dir
        self._host, self._socket = host, os.path.join(directory, "bird.ctl")
        config = os.path.join(directory, "bird.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(self._config())
        self._routes = KernelRoutes(host)
        for address in _TABLE:
            self._routes.add(address)
        self._routes.wait_for(len(_TABLE))
        host.spawn(["bird", "-f", "-c", config, "-s", self._socket])
        wait_until(lambda: f"{len(_TABLE)} of" in self._ask("show route count"), 20, "BIRD has the table")
        self._poking = threading.Event()

    @staticmethod
    def _config():
        return f"""
router id {_SPEAKER};
protocol device {{}}
protocol kernel {{ learn; scan time 60; ipv4 {{ import all; export none; }}; }}
protocol bgp receiver {{
  local {_SPEAKER} as {_SPEAKER_AS};
  neighbor {_RECEIVER} as {_RECEIVER_AS};
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 {{ import none; export where net ~ 20.0.0.0/8; }};
}}
"""

    def _ask(self, command):
        return self._host.run(["birdc", "-s", self._socket, command], check=False).stdout

    def table_begins(self):
        def poke():
            while not self._poking.wait(0.02):
                self._ask("show status")

        threading.Thread(target=poke, daemon=True).start()

    def table_ends(self):
        self._poking.set()

    def add(self, address):
        self._routes.add(address)

    def close(self):
        self._poking.set()
        self._routes.close()


class Frr:
    """FRR's bgpd, redistributing what zebra learns from the kernel."""

    def __init__(self, host):
        self._routes = KernelRoutes(host)
        for address in _TABLE:
            self._routes.add(address)
        self._routes.wait_for(len(_TABLE))
        self._frr = FrrRouter(host, self._config())
        wait_until(lambda: len(self._frr.bgp_routes()) >= len(_TABLE), 20, "FRR has the table")

    @staticmethod
    def _config():
        return f"""
router bgp {_SPEAKER_AS}
 bgp router-id {_SPEAKER}
 no bgp ebgp-requires-policy
 coalesce-time 0
 neighbor {_RECEIVER} remote-as {_RECEIVER_AS}
 neighbor {_RECEIVER} timers connect 1
 address-family ipv4 unicast
  redistribute kernel
  redistribute static
 exit-address-family
"""

    def table_begins(self):
        pass

    def table_ends(self):
        pass

    def add(self, address):
        self._routes.add(address)

    def close(self):
        self._routes.close()


def print_figures(receiver, table_begins, table_ends, add):
    """Measures with a speaker that is ready and a receiver that has just begun to listen."""
    table_begins()
    table = {f"{address}/32" for address in _TABLE}
    times = receiver.wait_for(table, 60)
    table_ends()
    last = max(times[prefix] for prefix in table)
    print(json.dumps({"figure": "bgp_table_1000_ms", "value": (last - receiver.established()) * 1000, "unit": "ms"}))
    latencies = []
    for address in _SINGLE:
        start = time.monotonic()
        add(address)
        latencies.append(receiver.wait_for({f"{address}/32"}, 20)[f"{address}/32"] - start)
    print(json.dumps({"figure": "bgp_add_ms", "value": statistics.median(latencies) * 1000, "unit": "ms"}))


def run_rival(rival):
    with Topology() as lab:
        speaker, receiver = lab.host("speaker"), lab.host("receiver")
        lab.link(speaker, receiver, [f"{_SPEAKER}/24"], [f"{_RECEIVER}/24"])
        side = rival(speaker)
        try:
            print_figures(Receiver(receiver), side.table_begins, side.table_ends, side.add)
        finally:
            side.close()


def run_portolan(upstreams):
    """bgp-exporter as its own binary; allocations come over its streams."""
    interop = importlib.import_module("services.bgp-exporter.interop.laboratory")
    # The interop laboratory finds its programs relative to the tree of built ones.
    os.chdir(os.path.abspath(upstreams).removesuffix("/services/bgp-exporter/interop/upstreams"))
    with interop.Laboratory() as lab:
        lab.configure(peer={"connect_retry_time_s": 1, "families": [{"family": "IP_FAMILY_IPV4"}]})
        for number, address in enumerate(_TABLE):
            lab.serve(f"table-{number}", address)
        for address in _SINGLE:
            lab.open_gate(f"single-{address}", address)
        lab.start()
        wait_until(lambda: len(lab.published("ObjectStatus")) >= len(_TABLE), 30, "the exporter has the table")

        def add(address):
            grants = [{"address": address, "pool": "main"}]
            key = f"default/single-{address}"
            lab.set("Allocation", key, key=key, generation=1, grants=grants, labels={})

        nothing = lambda: None
        print_figures(Receiver(lab.router, interop.ROUTER_AS), nothing, nothing, add)


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "portolan":
        run_portolan(arguments[1])
    elif arguments in (["bird"], ["frr"]):
        run_rival(Bird if arguments[0] == "bird" else Frr)
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
