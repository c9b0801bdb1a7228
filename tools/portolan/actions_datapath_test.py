"""NETCONF's actions of a real datapath-loader in namespaces: trace and flush-flows."""

import importlib
import json
import os
import subprocess
import time
import unittest

from integration.topology import wait_until

client = importlib.import_module("services.config-service.interop.netconf_client")
lab_module = importlib.import_module("services.datapath-loader.interop.laboratory")
CLIENT, VIP_V4 = lab_module.CLIENT[4], lab_module.VIP_V4


@unittest.skipUnless(os.geteuid() == 0, "network namespaces and BPF need root")
class DatapathActionsTest(unittest.TestCase):
    def setUp(self):
        self.lab = lab_module.Laboratory()
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__)
        self.lab.configure()
        self.lab.serve(backends=["a1"])
        self.lab.start()
        self.lab.wait_ready()
        # The laboratory plays config-service for the loader; the real one finds the loader in its own directory.
        self.service = client.Service()
        self.addCleanup(self.service.close)
        socket = "datapath-loader.sock"
        os.symlink(os.path.join(self.lab.run_dir, socket), os.path.join(self.service.directory, socket))
        self.session = self.service.session()
        self.addCleanup(self.session.close)

    def begin_trace(self, content):
        """Returns when the kernel knows of it."""
        self.session.send(client.action(client.datapath(f"<trace>{content}</trace>")))
        wait_until(lambda: any(self.marks()), what="it is traced")

    def marks(self):
        """How many frontends are marked in the kernel, and the sample of drops."""

        def rows(name):
            command = ["/usr/sbin/bpftool", "-j", "map", "dump", "pinned", f"{self.lab.pins}/maps/{name}"]
            return [row["formatted"]["value"] for row in json.loads(subprocess.check_output(command))]

        return sum(1 for row in rows("frontend_info") if row["flags"] & 8), rows("settings_map")[0]["drop_sample"]

    def test_a_trace_of_a_service_ends_with_the_events_that_are_enough(self):
        begin = time.monotonic()
        self.begin_trace("<service>ns/web</service><max-events>2</max-events><duration>60</duration>")
        self.assertEqual(self.lab.ask_udp(VIP_V4), "a1")
        reply = self.session.receive()
        self.assertLess(time.monotonic() - begin, 50)
        self.assertEqual(reply.texts("number"), ["1", "2"])
        self.assertEqual(reply.texts("kind"), ["new", "carried"])
        self.assertEqual(reply.texts("service"), ["ns/web"] * 2)
        self.assertEqual(reply.texts("protocol"), ["udp"] * 2)
        self.assertEqual(reply.texts("source-address"), [CLIENT, "10.244.1.11"])
        self.assertEqual((reply.texts("destination-address")[0], reply.texts("destination-port")[0]), (VIP_V4, "80"))
        self.assertEqual(reply.texts("lost"), ["0"])
        wait_until(lambda: self.marks() == (0, 0), what="the marks are gone with the trace")

    def test_a_trace_of_nothing_ends_with_its_time_and_other_sessions_go_on(self):
        self.begin_trace("<service>ns/web</service><duration>2</duration>")
        with self.service.session() as other:
            self.assertTrue(other.rpc("<discard-changes/>").ok)
        reply = self.session.receive()
        self.assertEqual((reply.texts("event"), reply.texts("lost")), ([], ["0"]))
        self.assertIsNone(reply.tag, reply.text)

    def test_a_trace_of_drops_says_why(self):
        self.lab.set_settings(drop_unserved=True)
        self.begin_trace("<drop-sample>1</drop-sample><max-events>1</max-events><duration>60</duration>")
        self.assertEqual(self.lab.connect(VIP_V4, 81), "silence")
        reply = self.session.receive()
        self.assertEqual((reply.texts("kind"), reply.texts("drop")), (["drop"], ["unserved"]))
        self.assertEqual(reply.texts("destination-port"), ["81"])
        self.assertTrue(reply.texts("message")[0])

    def test_a_trace_of_an_unknown_service_is_refused(self):
        reply = self.session.action(client.datapath("<trace><service>ns/none</service></trace>"))
        self.assertEqual((reply.tag, reply.error("error-path")), ("data-missing", "/portolan-datapath:datapath"))
        self.assertIn('no Service "ns/none"', reply.error("error-message"))

    def test_a_killed_session_leaves_no_trace_behind(self):
        self.begin_trace("<service>ns/web</service><duration>3</duration>")
        with self.service.session() as other:
            self.assertTrue(other.rpc(f"<kill-session><session-id>{self.session.id}</session-id></kill-session>").ok)
        wait_until(lambda: self.marks() == (0, 0), what="the marks are gone with the trace")

    def test_flush_flows_forgets_what_the_filter_names(self):
        self.assertEqual(self.lab.ask_udp(VIP_V4), "a1")

        def flush(content):
            return self.session.action(client.datapath(f"<flush-flows>{content}</flush-flows>"))

        self.assertEqual(flush("<client>192.0.2.0/24</client>").texts("flushed"), ["0"])
        flushed = flush(f"<service>ns/web</service><client>{CLIENT}/32</client>").texts("flushed")
        self.assertGreaterEqual(int(flushed[0]), 1)
        self.assertEqual(flush("<service>ns/web</service>").texts("flushed"), ["0"])
        self.assertEqual(flush("<service>ns/none</service>").tag, "data-missing")
