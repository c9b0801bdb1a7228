"""A backend server on a host of the laboratory (see http_server.py for what it answers)."""

import os
import sys

_SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "http_server.py")


class HttpBackend:
    """Answers its name on TCP and UDP `port`, both families. Started by the constructor, stopped with the topology."""

    def __init__(self, host, port=80, name=None):
        """`name` is what it answers; by default the host's."""
        self.name = name or host.name
        self.port = port
        self.process = host.spawn([sys.executable, _SERVER, self.name, port], name=f"http-{port}")
        self.process.wait_for_log("listening on")

    def stop(self):
        self.process.stop()
