"""A NETCONF client on a byte stream that can also misbehave, and a config-service of one's own."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import xml.etree.ElementTree as ElementTree

_CONFIG_SERVICE = os.path.abspath("services/config-service/config-service")

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
IPAM = "urn:portolan:yang:portolan-ipam"
BGP = "urn:portolan:yang:portolan-bgp"
DATAPATH = "urn:portolan:yang:portolan-datapath"
SERVICES = "urn:portolan:yang:portolan-service"
SYSTEM = "urn:portolan:yang:portolan-system"
STATE = "urn:portolan:yang:portolan-state"
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores"
DEFAULTS = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
EVENTS = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"

_END = b"]]>]]>"
_CHUNK = re.compile(rb"\n#(\d+|#)\n")


class Reply:
    """A message of the server: its text and what stands in it."""

    def __init__(self, text):
        self.text = text
        self.root = ElementTree.fromstring(text)

    @property
    def ok(self):
        return self.root.find(f"{{{BASE}}}ok") is not None

    def error(self, name):
        """Text of an element of the first rpc-error, such as "error-tag"; None if there is none."""
        return self.root.findtext(f"{{{BASE}}}rpc-error/{{{BASE}}}{name}")

    @property
    def tag(self):
        return self.error("error-tag")

    def texts(self, name):
        """Texts of all elements of that name, whatever their namespace."""
        return [e.text or "" for e in self.root.iter() if e.tag.rpartition("}")[2] == name]


class Session:
    """A session over a UNIX socket, or what reads and writes as a socket; with `version` 1.0 or 1.1, as the client says."""

    def __init__(self, place, version="1.1", hello=True):
        self.socket = socket.socket(socket.AF_UNIX) if isinstance(place, str) else place
        self.socket.settimeout(60)
        if isinstance(place, str):
            self.socket.connect(place)
        self.version = version
        self._read = b""
        self._number = 0
        if not hello:
            return
        self.hello = Reply(self._until_end())
        self.id = int(self.hello.texts("session-id")[0])
        self.capabilities = self.hello.texts("capability")
        self.write(
            f'<hello xmlns="{BASE}"><capabilities><capability>urn:ietf:params:netconf:base:{version}'
            "</capability></capabilities></hello>".encode() + _END
        )

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def write(self, octets):
        self.socket.sendall(octets)

    def frame(self, text, chunk=None):
        """The octets of a message, in chunks of that size if it is given."""
        octets = text.encode()
        if self.version == "1.0":
            return octets + _END
        size = chunk or len(octets)
        parts = [octets[i : i + size] for i in range(0, len(octets), size)]
        return b"".join(b"\n#%d\n" % len(part) + part for part in parts) + b"\n##\n"

    def rpc_text(self, body, attributes=""):
        self._number += 1
        return f'<rpc xmlns="{BASE}" message-id="{self._number}" {attributes}>{body}</rpc>'

    def send(self, body, attributes=""):
        self.write(self.frame(self.rpc_text(body, attributes)))

    def rpc(self, body, attributes=""):
        self.send(body, attributes)
        return self.receive()

    def receive(self):
        return Reply(self._until_end() if self.version == "1.0" else self._chunks())

    def is_ended(self):
        """Has the server ended it? Waits for it."""
        try:
            while self.socket.recv(1 << 20):
                pass
        except ConnectionError:
            pass
        except socket.timeout:
            return False
        return True

    # ---- operations that many tests use ----

    def edit(self, config, target="candidate", options=""):
        return self.rpc(f"<edit-config><target><{target}/></target>{options}<config>{config}</config></edit-config>")

    def get_config(self, source="candidate", rest=""):
        return self.rpc(f"<get-config><source><{source}/></source>{rest}</get-config>")

    def pools(self, source="running"):
        return self.get_config(source, f'<filter type="subtree"><ipam xmlns="{IPAM}"/></filter>').texts("name")

    def commit(self, rest=""):
        return self.rpc(f"<commit>{rest}</commit>")

    def action(self, content):
        return self.rpc(action(content))

    # ---- octets ----

    def _more(self):
        octets = self.socket.recv(1 << 20)
        if not octets:
            raise EOFError("the server ended the session")
        self._read += octets

    def _until_end(self):
        while _END not in self._read:
            self._more()
        message, self._read = self._read.split(_END, 1)
        return message.decode()

    def _chunks(self):
        message = b""
        while True:
            head = _CHUNK.match(self._read)
            while head is None:
                self._more()
                head = _CHUNK.match(self._read)
            self._read = self._read[head.end() :]
            if head.group(1) == b"#":
                return message.decode()
            size = int(head.group(1))
            while len(self._read) < size:
                self._more()
            message += self._read[:size]
            self._read = self._read[size:]


def pool(name, rest="", attributes=""):
    """An edit of one pool."""
    return (
        f'<ipam xmlns="{IPAM}" xmlns:nc="{BASE}"><pools><pool {attributes}><name>{name}</name>{rest}</pool></pools></ipam>'
    )


def action(content):
    """RFC 7950, section 7.15.2."""
    return f'<action xmlns="urn:ietf:params:xml:ns:yang:1">{content}</action>'


def explain(namespace, name):
    service = f"<service><namespace>{namespace}</namespace><name>{name}</name><explain/></service>"
    return f'<services xmlns="{SERVICES}">{service}</services>'


def bgp(content):
    return f'<bgp xmlns="{BGP}">{content}</bgp>'


def reset(instance, peer, content=""):
    peers = f"<peers><peer><name>{peer}</name><reset>{content}</reset></peer></peers>"
    return bgp(f"<instances><instance><name>{instance}</name>{peers}</instance></instances>")


def datapath(content):
    return f'<datapath xmlns="{DATAPATH}">{content}</datapath>'


class Service:
    """A config-service with directories of its own; `wrapper`: the beginning of the command that runs it."""

    def __init__(self, wrapper=()):
        self._wrapper = wrapper
        self.directory = tempfile.mkdtemp(prefix="portolan-", dir="/tmp")  # a socket path is at most 107 bytes
        self.process = None
        self.start()

    @property
    def socket_path(self):
        return os.path.join(self.directory, "netconf.socket")

    def start(self):
        log = open(os.path.join(self.directory, "log"), "ab")
        with log:
            self.process = subprocess.Popen(
                [*self._wrapper, _CONFIG_SERVICE, "--run-dir", self.directory, "--state-dir", self.directory, "--node", "n"],
                stdout=log,
                stderr=log,
            )
        until(self._answers)

    def _answers(self):
        try:
            self.session().close()
        except (OSError, EOFError):
            return False
        return True

    def session(self, **options):
        return Session(self.socket_path, **options)

    def terminate(self):
        """Returns the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=30)

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=30)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=30)
        shutil.rmtree(self.directory)


def until(wish, seconds=30):
    """Polls until it holds."""
    deadline = time.monotonic() + seconds
    while not wish():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.02)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class NetconfTestCase(unittest.TestCase):
    wrapper = ()

    def setUp(self):
        self.service = Service(self.wrapper)
        self.addCleanup(self.service.close)
        self.session = self.open()

    def open(self, **options):
        session = self.service.session(**options)
        self.addCleanup(session.close)
        return session

    def assert_ok(self, reply):
        self.assertTrue(reply.ok, reply.text)

    def assert_refused(self, reply, tag):
        self.assertEqual(reply.tag, tag, reply.text)

    def status(self, key):
        """Of netconf's ObjectStatus of that kind and key, such as "endpoint/ssh/main": its texts by the names of its leaves."""
        reply = self.session.rpc(
            f'<get><filter type="subtree"><system xmlns="{SYSTEM}"><statuses xmlns="{STATE}"/></system></filter></get>'
        )
        kind, _, name = key.partition("/")
        for entry in reply.root.iter(f"{{{STATE}}}status"):
            texts = {leaf.tag.rpartition("}")[2]: leaf.text for leaf in entry}
            if (texts["component"], texts["kind"], texts["object"]) == ("netconf", kind, name):
                return texts
        return {}

    def log(self):
        with open(os.path.join(self.service.directory, "log"), encoding="utf-8") as file:
            return file.read()

    def put(self, *names, rest=""):
        for name in names:
            self.assert_ok(self.session.edit(pool(name, rest)))
        self.assert_ok(self.session.commit())
