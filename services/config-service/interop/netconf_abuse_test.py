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
        """libnetconf2 alone would end the process."""
        for octets in (b"", b"\n#0\n", b"\n#-1\n<rpc", b"\n#99999999999999999999\n<rpc", b"\n#x\n"):
            with self.open() as bad:
                bad.write(octets + b"\n##\n")
                self.assertTrue(bad.is_ended(), octets)
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

    def test_unknown_namespaces_are_refused(self):
        with self.open() as bad:
            self.assertIsNotNone(bad.rpc('<get xmlns="urn:example"/>').tag)
            self.assertIsNotNone(bad.edit('<ipam xmlns="urn:example"><pools/></ipam>').tag)
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


class LargeEditTest(client.NetconfTestCase):
    def test_hundred_megabytes_are_refused_and_leave_running(self):
        self.put("a")
        large = self.open()
        text = "x" * (100 << 20)
        try:
            large.send(
                f"<edit-config><target><candidate/></target><config>{pool('b', f'<priority>{text}</priority>')}"
                "</config></edit-config>"
            )
            reply = large.receive()
            self.assertIsNotNone(reply.tag)
            self.assertLess(len(reply.text), 10000)
        except (EOFError, ConnectionError):
            pass
        self.assertEqual(self.session.pools(), ["a"])
        self.assertEqual(self.session.pools("candidate"), ["a"])


if __name__ == "__main__":
    unittest.main()
