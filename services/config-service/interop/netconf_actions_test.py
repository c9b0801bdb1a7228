"""Actions and rpcs of our own modules where no other service runs, or one that is silent (RFC 7950, section 7.15)."""

import importlib
import os
import socket
import threading
import time

client = importlib.import_module("services.config-service.interop.netconf_client")

PEER = "/portolan-bgp:bgp/instances/instance[name='lab']/peers/peer[name='tor']"
CONFIGURATION = (
    f'<bgp xmlns="{client.BGP}"><instances><instance><name>lab</name><local-as>65000</local-as><peers>'
    "<peer><name>tor</name><address>10.0.0.1</address><remote-as>65001</remote-as></peer>"
    "</peers></instance></instances></bgp>"
    f'<services xmlns="{client.SERVICES}"><service><namespace>n</namespace><name>web</name>'
    "<port><name>http</name><port>80</port></port></service></services>"
)


class ActionsTest(client.NetconfTestCase):
    def setUp(self):
        super().setUp()
        self.assert_ok(self.session.edit(CONFIGURATION))
        self.assert_ok(self.session.commit())

    def assert_away(self, reply, service):
        self.assert_refused(reply, "operation-failed")
        self.assertEqual(reply.error("error-app-tag"), "service-unavailable")
        self.assertIn(f"{service} ", reply.error("error-message"))
        self.assertIn("portolan get problems", reply.error("error-message"))

    # ---- a service that is away ----

    def test_each_action_says_which_service_is_away_and_the_session_goes_on(self):
        for action, service, path in (
            (client.explain("n", "web"), "ipam-service", "/portolan-service:services/service[namespace='n'][name='web']"),
            (client.reset("lab", "tor"), "bgp-exporter", PEER),
            (client.bgp("<drain/>"), "bgp-exporter", "/portolan-bgp:bgp"),
            (client.bgp("<undrain/>"), "bgp-exporter", "/portolan-bgp:bgp"),
            (client.datapath("<trace/>"), "datapath-loader", "/portolan-datapath:datapath"),
            (
                client.datapath("<flush-flows><backend>10.0.0.1</backend></flush-flows>"),
                "datapath-loader",
                "/portolan-datapath:datapath",
            ),
        ):
            with self.subTest(action):
                reply = self.session.action(action)
                self.assert_away(reply, service)
                self.assertEqual(reply.error("error-path"), path)
        self.assert_away(self.session.rpc(f'<plan xmlns="{client.IPAM}"/>'), "ipam-service")
        self.assert_ok(self.session.rpc("<discard-changes/>"))

    def silent(self, name):
        """A process at that socket that accepts and says nothing; returns its connections."""
        connections = []
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(os.path.join(self.service.directory, name + ".sock"))
        listener.listen()

        def accept():
            while True:
                try:
                    connections.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        self.addCleanup(lambda: [connection.close() for connection in connections])
        return connections

    def test_a_service_that_says_nothing_is_given_up_and_other_sessions_go_on(self):
        connections = self.silent("bgp-exporter")
        begin = time.monotonic()
        self.session.send(client.action(client.bgp("<drain/>")))
        client.until(lambda: connections)
        with self.open() as other:
            self.assert_ok(other.rpc("<discard-changes/>"))
            self.assertEqual(other.get_config("running").texts("local-as"), ["65000"])
        self.assert_away(self.session.receive(), "bgp-exporter")
        self.assertLess(time.monotonic() - begin, 20)

    def test_a_stop_does_not_wait_for_a_trace(self):
        connections = self.silent("datapath-loader")
        self.session.send(client.action(client.datapath("<trace><duration>60</duration></trace>")))
        client.until(lambda: connections)
        begin = time.monotonic()
        self.assertEqual(self.service.terminate(), 0)
        self.assertLess(time.monotonic() - begin, 20)

    # ---- what an action is of ----

    def test_an_action_of_an_entry_that_is_not_configured_is_refused_with_its_path(self):
        for action, path in (
            (client.reset("lab", "rot"), PEER.replace("tor", "rot")),
            (client.reset("bal", "tor"), PEER.replace("lab", "bal")),
            (client.explain("n", "gone"), "/portolan-service:services/service[namespace='n'][name='gone']"),
        ):
            with self.subTest(path):
                reply = self.session.action(action)
                self.assert_refused(reply, "data-missing")
                self.assertEqual(reply.error("error-path"), path)

    def test_an_entry_of_the_candidate_alone_has_no_actions(self):
        self.assert_ok(self.session.edit(CONFIGURATION.replace("web", "new")))
        self.assert_refused(self.session.action(client.explain("n", "new")), "data-missing")

    def test_an_action_without_a_key_of_its_entry_is_refused(self):
        reply = self.session.action(client.explain("n", "web").replace("<name>web</name>", ""))
        self.assert_refused(reply, "missing-element")
        self.assertEqual(reply.texts("bad-element"), ["name"])
        self.assert_ok(self.session.rpc("<discard-changes/>"))

    def test_an_action_that_there_is_not_is_refused(self):
        reply = self.session.action(client.bgp("<explode/>"))
        self.assert_refused(reply, "unknown-element")
        self.assertEqual(reply.texts("bad-element"), ["explode"])
        self.assertIsNotNone(self.session.action("").tag)
        self.assertIsNotNone(self.session.rpc(client.bgp("<drain/>")).tag, "an action is no rpc")
        self.assert_ok(self.session.rpc("<discard-changes/>"))

    # ---- arguments ----

    def test_arguments_that_do_not_fit_are_refused_with_the_tag_of_the_model(self):
        for action, tag, path in (
            (client.datapath("<flush-flows/>"), "filter-empty", "/portolan-datapath:datapath/flush-flows"),
            (
                client.reset("lab", "tor", "<mode>soft</mode><message>hello</message>"),
                "message-unsent",
                PEER + "/reset/message",
            ),
        ):
            with self.subTest(tag):
                reply = self.session.action(action)
                self.assert_refused(reply, "operation-failed")
                self.assertEqual(reply.error("error-app-tag"), tag)
                self.assertEqual(reply.error("error-path"), path)

    def test_values_outside_their_ranges_are_refused_with_a_remedy(self):
        for action, tag, path, words in (
            (
                client.bgp("<drain><hold-time>86401</hold-time></drain>"),
                *("hold-time", "/portolan-bgp:bgp/drain/hold-time", "the hold-time is 0 to 86400 seconds"),
            ),
            (
                client.datapath("<trace><duration>61</duration></trace>"),
                *("duration", "/portolan-datapath:datapath/trace/duration", "the duration is 1 to 60 seconds"),
            ),
            (
                client.datapath("<trace><max-events>0</max-events></trace>"),
                *("max-events", "/portolan-datapath:datapath/trace/max-events", "max-events is 1 to 1000"),
            ),
            (
                client.reset("lab", "tor", f"<message>{'x' * 256}</message>"),
                *("message-length", PEER + "/reset/message", "the message has 1 to 255 characters"),
            ),
            (
                client.bgp("<drain><hold-time>soon</hold-time></drain>"),
                *(None, "/portolan-bgp:bgp/drain/hold-time", "soon"),
            ),
        ):
            with self.subTest(words):
                reply = self.session.action(action)
                self.assert_refused(reply, "invalid-value")
                self.assertEqual(reply.error("error-app-tag"), tag)
                self.assertEqual(reply.error("error-path"), path)
                self.assertIn(words, reply.error("error-message"))

    def test_a_plan_of_an_edit_that_is_not_valid_is_refused_as_its_commit_would_be(self):
        def plan(config):
            return self.session.rpc(f'<plan xmlns="{client.IPAM}"><config>{config}</config></plan>')

        reply = plan(client.pool("a", "<priority>x</priority>"))
        self.assert_refused(reply, "invalid-value")
        self.assertEqual(reply.error("error-path"), "/portolan-ipam:ipam/pools/pool[name='a']/priority")
        self.assert_refused(plan(client.pool("a", attributes='nc:operation="delete"')), "data-missing")
        self.assertEqual(self.session.pools("candidate"), [])
