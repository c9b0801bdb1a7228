"""NETCONF sessions that misbehave harm no other and leave running as it was; many at once are served."""

import concurrent.futures
import importlib
import os
import socket
import time
import unittest

client = importlib.import_module("services.config-service.interop.netconf_client")
pool = client.pool


class AbuseTest(client.NetconfTestCase):
    def setUp(self):
        super().setUp()
        self.put("a")

    def assert_unharmed(self):
        """Another session is served at once, and what runs is what ran."""
        began = time.monotonic()
        self.assertEqual(self.session.pools(), ["a"])
        self.assertLess(time.monotonic() - began, 2)
        self.assertEqual(self.open().pools(), ["a"])
        self.assertIsNone(self.service.process.poll())

    def _memory_kib(self):
        with open(f"/proc/{self.service.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    def test_silence_before_hello(self):
        silent = self.open(hello=False)
        self.assert_unharmed()
        silent.close()
        self.assert_unharmed()

    def test_rubbish_before_hello(self):
        rubbish = self.open(hello=False)
        rubbish.write(os.urandom(100000).replace(b"]", b"x") + b"]]>]]>")
        self.assertTrue(rubbish.is_ended())
        self.assert_unharmed()

    def test_hello_without_a_base_that_we_know(self):
        stranger = self.open(hello=False)
        stranger.write(
            f'<hello xmlns="{client.BASE}"><capabilities><capability>urn:example</capability></capabilities></hello>'
            "]]>]]>".encode()
        )
        self.assertTrue(stranger.is_ended())
        self.assert_unharmed()

    def test_bad_framing_ends_the_session(self):
        """libnetconf2 alone would end the process, or wait for the rest of it."""
        for octets in (
            b"\n##\n",
            b"\n#0\n\n##\n",
            b"\n#-1\n<rpc\n##\n",
            b"\n#99999999999999999999\n<rpc\n##\n",
            b"\n#4294967296\n",
            b"\n#05\n",
            b"\n#x\n\n##\n",
            b"rubbish\n#5\n",
            b"#5\n<rpc>",
            b"\n#2\n<r<r",
            b"\n#1\n<\n#\n",
            b"<rpc/>]]>]]>",
        ):
            with self.open() as bad:
                began = time.monotonic()
                bad.write(octets)
                self.assertTrue(bad.is_ended(), octets)
                self.assertLess(time.monotonic() - began, 2, octets)
        self.assert_unharmed()

    def test_largest_chunk_size_takes_no_memory(self):
        before = self._memory_kib()
        with self.open() as bad:
            bad.write(b"\n#4294967295\n<rpc")
            self.assert_unharmed()
            self.assertLess(self._memory_kib() - before, 50 * 1024)
        self.assert_unharmed()

    def test_malformed_xml_is_answered_or_ends_the_session(self):
        """libnetconf2 alone would end the process at a blank message."""
        for text in ("<rpc", "<rpc></cpr>", " ", "\x00", "<a/><b/>"):
            with self.open() as bad:
                bad.write(bad.frame(text))
                try:
                    self.assertIsNotNone(bad.receive().tag)
                except (EOFError, ConnectionError):
                    pass
        self.assert_unharmed()

    def test_entity_bomb_expands_to_nothing(self):
        before = self._memory_kib()
        entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10))
        with self.open() as bad:
            bad.write(
                bad.frame(
                    f'<!DOCTYPE rpc [<!ENTITY e0 "lol">{entities}]>' + bad.rpc_text("<discard-changes>&e9;</discard-changes>")
                )
            )
            try:
                self.assertIsNotNone(bad.receive().tag)
            except (EOFError, ConnectionError):
                pass
        self.assertLess(self._memory_kib() - before, 50 * 1024)
        self.assert_unharmed()

    def test_deep_nesting_is_refused(self):
        for depth in (100, 10000, 100000):
            with self.open() as bad:
                bad.write(bad.frame(bad.rpc_text("<x>" * depth + "</x>" * depth)))
                try:
                    self.assertIsNotNone(bad.receive().tag)
                except (EOFError, ConnectionError):
                    pass
            self.assert_unharmed()

    def test_deep_nesting_in_an_edit_is_refused(self):
        for depth in (100, 10000, 100000):
            with self.open() as bad:
                config = f'<ipam xmlns="{client.IPAM}">' + "<x>" * depth + "</x>" * depth + "</ipam>"
                bad.send(f"<edit-config><target><candidate/></target><config>{config}</config></edit-config>")
                try:
                    self.assertIsNotNone(bad.receive().tag)
                except (EOFError, ConnectionError):
                    pass
            self.assert_unharmed()

    def test_what_was_asked_before_bad_framing_is_answered(self):
        with self.open() as bad:
            bad.send("<discard-changes/>")
            bad.write(b"rubbish")
            self.assertTrue(bad.receive().ok)
            self.assertTrue(bad.is_ended())

    def test_line_breaks_between_messages_are_none(self):
        for version in ("1.0", "1.1"):
            with self.open(version=version) as session:
                for _ in range(3):
                    session.write(b"\r\n \n")
                    self.assertTrue(session.rpc("<discard-changes/>").ok)

    def test_messages_cut_anywhere_are_whole(self):
        for version in ("1.0", "1.1"):
            with self.open(version=version) as session:
                text = session.rpc_text("<discard-changes/>")
                for size in (1, 2, 7):
                    for octet in session.frame(text, chunk=size):
                        session.write(bytes([octet]))
                    self.assertTrue(session.receive().ok)

    def test_hello_that_is_none_ends_the_session(self):
        capability = "<capability>urn:ietf:params:netconf:base:1.1</capability>"
        for hello in (
            "",
            "<hello/>",
            f'<hello xmlns="{client.BASE}"/>',
            f'<hello xmlns="{client.BASE}"><capabilities/></hello>',
            f"<hello><capabilities>{capability}</capabilities></hello>",
            f'<hello xmlns="{client.BASE}"><capabilities>{capability}</capabilities><session-id>3</session-id></hello>',
            f'<hello xmlns="{client.BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1</capability>'
            "</capabilities></hello>",
            f'<rpc xmlns="{client.BASE}" message-id="1"><get/></rpc>',
            f'<hello xmlns="{client.BASE}"><capabilities>{capability * 2000}</capabilities></hello>',
        ):
            stranger = self.open(hello=False)
            stranger.write(hello.encode() + b"]]>]]>")
            self.assertTrue(stranger.is_ended(), hello)
        self.assert_unharmed()

    def test_rpc_without_message_id_is_missing_attribute(self):
        """RFC 6241, appendix A; its other attributes are there in the reply."""
        for version in ("1.0", "1.1"):
            with self.open(version=version) as bad:
                bad.write(bad.frame(f'<x:rpc xmlns:x="{client.BASE}" xmlns:e="urn:e" e:tag="7"><x:get/></x:rpc>'))
                reply = bad.receive()
                self.assertEqual((reply.error("error-type"), reply.tag), ("rpc", "missing-attribute"), reply.text)
                self.assertEqual(reply.error(f"error-info/{{{client.BASE}}}bad-attribute"), "message-id")
                self.assertEqual(reply.error(f"error-info/{{{client.BASE}}}bad-element"), "rpc")
                self.assertEqual(reply.root.attrib, {"{urn:e}tag": "7"})
                self.assertTrue(bad.rpc("<discard-changes/>").ok)
        self.assert_unharmed()

    def test_answers_come_in_the_order_of_what_was_asked(self):
        with self.open() as bad:
            for body in ("<get/>", "<no-such/>", "<discard-changes/>", '<get xmlns="urn:example"/>'):
                bad.send(body)
            tags = []
            for number in range(1, 5):
                reply = bad.receive()
                self.assertEqual(reply.root.attrib["message-id"], str(number))
                tags.append(reply.tag)
        self.assertEqual(tags, [None, "operation-not-supported", None, "unknown-namespace"])

    def test_what_is_refused_is_counted_as_bad(self):
        def bad_rpcs():
            reply = self.session.rpc(
                f'<get><filter type="subtree"><netconf-state xmlns="{client.MONITORING}"><statistics/></netconf-state></filter>'
                "</get>"
            )
            return int(reply.texts("in-bad-rpcs")[0])

        before = bad_rpcs()
        self.session.rpc("<no-such/>")
        self.assertEqual(bad_rpcs(), before + 1)

    def test_identifier_of_a_refusal_is_no_schema(self):
        for number in (0, 1, 2):
            reply = self.session.rpc(
                f'<get-schema xmlns="{client.MONITORING}"><identifier>refused:{number}</identifier></get-schema>'
            )
            self.assertEqual(reply.tag, "invalid-value", reply.text)

    def test_unknown_operations_and_namespaces_are_refused(self):
        with self.open() as bad:
            reply = bad.rpc('<get xmlns="urn:example"/>')
            self.assertEqual((reply.error("error-type"), reply.tag), ("protocol", "unknown-namespace"))
            self.assertEqual(reply.error(f"error-info/{{{client.BASE}}}bad-namespace"), "urn:example")
            reply = bad.rpc("<no-such/>")
            self.assertEqual((reply.error("error-type"), reply.tag), ("protocol", "operation-not-supported"))
            reply = bad.rpc(f'<pools xmlns="{client.IPAM}"/>')
            self.assertEqual((reply.error("error-type"), reply.tag), ("protocol", "operation-not-supported"))
            self.assertIsNotNone(bad.edit('<ipam xmlns="urn:example"><pools/></ipam>').tag)
        self.assert_unharmed()

    def test_elements_without_a_namespace_beside_others_are_refused(self):
        """libyang alone would end the process."""
        pair = '<a xmlns=""/><a xmlns="urn:x"/>'
        for body in (
            f'<get><filter type="subtree">{pair}</filter></get>',
            '<get><filter type="subtree"><a xmlns=""/><a xmlns=""/></filter></get>',
            f"<edit-config><target><candidate/></target><config>{pair}</config></edit-config>",
            f"<discard-changes>{pair}</discard-changes>",
        ):
            with self.open() as bad:
                reply = bad.rpc(body)
                self.assertEqual(reply.tag, "operation-failed")
                self.assertIn("element a without a namespace", reply.error("error-message"))
                self.assertTrue(bad.rpc("<discard-changes/>").ok)
        stranger = self.open(hello=False)
        stranger.write(f'<hello xmlns="{client.BASE}"><capabilities/>{pair}</hello>]]>]]>'.encode())
        self.assertTrue(stranger.is_ended())
        self.assert_unharmed()

    def test_session_that_is_half_closed(self):
        half = self.open()
        half.send("<discard-changes/>")
        half.socket.shutdown(socket.SHUT_WR)
        self.assertTrue(half.is_ended())
        self.assert_unharmed()

    def test_session_that_stops_in_the_middle_of_a_message(self):
        half = self.open()
        half.write(b"\n#1000\n<rpc ")
        self.assert_unharmed()
        half.close()
        self.assert_unharmed()

    def test_reader_that_never_reads_is_killed_by_another(self):
        for _ in range(200):
            self.session.edit(pool(f"p{_}", f"<priority>{_}</priority>"))
        slow = self.open()
        for _ in range(300):
            slow.socket.settimeout(0.2)
            try:
                slow.send("<get/>")
            except socket.timeout:
                break
        self.assert_unharmed()
        reply = self.session.rpc(f"<kill-session><session-id>{slow.id}</session-id></kill-session>")
        self.assertTrue(reply.ok, reply.text)
        client.until(lambda: str(slow.id) not in self._sessions())
        self.assert_unharmed()

    def _sessions(self):
        """Who holds a lock or waits is none of it: the numbers that kill-session still knows."""
        known = []
        for number in range(1, self.session.id + 20):
            if number == self.session.id:
                continue
            reply = self.session.rpc(f"<kill-session><session-id>{number}</session-id></kill-session>")
            if reply.ok:
                known.append(str(number))
        return known

    def test_two_hundred_sessions_at_once(self):
        sessions = [self.open() for _ in range(200)]

        def work(session):
            for _ in range(5):
                if session.pools() != ["a"]:
                    return False
            return session.rpc("<close-session/>").ok

        with concurrent.futures.ThreadPoolExecutor(20) as workers:
            self.assertTrue(all(workers.map(work, sessions)))
        self.assert_unharmed()

    def test_idle_sessions_cost_no_processor(self):
        sessions = [self.open() for _ in range(50)]

        def ticks():
            with open(f"/proc/{self.service.process.pid}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        before = ticks()
        began = time.monotonic()
        client.until(lambda: time.monotonic() - began > 2)
        used = (ticks() - before) / os.sysconf("SC_CLK_TCK")
        self.assertLess(used, 0.2, "of two seconds, with fifty sessions")
        self.assertEqual(len(sessions), 50)

    def test_stops_in_order_while_sessions_are_open_and_commit(self):
        sessions = [self.open() for _ in range(10)]
        silent = self.open(hello=False)
        sessions[0].edit(pool("b"))
        sessions[0].send("<commit/>")
        self.assertEqual(self.service.terminate(), 0)
        self.assertTrue(all(session.is_ended() for session in sessions))
        self.assertTrue(silent.is_ended())
        self.service.start()
        self.assertIn(self.open().pools(), (["a"], ["a", "b"]))


class LargeMessageTest(client.NetconfTestCase):
    def setUp(self):
        super().setUp()
        self.put("a")

    def memory_mib(self, line):
        with open(f"/proc/{self.service.process.pid}/status", encoding="ascii") as file:
            return next(int(entry.split()[1]) >> 10 for entry in file if entry.startswith(line))

    def limit(self, mebibytes):
        self.assert_ok(
            self.session.edit(
                f'<system xmlns="{client.SYSTEM}"><netconf><max-message-size>{mebibytes}</max-message-size></netconf></system>'
            )
        )
        self.assert_ok(self.session.commit())

    def edit_of(self, octets):
        return f"<edit-config><target><candidate/></target><config>{pool('b', '<priority>' + 'x' * octets + '</priority>')}</config></edit-config>"

    def test_hundred_megabytes_are_refused_and_leave_running(self):
        """Memory grows by the limit at most, and the session goes on."""
        for version in ("1.0", "1.1"):
            large = self.open(version=version)
            before = self.memory_mib("VmRSS")
            reply = large.rpc(self.edit_of(100 << 20))
            self.assertEqual((reply.error("error-type"), reply.tag), ("rpc", "too-big"), reply.text[:1000])
            self.assertIn("larger than 64 MiB", reply.error("error-message"))
            self.assertIn("max-message-size", reply.error("error-message"))
            self.assertLess(self.memory_mib("VmHWM") - before, 64 + 16)
            client.until(lambda so_far=before: self.memory_mib("VmRSS") - so_far < 16)
            self.assertTrue(large.rpc("<discard-changes/>").ok)
            large.close()
        self.assertEqual(self.session.pools(), ["a"])
        self.assertEqual(self.session.pools("candidate"), ["a"])

    def test_limit_is_what_the_configuration_says(self):
        self.limit(1)
        # The settings of a commit hold when its worker comes to them.
        client.until(lambda: self.session.rpc(self.edit_of(1 << 20)).tag == "too-big")
        self.assertEqual(self.session.rpc(self.edit_of(1000 << 10)).tag, "invalid-value")
        self.limit(2)
        client.until(lambda: self.session.rpc(self.edit_of(1 << 20)).tag == "invalid-value")

    def test_many_small_chunks_count_as_one_message(self):
        self.limit(1)
        client.until(lambda: self.session.rpc(self.edit_of(1 << 20)).tag == "too-big")
        text = self.session.rpc_text(self.edit_of(1 << 20))
        self.session.write(self.session.frame(text, chunk=1000))
        self.assertEqual(self.session.receive().tag, "too-big")

    def test_large_message_that_is_no_rpc_ends_the_session(self):
        self.limit(1)
        client.until(lambda: self.session.rpc(self.edit_of(1 << 20)).tag == "too-big")
        for text in ("x" * (2 << 20), f"<notice>{'x' * (2 << 20)}</notice>", "<" + "x" * (2 << 20), " " * (2 << 20)):
            with self.open() as bad:
                bad.write(bad.frame(text))
                self.assertTrue(bad.is_ended())
        self.assertEqual(self.session.pools(), ["a"])


if __name__ == "__main__":
    unittest.main()
