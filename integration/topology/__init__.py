"""Network namespaces as a laboratory: hosts, LANs, routers and servers that clean up after themselves."""

from integration.topology.frr_router import FrrRouter
from integration.topology.http_backend import HttpBackend
from integration.topology.process import CommandFailed, Process, Result, wait_until
from integration.topology.sniffer import Sniffer
from integration.topology.topology import Bridge, Host, Topology

__all__ = [
    "Bridge",
    "CommandFailed",
    "FrrRouter",
    "Host",
    "HttpBackend",
    "Process",
    "Result",
    "Sniffer",
    "Topology",
    "wait_until",
]
