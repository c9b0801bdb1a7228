"""Hosts and LANs made of network namespaces, one veth pair a cable.

Every namespace is called PREFIX.NAME; the prefix holds the owner's pid, so runs never meet. A LAN is a bridge in a
namespace of its own: nothing is ever created in the machine's own namespace. Commands enter a namespace with `nsenter`
and keep the machine's mounts (`ip netns exec` hides what is mounted under /sys, such as a BPF file system).

Leaving the `with` block stops every process, kills what is left inside the namespaces and removes them, also after an
exception, SIGINT or SIGTERM. A killed owner (SIGKILL) leaves its laboratory; `python3 -m integration.topology clean`
removes such laboratories. Needs root. One thread owns a Topology.
"""

import ipaddress
import itertools
import json
import os
import re
import shutil
import signal
import tempfile
import threading
import time

from integration.topology import process

NETNS_DIR = "/run/netns"
_PREFIX = "portolan-"
_sequence = itertools.count(1)

# For every namespace: both families on, no duplicate-address wait, no source validation, no redirects, no
# addresses or routes learned by accident.
_SYSCTLS = {
    "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/all/send_redirects": 0,
    "net/ipv4/conf/default/rp_filter": 0,
    "net/ipv4/conf/default/send_redirects": 0,
    "net/ipv6/conf/all/accept_dad": 0,
    "net/ipv6/conf/all/accept_ra": 0,
    "net/ipv6/conf/all/disable_ipv6": 0,
    "net/ipv6/conf/default/accept_dad": 0,
    "net/ipv6/conf/default/accept_ra": 0,
    "net/ipv6/conf/default/disable_ipv6": 0,
}
_FORWARDING = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv6/conf/default/forwarding")
_OFFLOADS = ("rx", "tx", "tso", "gso", "gro")


def _tool(*argv):
    return process.run(argv, "topology", timeout=30, check=True)


class Host:
    """A namespace with a name. Made by Topology.host."""

    def __init__(self, topology, name):
        self.topology = topology
        self.name = name
        self.netns = f"{topology.prefix}.{name}"

    @property
    def netns_path(self):
        return os.path.join(NETNS_DIR, self.netns)

    def command(self, argv):
        """argv as it has to be called from the machine's own namespace to run on this host."""
        return ["nsenter", f"--net={self.netns_path}", "--", *map(str, argv)]

    def run(self, argv, timeout=30.0, check=True, env=None, stdin_text=None, cwd=None):
        """Runs a command to its end and returns its Result; CommandFailed on a timeout (seconds) or, with check,
        on a non-zero exit code. `env` replaces the environment."""
        return process.run(self.command(argv), self.name, timeout, check, env, stdin_text, cwd)

    def spawn(self, argv, name=None, env=None, cwd=None):
        """Starts a Process that the topology stops at its end. Its log is LOG_DIR/HOST-NAME.log, for a second one of
        that name HOST-NAME-2.log and so on: what an earlier one printed is never taken for its words."""
        name = name or os.path.basename(str(argv[0]))
        log_path = self.topology.new_log(f"{self.name}-{name}")
        started = process.Process(self.command(argv), f"{self.name}/{name}", log_path, env, cwd)
        self.topology.processes.append(started)
        return started

    def add_address(self, interface, address):
        """`address` is ADDRESS/LENGTH of either family; usable at once (no duplicate-address detection)."""
        parsed = ipaddress.ip_interface(address)
        nodad = ["nodad"] if parsed.version == 6 else []
        self.run(["ip", "address", "add", str(parsed), "dev", interface, *nodad])

    def add_route(self, destination, via=None, interface=None):
        """`destination` is a prefix, or "default" (then `via` tells the family)."""
        family = "-6" if ":" in (via or destination) else "-4"
        hop = ["via", via] if via else []
        device = ["dev", interface] if interface else []
        self.run(["ip", family, "route", "replace", destination, *hop, *device])

    def sysctl(self, key, value):
        """Sets net/... (slashes) in this namespace."""
        self.run(["sysctl", "-q", "-w", f"{key}={value}"])

    def interfaces(self):
        """Names and facts of its interfaces, as `ip -json address` tells them."""
        return {link["ifname"]: link for link in self._json(["address"])}

    def mac(self, interface):
        """The interface's hardware address, aa:bb:cc:dd:ee:ff."""
        return self.interfaces()[interface]["address"]

    def neighbours(self):
        """Address -> hardware address, of the entries of both families that have one."""
        entries = self._json(["-4", "neighbour"]) + self._json(["-6", "neighbour"])
        return {entry["dst"]: entry["lladdr"] for entry in entries if "lladdr" in entry}

    def routes(self):
        """All unicast routes of the main tables of both families, as `ip -json route` tells them."""
        return self._json(["-4", "route"]) + self._json(["-6", "route"])

    def _json(self, words):
        family = [word for word in words if word.startswith("-")]
        rest = [word for word in words if not word.startswith("-")]
        text = self.run(["ip", "-json", *family, *rest, "show"]).stdout
        # `ip` prints empty objects for what a filter left out, and nothing at all for an empty table.
        return [entry for entry in json.loads(text or "[]") if entry]


class Bridge(Host):
    """A LAN: a namespace with one bridge device, `br0`, and a port named after each host on it."""

    DEVICE = "br0"


class Topology:
    """A laboratory. `with Topology() as lab: ...`; attributes may be read freely.

    prefix     of all its namespaces
    log_dir    logs of processes; kept under Bazel (undeclared outputs), else removed with the laboratory
    run_dir    for sockets and configurations: short, owned by root, passable for daemons that drop privileges
    keep       when true at the end, everything is left running; `Topology.remove(prefix)` ends it later
    """

    def __init__(self, prefix=None, log_dir=None, keep=False):
        self.prefix = prefix or f"{_PREFIX}{os.getpid()}-{next(_sequence)}"
        self.keep = keep
        self.hosts = {}
        self.processes = []
        self.run_dir = run_dir_of(self.prefix)
        outputs = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR")
        self.log_dir = log_dir or (os.path.join(outputs, self.prefix) if outputs else os.path.join(self.run_dir, "log"))
        self._handlers = {}

    def __enter__(self):
        if os.geteuid() != 0:
            raise PermissionError("network namespaces need root: run this with sudo")
        try:
            os.mkdir(self.run_dir)
        except FileExistsError as error:
            raise FileExistsError(
                f"a laboratory '{self.prefix}' exists; remove it: python3 -m integration.topology remove {self.prefix}"
            ) from error
        os.chmod(self.run_dir, 0o755)
        os.makedirs(self.log_dir, exist_ok=True)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._handlers[number] = signal.signal(number, _leave)
        return self

    def __exit__(self, *_):
        # A second Ctrl-C must not leave half a laboratory behind.
        for number in self._handlers:
            signal.signal(number, signal.SIG_IGN)
        try:
            if not self.keep:
                self.close()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
        return False

    def host(self, name, forwarding=False):
        """A new host with `lo` up. `forwarding` makes it a router of both families."""
        return self._add(Host(self, name), forwarding)

    def bridge(self, name):
        """A new LAN."""
        lan = self._add(Bridge(self, name), forwarding=False)
        lan.run(["ip", "link", "add", "name", lan.DEVICE, "type", "bridge", "mcast_snooping", "0"])
        lan.run(["ip", "link", "set", "dev", lan.DEVICE, "up"])
        return lan

    def connect(self, host, lan, interface=None, addresses=(), mac=None):
        """Plugs a host into a LAN and returns the name of its interface (default: the LAN's name)."""
        interface = interface or lan.name
        # Two interfaces of one host on one LAN need two port names, of 15 characters at most.
        port = host.name if interface == lan.name else f"{host.name}.{interface}"
        self._cable(host, interface, lan, port)
        lan.run(["ip", "link", "set", "dev", port, "master", lan.DEVICE])
        self._bring_up(lan, port, ())
        self._bring_up(host, interface, addresses, mac)
        return interface

    def link(self, left, right, left_addresses=(), right_addresses=(), left_interface=None, right_interface=None):
        """A cable between two hosts; each interface is named after the other end. Returns both names."""
        left_interface = left_interface or right.name
        right_interface = right_interface or left.name
        self._cable(left, left_interface, right, right_interface)
        self._bring_up(left, left_interface, left_addresses)
        self._bring_up(right, right_interface, right_addresses)
        return left_interface, right_interface

    def close(self, grace=5.0):
        """Stops all processes (SIGTERM, SIGKILL after `grace` seconds) and removes everything. May be repeated."""
        for started in reversed(self.processes):
            started.ask_to_stop()
        deadline = time.monotonic() + grace
        for started in reversed(self.processes):
            started.finish(deadline - time.monotonic())
        self.processes.clear()
        self.hosts.clear()
        self.remove(self.prefix)

    @staticmethod
    def remove(prefix):
        """Ends the laboratory of that prefix, whoever made it: its processes, namespaces and run directory."""
        directory = run_dir_of(prefix)
        for netns in namespaces_of(prefix):
            _kill_inside(netns)
            _tool("ip", "netns", "delete", netns)
        shutil.rmtree(directory, ignore_errors=True)

    def new_log(self, name):
        """The path of a log that does not exist yet."""
        for suffix in itertools.chain([""], (f"-{number}" for number in itertools.count(2))):
            path = os.path.join(self.log_dir, f"{name}{suffix}.log")
            if not os.path.exists(path):
                return path

    def _add(self, host, forwarding):
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,14}", host.name):
            raise ValueError(f"host name '{host.name}': 1 to 15 of a-z, 0-9 and '-', a letter first")
        if host.name in self.hosts:
            raise ValueError(f"host name '{host.name}' is taken")
        _tool("ip", "netns", "add", host.netns)
        self.hosts[host.name] = host
        settings = dict(_SYSCTLS)
        settings.update((key, int(forwarding)) for key in _FORWARDING)
        host.run(["sysctl", "-q", "-w", *(f"{key}={value}" for key, value in settings.items())])
        host.run(["ip", "link", "set", "lo", "up"])
        return host

    @staticmethod
    def _cable(left, left_interface, right, right_interface):
        for name in (left_interface, right_interface):
            if len(name) > 15:
                raise ValueError(f"interface name '{name}' is longer than 15 characters")
        _tool(
            *("ip", "link", "add", "name", left_interface, "netns", left.netns, "type", "veth"),
            *("peer", "name", right_interface, "netns", right.netns),
        )

    @staticmethod
    def _bring_up(host, interface, addresses, mac=None):
        # Frames must look as on a wire: full checksums, no segment larger than the MTU.
        host.run(["ethtool", "-K", interface, *(word for name in _OFFLOADS for word in (name, "off"))])
        if mac:
            host.run(["ip", "link", "set", "dev", interface, "address", mac])
        host.run(["ip", "link", "set", "dev", interface, "up"])
        for address in addresses:
            host.add_address(interface, address)


def run_dir_of(prefix):
    """Where the laboratory of that prefix keeps its sockets. ValueError if no laboratory can have that prefix."""
    if not re.fullmatch(rf"{_PREFIX}[a-z0-9-]+", prefix):
        raise ValueError(f"laboratory prefix '{prefix}': '{_PREFIX}' and then a-z, 0-9 and '-'")
    return os.path.join(tempfile.gettempdir(), prefix)


def namespaces_of(prefix):
    """The namespaces that exist under that prefix."""
    if not os.path.isdir(NETNS_DIR):
        return []
    return sorted(name for name in os.listdir(NETNS_DIR) if name.startswith(f"{prefix}."))


def orphans():
    """Prefixes of laboratories whose owner is dead (kept laboratories have prefixes without a pid)."""
    if not os.path.isdir(NETNS_DIR):
        return []
    found = set()
    for name in os.listdir(NETNS_DIR):
        match = re.match(rf"({_PREFIX}(\d+)-\d+)\.", name)
        if match and not os.path.exists(f"/proc/{match.group(2)}"):
            found.add(match.group(1))
    return sorted(found)


def _leave(number, _):
    raise SystemExit(128 + number)


def _kill_inside(netns):
    """Kills what lives in a namespace of ours, daemons that left their session included."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        pids = _tool("ip", "netns", "pids", netns).stdout.split()
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)
