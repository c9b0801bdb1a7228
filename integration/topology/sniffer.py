"""Watches one interface of a host with tcpdump."""

import os


class Sniffer:
    """One text line a packet, hardware addresses included. Started (and ready) after the constructor."""

    def __init__(self, host, interface, expression=""):
        """`expression` is a pcap filter, for instance "arp or icmp6"."""
        index = sum(started.name.startswith(f"{host.name}/tcpdump") for started in host.topology.processes)
        argv = ["tcpdump", "-i", interface, "-n", "-e", "-l", "--immediate-mode", *expression.split()]
        self.process = host.spawn(argv, name=f"tcpdump-{interface}-{index}")
        self.process.wait_for_log("listening on")

    def lines(self):
        """The packets seen so far."""
        return [line for line in self.process.log().splitlines() if line[:2].isdigit()]

    def stop(self):
        """Ends the capture and returns all packets."""
        self.process.stop()
        return self.lines()

    @property
    def log_path(self):
        return os.path.abspath(self.process.log_path)
