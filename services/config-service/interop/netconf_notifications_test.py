"""Notifications over NETCONF: RFC 5277 with replay, and the events of RFC 6470."""

import datetime
import importlib
import unittest

client = importlib.import_module("services.config-service.interop.netconf_client")
pool = client.pool


def _at(seconds):
    """That many seconds from now."""
    time = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class NotificationsTest(client.NetconfTestCase):
    def subscribe(self, session, rest=""):
        return session.rpc(f'<create-subscription xmlns="{client.NOTIFICATION}">{rest}</create-subscription>')

    def event(self, session, name):
        """The next notification of that name; others are passed over."""
        while True:
            message = session.receive()
            self.assertEqual(message.root.tag, f"{{{client.NOTIFICATION}}}notification", message.text)
            self.assertTrue(message.texts("eventTime"))
            if message.root[1].tag.rpartition("}")[2] == name:
                return message

    def end_of(self, session):
        """What the subscriber hears of the end of that session."""
        while True:
            message = self.event(self.session, "netconf-session-end")
            if message.texts("session-id") == [str(session.id)]:
                return message

    def test_a_commit_is_told_with_who_and_what(self):
        listener = self.open()
        self.assert_ok(self.subscribe(listener))
        self.put("a", rest="<priority>7</priority>")
        message = self.event(listener, "netconf-config-change")
        self.assertEqual(message.texts("session-id"), [str(self.session.id)])
        self.assertEqual(message.texts("datastore"), ["running"])
        self.assertEqual(message.texts("operation")[0], "create")
        self.assertRegex(message.texts("target")[0], r"^/(\w+):ipam/\1:pools/\1:pool\[\1:name='a'\]$")

    def test_sessions_that_come_and_go_are_told(self):
        self.assert_ok(self.subscribe(self.session))
        other = self.open()
        while self.event(self.session, "netconf-session-start").texts("session-id") != [str(other.id)]:
            pass
        other.rpc("<close-session/>")
        self.assertEqual(self.end_of(other).texts("termination-reason"), ["closed"])

    def test_a_session_that_is_lost_or_killed_is_told(self):
        self.assert_ok(self.subscribe(self.session))
        lost, victim = self.open(), self.open()
        lost.close()
        self.assertEqual(self.end_of(lost).texts("termination-reason"), ["dropped"])
        killer = self.open()
        self.assert_ok(killer.rpc(f"<kill-session><session-id>{victim.id}</session-id></kill-session>"))
        end = self.end_of(victim)
        self.assertEqual(end.texts("termination-reason"), ["killed"])
        self.assertEqual(end.texts("killed-by"), [str(killer.id)])

    def test_confirmed_commits_are_told(self):
        listener = self.open()
        self.assert_ok(self.subscribe(listener))

        def told():
            return self.event(listener, "netconf-confirmed-commit").texts("confirm-event")[0]

        self.session.edit(pool("a"))
        self.session.commit("<confirmed/>")
        self.assertEqual(told(), "start")
        self.session.commit("<confirmed/><confirm-timeout>30</confirm-timeout>")
        self.assertEqual(told(), "extend")
        self.session.commit()
        self.assertEqual(told(), "complete")
        self.session.edit(pool("b"))
        self.session.commit("<confirmed/>")
        self.assertEqual(told(), "start")
        self.session.rpc("<cancel-commit/>")
        self.assertEqual(told(), "cancel")
        self.session.edit(pool("c"))
        self.session.commit("<confirmed/><confirm-timeout>1</confirm-timeout>")
        self.assertEqual(told(), "start")
        self.assertEqual(told(), "timeout")

    def test_replay_ends_with_replay_complete(self):
        began = _at(0)
        self.put("a")
        listener = self.open()
        self.assert_ok(self.subscribe(listener, f"<startTime>{began}</startTime>"))
        self.event(listener, "netconf-config-change")
        self.event(listener, "replayComplete")
        self.put("b")
        self.event(listener, "netconf-config-change")

    def test_replay_with_a_stop_time_ends_the_subscription(self):
        self.put("a")
        self.assert_ok(
            self.subscribe(self.session, f"<startTime>{_at(-60)}</startTime><stopTime>{_at(-1 / 1000)}</stopTime>")
        )
        self.event(self.session, "replayComplete")
        self.event(self.session, "notificationComplete")
        self.assert_ok(self.subscribe(self.session))

    def test_subtree_filter(self):
        listener = self.open()
        content = f'<netconf-config-change xmlns="{client.EVENTS}"/>'
        self.assert_ok(self.subscribe(listener, f'<filter type="subtree">{content}</filter>'))
        self.open()
        self.put("a")
        self.assertEqual(listener.receive().root[1].tag, f"{{{client.EVENTS}}}netconf-config-change")

    def test_other_operations_go_on_beside_a_subscription(self):
        self.assert_ok(self.subscribe(self.session))
        self.assertEqual(self.session.pools(), [])

    def test_a_second_subscription_and_another_stream_are_refused(self):
        self.assert_refused(self.subscribe(self.session, "<stream>OTHER</stream>"), "invalid-value")
        self.assert_ok(self.subscribe(self.session))
        self.assertIsNotNone(self.subscribe(self.session).tag)

    def test_times_that_make_no_sense_are_refused(self):
        for rest in (
            f"<stopTime>{_at(60)}</stopTime>",
            f"<startTime>{_at(3600)}</startTime>",
            f"<startTime>{_at(-60)}</startTime><stopTime>{_at(-120)}</stopTime>",
        ):
            self.assertIsNotNone(self.subscribe(self.session, rest).tag, rest)

    def test_streams_are_listed(self):
        content = '<netconf xmlns="urn:ietf:params:xml:ns:netmod:notification"/>'
        reply = self.session.rpc(f'<get><filter type="subtree">{content}</filter></get>')
        self.assertEqual(reply.texts("name"), ["NETCONF"])
        self.assertEqual(reply.texts("replaySupport"), ["true"])


if __name__ == "__main__":
    unittest.main()
