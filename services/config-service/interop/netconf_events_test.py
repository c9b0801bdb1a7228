"""What the services do, heard over NETCONF by ncclient: real services, two announcers on a LAN, the real FRR."""

import importlib
import os
import shutil
import socket
import subprocess
import unittest
import xml.etree.ElementTree as ElementTree

from integration.topology import FrrRouter, Topology
from ncclient import manager

client = importlib.import_module("services.config-service.interop.netconf_client")

SERVICE = "urn:portolan:yang:portolan-service"
PIPELINE = "urn:portolan:yang:portolan-pipeline"
NACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
NODE_AS, ROUTER_AS = 4200000001, 65000


def program(name):
    return os.path.abspath(f"services/{name}/{name}")


def small_pool(last):
    return client.pool(
        "small",
        f"<blocks><block><id>b</id><first>10.99.0.100</first><last>10.99.0.{last}</last></block></blocks>",
    )


def services(*names, attributes=""):
    """Services with one port and one backend each."""
    entries = "".join(
        f"<service {attributes}><namespace>shop</namespace><name>{name}</name>"
        "<port><name>http</name><port>80</port></port>"
        "<backend><id>b</id><address>10.99.0.9</address></backend></service>"
        for name in names
    )
    return f'<services xmlns="{SERVICE}" xmlns:nc="{client.BASE}">{entries}</services>'


class Listener:
    """An ncclient that has subscribed."""

    def __init__(self, port, user="ann", **options):
        self.session = manager.connect(
            host="127.0.0.1",
            port=port,
            username=user,
            password="secret",
            hostkey_verify=False,
            look_for_keys=False,
            allow_agent=False,
            timeout=30,
        )
        self.session.create_subscription(**options)

    def close(self):
        self.session.close_session()

    def next(self, *names):
        """Leaves of the next notification of one of these names; others are passed over."""
        while True:
            notification = self.session.take_notification(timeout=30)
            if notification is None:
                raise AssertionError(f"no {' or '.join(names)} came")
            event = ElementTree.fromstring(notification.notification_xml)[1]
            name = event.tag.rpartition("}")[2]
            if name in names:
                return {"": name} | {leaf.tag.rpartition("}")[2]: leaf.text for leaf in event}


class EventsTestCase(client.NetconfTestCase):
    """A config-service with users ann and bob, and an ipam-service."""

    def setUp(self):
        super().setUp()
        self.port = client.free_port()
        password = subprocess.run(["openssl", "passwd", "-6", "secret"], capture_output=True, text=True, check=True)
        users = "".join(
            f"<user><name>{user}</name><password-hash>{password.stdout.strip()}</password-hash></user>"
            for user in ("ann", "bob")
        )
        listen = f"<listen><name>l</name><address>127.0.0.1</address><port>{self.port}</port></listen>"
        self.commit(
            f'<system xmlns="{client.SYSTEM}"><netconf><ssh>{listen}{users}</ssh></netconf></system>',
            f'<pipeline xmlns="{PIPELINE}"><stages><stage><name>datapath</name><enabled>false</enabled></stage></stages></pipeline>',
        )
        client.until(self._listens)
        self.ipam = self.start_ipam()

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def commit(self, *parts):
        for part in parts:
            self.assert_ok(self.session.edit(part))
        self.assert_ok(self.session.commit())

    def start_ipam(self):
        log = os.path.join(self.service.directory, "ipam-log")
        with open(log, "ab") as file:
            ipam = subprocess.Popen(
                [
                    *(program("ipam-service"), "--node", "n", "--run-dir", self.service.directory),
                    *("--state-dir", os.path.join(self.service.directory, "ipam")),
                ],
                stdout=file,
                stderr=file,
            )
        self.addCleanup(self._end, ipam)
        return ipam

    @staticmethod
    def _end(process):
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=30)

    def listen(self, **options):
        listener = Listener(self.port, **options)
        self.addCleanup(listener.close)
        return listener

    def first_assigned(self, listener):
        """Services come until one of them is told of: from then on what happens is."""
        for number in range(100):
            self.commit(services(f"probe-{number}"))
            notification = listener.session.take_notification(timeout=1)
            while notification is not None:
                if "address-assigned" in notification.notification_xml:
                    return
                notification = listener.session.take_notification(timeout=1)
        self.fail("nothing is told")


class AddressesTest(EventsTestCase):
    def fill(self, listener):
        """A pool of ten of which some are in use, and how many more there are."""
        self.commit(small_pool(109))
        self.first_assigned(listener)

    def test_addresses_and_pools_that_fill_up_are_told(self):
        listener = self.listen()
        self.fill(listener)
        self.commit(services("web"))
        while (told := listener.next("address-assigned"))["service"] != "shop/web":
            pass
        self.assertEqual(told["pool"], "small")
        self.assertEqual(told["adopted"], "false")
        self.commit(services(*(f"more-{number}" for number in range(9))))
        levels = [listener.next("pool-nearly-full", "pool-exhausted")]
        if levels[0][""] == "pool-nearly-full":
            self.assertEqual(levels[0]["threshold"], "90")
            levels.append(listener.next("pool-exhausted"))
        self.assertEqual((levels[-1]["pool"], levels[-1]["family"], levels[-1]["used"]), ("small", "ipv4", "10"))
        self.commit(services("web", *(f"more-{n}" for n in range(5)), attributes='nc:operation="remove"'))
        self.assertEqual(listener.next("address-released")["pool"], "small")
        self.assertEqual(listener.next("pool-relieved")["pool"], "small")
        again = self.listen(start_time="2000-01-01T00:00:00Z")
        while again.next("address-assigned")["service"] != "shop/web":
            pass

    def test_a_restart_of_ipam_service_tells_nothing(self):
        listener = self.listen()
        self.fill(listener)
        self.commit(services("web"))
        while listener.next("address-assigned")["service"] != "shop/web":
            pass
        self.ipam.kill()
        self.ipam.wait(timeout=30)
        self.start_ipam()
        self.commit(services("after"))
        # It is the first of all that is told.
        self.assertEqual(listener.next("address-assigned", "address-released")["service"], "shop/after")

    def test_who_may_not_read_a_pool_is_not_told_of_it(self):
        listener = self.listen()
        deaf = self.listen(user="bob")
        rule = (
            "<rule><name>r</name><path xmlns:i='urn:portolan:yang:portolan-ipam' xmlns:s='urn:portolan:yang:portolan-state'>"
            "/i:ipam/s:pool-states</path><access-operations>read</access-operations><action>deny</action></rule>"
            "<rule><name>n</name><module-name>portolan-events</module-name><notification-name>address-released"
            "</notification-name><access-operations>read</access-operations><action>deny</action></rule>"
        )
        self.commit(
            f'<nacm xmlns="{NACM}"><groups><group><name>g</name><user-name>bob</user-name></group></groups>'
            f"<rule-list><name>l</name><group>g</group>{rule}</rule-list></nacm>"
        )
        self.fill(listener)
        self.commit(services(*(f"more-{number}" for number in range(10))))
        self.assertEqual(listener.next("pool-exhausted")["pool"], "small")
        self.commit(services("more-0", attributes='nc:operation="remove"'))
        listener.next("address-released")
        self.commit(client.pool("last-of-all"))
        heard = set()
        while "netconf-config-change" not in heard or "last-of-all" not in notification.notification_xml:
            notification = deaf.session.take_notification(timeout=30)
            self.assertIsNotNone(notification)
            heard.add(ElementTree.fromstring(notification.notification_xml)[1].tag.rpartition("}")[2])
        self.assertIn("address-assigned", heard)
        self.assertNotIn("pool-exhausted", heard)
        self.assertNotIn("pool-nearly-full", heard)
        self.assertNotIn("address-released", heard)


@unittest.skipIf(os.geteuid() != 0, "network namespaces need root: run this with sudo")
class NetworkTest(EventsTestCase):
    """Node n has config-service, ipam-service, an announcer and a speaker; node m has an announcer."""

    def setUp(self):
        super().setUp()
        self.lab = self.enterContext(Topology())
        lan = self.lab.bridge("lan")
        self.hosts = {}
        for number, name in enumerate(("n", "m", "router"), start=1):
            self.hosts[name] = self.lab.host(name)
            self.lab.connect(self.hosts[name], lan, interface="eth0", addresses=[f"10.99.0.{number}/24"])

    def run_on(self, name, service):
        """A second run directory for the node that is not n."""
        directory = self.service.directory
        run_dir = directory if name == "n" else os.path.join(directory, name)
        os.makedirs(run_dir, exist_ok=True)
        above = [] if name == "n" else ["--upstream-dir", directory]
        return self.hosts[name].spawn(
            [program(service), "--node", name, "--run-dir", run_dir, "--state-dir", run_dir, *above], name=service
        )

    def nodes(self):
        entries = "".join(f"<node><name>{name}</name></node>" for name in ("n", "m"))
        return f'<system xmlns="{client.SYSTEM}"><nodes>{entries}</nodes></system>'

    def announce(self, attributes=""):
        policy = f"<policies {attributes}><policy><name>lan</name><interface>eth0</interface></policy></policies>"
        times = "<settings><heartbeat-interval>200</heartbeat-interval><dead-interval>1000</dead-interval></settings>"
        self.commit(f'<l2 xmlns="urn:portolan:yang:portolan-l2" xmlns:nc="{client.BASE}">{times}{policy}</l2>')

    def first_gained(self, listener):
        """Until the announcer of n is heard of; then nothing is announced."""
        for _ in range(20):
            self.announce()
            notification = listener.session.take_notification(timeout=3)
            while notification is not None and "ownership-gained" not in notification.notification_xml:
                notification = listener.session.take_notification(timeout=3)
            self.announce('nc:operation="remove"')
            if notification is not None:
                return
        self.fail("nothing is told")

    def test_an_owner_that_is_killed_is_followed_by_one_that_tells(self):
        listener = self.listen()
        other = self.run_on("m", "l2-announcer")
        self.run_on("n", "l2-announcer")
        self.commit(self.nodes(), small_pool(131), services(*(f"s{number}" for number in range(16))))
        self.first_gained(listener)
        listener.next("ownership-lost")
        listener = self.listen()
        self.announce()
        gained = {listener.next("ownership-gained")["address"]}
        other.kill()
        while len(gained) < 16:
            told = listener.next("ownership-gained")
            self.assertEqual((told["node"], told["interface"]), ("n", "eth0"))
            self.assertEqual(told["mac"], self.hosts["n"].mac("eth0"))
            gained.add(told["address"])
        self.run_on("m", "l2-announcer")
        lost = {listener.next("ownership-lost")["address"]}
        # What the other one does not take, a foreign host claims.
        while len(lost) < 16:
            notification = listener.session.take_notification(timeout=3)
            if notification is None:
                break
            if "ownership-lost" in notification.notification_xml:
                lost |= {address for address in gained if f">{address}<" in notification.notification_xml}
        address = min(gained - lost)
        router = self.hosts["router"]
        router.add_address("eth0", f"{address}/24")
        router.run(["ping", "-c", "1", "-W", "1", "-I", address, "10.99.0.1"], check=False)
        told = listener.next("address-conflict")
        self.assertEqual((told["address"], told["rival"]), (address, router.mac("eth0")))

    @unittest.skipIf(shutil.which("vtysh") is None, "not installed: vtysh")
    def test_a_session_that_the_router_shuts_is_told_with_its_reason(self):
        listener = self.listen()
        self.run_on("n", "bgp-exporter")
        router = FrrRouter(
            self.hosts["router"],
            f"""
router bgp {ROUTER_AS}
 bgp router-id 10.99.0.3
 no bgp ebgp-requires-policy
 neighbor 10.99.0.1 remote-as {NODE_AS}
 neighbor 10.99.0.1 timers 3 9
 neighbor 10.99.0.1 timers connect 1
exit
""",
        )
        self.commit(
            self.nodes(),
            '<bgp xmlns="urn:portolan:yang:portolan-bgp"><instances><instance><name>lab</name>'
            f"<local-as>{NODE_AS}</local-as><router-id>10.99.0.1</router-id><peers><peer><name>tor</name>"
            f"<address>10.99.0.3</address><remote-as>{ROUTER_AS}</remote-as><hold-time>9</hold-time>"
            "<connect-retry-time>1</connect-retry-time></peer></peers></instance></instances></bgp>",
        )
        up = listener.next("peer-established")
        self.assertEqual((up["node"], up["instance"], up["peer"], up["address"]), ("n", "lab", "tor", "10.99.0.3"))
        self.assertEqual((up["remote-as"], up["hold-time"]), (str(ROUTER_AS), "9"))
        router.configure(f"router bgp {ROUTER_AS}\n neighbor 10.99.0.1 shutdown\nexit\n")
        down = listener.next("peer-backward-transition")
        self.assertEqual(down["peer"], "tor")
        self.assertRegex(down["reason"], "(?i)shutdown")
        router.configure(f"router bgp {ROUTER_AS}\n no neighbor 10.99.0.1 shutdown\nexit\n")
        listener.next("peer-established")


if __name__ == "__main__":
    unittest.main()
