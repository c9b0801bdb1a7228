"""The real FRR on a host of the laboratory: its daemons with sockets of their own."""

import json
import os
import shutil

from integration.topology import process

_DAEMON_DIRS = ("/usr/lib/frr", "/usr/libexec/frr", "/usr/sbin")
_USER = "frr"
_NOT_INSTALLED = "FRR is not installed (Debian package: frr)"


class FrrRouter:
    """Started by the constructor, stopped with the topology or by `stop`.

    The daemons drop their privileges to FRR's own user, who owns the router's directory. Their TCP terminals are off;
    `vtysh` talks to the sockets in that directory.
    """

    def __init__(self, host, config, daemons=("zebra", "bgpd")):
        """`config` is an integrated FRR configuration; CommandFailed if FRR refuses a line of it.

        zebra comes first in `daemons`. FRR ignores lines that belong to a daemon that does not run: static routes need
        "staticd", BFD needs "bfdd".
        """
        self.host = host
        self.directory = os.path.join(host.topology.run_dir, f"frr-{host.name}")
        os.mkdir(self.directory)
        try:
            shutil.chown(self.directory, _USER, _USER)
        except LookupError as error:
            raise process.CommandFailed(_NOT_INSTALLED) from error
        self.daemons = {name: self._start(name) for name in daemons}
        self.configure(config)

    def configure(self, config):
        """Applies further configuration lines. CommandFailed names the line that FRR refuses."""
        path = self._path("frr.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        result = self.host.run(["vtysh", "--vty_socket", self.directory, "-f", path], check=False)
        told = result.stdout + result.stderr
        refused = [line for line in told.splitlines() if line.startswith(("%", "line ")) and "vtysh.conf" not in line]
        if result.returncode != 0 or refused:
            raise process.CommandFailed(f"{self.host.name}: FRR refuses the configuration: {told.strip()}")

    def vtysh(self, command, timeout=10.0):
        """What a terminal would show for `command`."""
        return self.host.run(["vtysh", "--vty_socket", self.directory, "-c", command], timeout).stdout

    def show(self, command, timeout=10.0):
        """`show COMMAND json`, parsed."""
        return json.loads(self.vtysh(f"show {command} json", timeout))

    def neighbor_state(self, address):
        """The session's state as FRR names it ("Established"), or "" if there is no such neighbour."""
        neighbors = self.show(f"bgp neighbors {address}")
        return neighbors.get(address, {}).get("bgpState", "")

    def bgp_routes(self, family="ipv4"):
        """Prefix -> list of paths, of the BGP table of that family (unicast)."""
        return self.show(f"bgp {family} unicast").get("routes", {})

    def stop(self):
        """Stops the daemons, the first last; bgpd closes its sessions with a NOTIFICATION."""
        for daemon in reversed(self.daemons.values()):
            daemon.stop()

    def _start(self, daemon):
        arguments = [
            *("-f", self._empty_config(daemon)),
            *("-i", self._path(f"{daemon}.pid")),
            *("-z", self._path("zserv.api")),
            *("--vty_socket", self.directory),
            *("-A", "127.0.0.1", "-P", "0"),
            *("--log", "stdout", "--log-level", "informational"),
        ]
        started = self.host.spawn([_find(daemon), *arguments], name=daemon)
        process.wait_until(lambda: os.path.exists(self._path(f"{daemon}.vty")), what=f"the terminal of {daemon}")
        return started

    def _empty_config(self, daemon):
        path = self._path(f"{daemon}.conf")
        with open(path, "w", encoding="utf-8"):
            pass
        return path

    def _path(self, name):
        return os.path.join(self.directory, name)


def _find(daemon):
    for directory in _DAEMON_DIRS:
        path = os.path.join(directory, daemon)
        if os.access(path, os.X_OK):
            return path
    raise process.CommandFailed(_NOT_INSTALLED)
