"""The conformance table of the NETCONF server: edits, locks, sessions and commits (RFC 6241)."""

import importlib
import time
import unittest

client = importlib.import_module("services.config-service.interop.netconf_client")
pool = client.pool


class EditsTest(client.NetconfTestCase):
    # ---- edit-config ----

    def test_merge_adds_and_changes(self):
        self.put("a", rest="<priority>7</priority>")
        self.assert_ok(self.session.edit(pool("a", "<priority>8</priority>")))
        self.assertEqual(self.session.get_config().texts("priority"), ["8"])

    def test_replace_removes_what_is_not_named(self):
        self.put("a", rest="<priority>7</priority><auto-assign>false</auto-assign>")
        self.assert_ok(self.session.edit(pool("a", "<priority>8</priority>", 'nc:operation="replace"')))
        reply = self.session.get_config()
        self.assertEqual(reply.texts("priority"), ["8"])
        self.assertEqual(reply.texts("auto-assign"), [])

    def test_create_what_exists_is_data_exists_with_the_path(self):
        self.put("a")
        reply = self.session.edit(pool("a", "", 'nc:operation="create"'))
        self.assert_refused(reply, "data-exists")
        self.assertEqual(reply.error("error-path"), "/portolan-ipam:ipam/pools/pool[name='a']")
        self.assertEqual(reply.error("error-type"), "application")
        self.assertEqual(reply.error("error-severity"), "error")

    def test_create_what_is_new(self):
        self.assert_ok(self.session.edit(pool("a", "", 'nc:operation="create"')))

    def test_delete_what_is_missing_is_data_missing(self):
        self.assert_refused(self.session.edit(pool("a", "", 'nc:operation="delete"')), "data-missing")

    def test_delete_removes(self):
        self.put("a", "b")
        self.assert_ok(self.session.edit(pool("a", "", 'nc:operation="delete"')))
        self.assertEqual(self.session.pools("candidate"), ["b"])

    def test_operation_at_a_container_that_is_written_empty(self):
        """The operation was lost with the container."""
        for operation in ("delete", "remove", "replace"):
            with self.subTest(operation):
                self.put("a")
                for element in (f'<ipam xmlns="{client.IPAM}" {{}}/>', f'<ipam xmlns="{client.IPAM}"><pools {{}}/></ipam>'):
                    attributes = f'xmlns:nc="{client.BASE}" nc:operation="{operation}"'
                    self.assert_ok(self.session.edit(element.format(attributes)))
                    self.assertEqual(self.session.pools("candidate"), [])
                    self.assert_ok(self.session.rpc("<discard-changes/>"))

    def test_remove_what_is_missing_is_no_error(self):
        self.assert_ok(self.session.edit(pool("a", "", 'nc:operation="remove"')))

    def test_operation_at_a_leaf(self):
        self.put("a", rest="<priority>7</priority>")
        self.assert_ok(self.session.edit(pool("a", '<priority nc:operation="delete"/>')))
        self.assertEqual(self.session.get_config().texts("priority"), [])

    def test_default_operation_none_wants_what_is_there(self):
        option = "<default-operation>none</default-operation>"
        self.assert_refused(self.session.edit(pool("a"), options=option), "data-missing")
        self.put("a")
        rest = '<priority nc:operation="create">9</priority>'
        self.assert_ok(self.session.edit(pool("a", rest), options=option))

    def test_default_operation_replace_replaces_everything(self):
        self.put("a")
        self.assert_ok(self.session.edit(pool("b"), options="<default-operation>replace</default-operation>"))
        self.assertEqual(self.session.pools("candidate"), ["b"])

    def test_unknown_operation_attribute_is_refused(self):
        self.assertIsNotNone(self.session.edit(pool("a", "", 'nc:operation="paint"')).tag)
        self.assertEqual(self.session.pools("candidate"), [])

    def test_test_only_changes_nothing(self):
        self.assert_ok(self.session.edit(pool("a"), options="<test-option>test-only</test-option>"))
        self.assertEqual(self.session.pools("candidate"), [])

    def test_test_then_set_refuses_what_is_not_valid(self):
        block = "<blocks><block><id>x</id><cidr>20.0.0.1/24</cidr></block></blocks>"
        reply = self.session.edit(pool("a", block), options="<test-option>test-then-set</test-option>")
        self.assertEqual(reply.error("error-app-tag"), "cidr", reply.text)

    def test_set_leaves_validation_to_the_commit(self):
        block = "<blocks><block><id>x</id><cidr>20.0.0.1/24</cidr></block></blocks>"
        self.assert_ok(self.session.edit(pool("a", block), options="<test-option>set</test-option>"))
        self.assertEqual(self.session.commit().error("error-app-tag"), "cidr")

    def test_error_options_all_roll_back(self):
        self.put("a")
        both = pool("b", '</pool><pool nc:operation="create"><name>a</name>')
        for option in ("stop-on-error", "continue-on-error", "rollback-on-error"):
            reply = self.session.edit(both, options=f"<error-option>{option}</error-option>")
            self.assert_refused(reply, "data-exists")
            self.assertEqual(self.session.pools("candidate"), ["a"])

    def test_running_is_not_writable(self):
        """Without :writable-running the model has no such target."""
        self.assertIsNotNone(self.session.edit(pool("a"), target="running").tag)
        self.assertEqual(self.session.pools(), [])

    def test_unknown_element_value_and_namespace_are_told_apart(self):
        self.assert_refused(self.session.edit(pool("a", "<colour>red</colour>")), "unknown-element")
        self.assert_refused(self.session.edit(pool("a", "<priority>high</priority>")), "invalid-value")
        self.assertIsNotNone(self.session.edit('<ipam xmlns="urn:example"/>').tag)

    def test_edit_without_config_is_refused(self):
        reply = self.session.rpc("<edit-config><target><candidate/></target></edit-config>")
        self.assertIsNotNone(reply.tag, reply.text)

    # ---- copy-config, delete-config, validate, discard-changes ----

    def test_copy_running_to_startup_and_start_from_it(self):
        self.put("a")
        self.assert_ok(
            self.session.rpc(
                "<copy-config><target><startup/></target><source><running/></source></copy-config>"
            )
        )
        self.assertEqual(self.session.pools("startup"), ["a"])

    def test_copy_text_to_candidate(self):
        self.put("a")
        reply = self.session.rpc(
            f"<copy-config><target><candidate/></target><source><config>{pool('b')}</config></source></copy-config>"
        )
        self.assert_ok(reply)
        self.assertEqual(self.session.pools("candidate"), ["b"])

    def test_copy_to_itself_is_refused(self):
        reply = self.session.rpc(
            "<copy-config><target><candidate/></target><source><candidate/></source></copy-config>"
        )
        self.assert_refused(reply, "invalid-value")

    def test_copy_to_running_is_refused(self):
        reply = self.session.rpc(
            "<copy-config><target><running/></target><source><candidate/></source></copy-config>"
        )
        self.assertIsNotNone(reply.tag)

    def test_copy_with_defaults_is_refused(self):
        reply = self.session.rpc(
            "<copy-config><target><startup/></target><source><running/></source>"
            f'<with-defaults xmlns="{client.DEFAULTS}">report-all</with-defaults></copy-config>'
        )
        self.assert_refused(reply, "operation-not-supported")

    def test_delete_startup(self):
        self.test_copy_running_to_startup_and_start_from_it()
        self.assert_ok(self.session.rpc("<delete-config><target><startup/></target></delete-config>"))
        self.assertEqual(self.session.pools("startup"), [])

    def test_delete_running_is_refused(self):
        self.assertIsNotNone(self.session.rpc("<delete-config><target><running/></target></delete-config>").tag)

    def test_validate_candidate_running_and_text(self):
        self.assert_ok(self.session.rpc("<validate><source><candidate/></source></validate>"))
        self.assert_ok(self.session.rpc("<validate><source><running/></source></validate>"))
        bad = pool("a", "<blocks><block><id>x</id><cidr>20.0.0.1/24</cidr></block></blocks>")
        reply = self.session.rpc(f"<validate><source><config>{bad}</config></source></validate>")
        self.assertEqual(reply.error("error-app-tag"), "cidr", reply.text)

    def test_discard_changes(self):
        self.session.edit(pool("a"))
        self.assert_ok(self.session.rpc("<discard-changes/>"))
        self.assertEqual(self.session.pools("candidate"), [])

    # ---- lock, unlock, sessions ----

    def _lock(self, session, datastore, verb="lock"):
        return session.rpc(f"<{verb}><target><{datastore}/></target></{verb}>")

    def test_lock_of_each_datastore(self):
        for datastore in ("running", "candidate", "startup"):
            self.assert_ok(self._lock(self.session, datastore))
            self.assert_ok(self._lock(self.session, datastore, "unlock"))

    def test_lock_that_is_held_names_the_holder(self):
        other = self.open()
        self.assert_ok(self._lock(self.session, "candidate"))
        reply = self._lock(other, "candidate")
        self.assert_refused(reply, "lock-denied")
        self.assertEqual(reply.texts("session-id"), [str(self.session.id)])

    def test_edit_and_commit_of_a_locked_candidate_are_refused(self):
        other = self.open()
        self._lock(self.session, "candidate")
        self.assert_refused(other.edit(pool("a")), "in-use")
        self.assert_refused(other.commit(), "in-use")

    def test_commit_to_a_locked_running_is_refused(self):
        other = self.open()
        self._lock(self.session, "running")
        other.edit(pool("a"))
        self.assert_refused(other.commit(), "in-use")
        self._lock(self.session, "running", "unlock")
        self.assert_ok(other.commit())

    def test_lock_of_a_changed_candidate_is_refused(self):
        other = self.open()
        self.session.edit(pool("a"))
        self.assert_refused(self._lock(other, "candidate"), "lock-denied")

    def test_unlock_of_somebody_elses_lock_is_refused(self):
        other = self.open()
        self._lock(self.session, "candidate")
        self.assert_refused(self._lock(other, "candidate", "unlock"), "operation-failed")

    def test_locks_are_freed_and_the_candidate_is_discarded_when_the_session_ends(self):
        other = self.open()
        self._lock(other, "candidate")
        other.edit(pool("a"))
        other.close()
        client.until(lambda: self._lock(self.session, "candidate").ok)
        self.assertEqual(self.session.pools("candidate"), [])

    def test_lock_by_the_datastore_of_rfc_8526(self):
        body = f'<datastore xmlns="{client.NMDA}" xmlns:ds="{client.DATASTORES}">ds:candidate</datastore>'
        self.assert_ok(self.session.rpc(f"<lock><target>{body}</target></lock>"))
        self.assert_refused(self._lock(self.open(), "candidate"), "lock-denied")

    def test_close_session_is_answered_and_ends_it(self):
        self.assert_ok(self.session.rpc("<close-session/>"))
        self.assertTrue(self.session.is_ended())

    def test_kill_session_frees_its_locks(self):
        other = self.open()
        self._lock(other, "running")
        self.assert_ok(self.session.rpc(f"<kill-session><session-id>{other.id}</session-id></kill-session>"))
        self.assertTrue(other.is_ended())
        self.assert_ok(self._lock(self.session, "running"))

    def test_kill_of_oneself_or_nobody_is_refused(self):
        for victim in (self.session.id, 4000000):
            reply = self.session.rpc(f"<kill-session><session-id>{victim}</session-id></kill-session>")
            self.assert_refused(reply, "invalid-value")

    # ---- commit ----

    def test_commit_puts_all_in_force_or_nothing(self):
        self.session.edit(pool("a"))
        self.session.edit(
            pool("b", "<blocks><block><id>x</id><cidr>20.0.0.1/24</cidr></block></blocks>"),
            options="<test-option>set</test-option>",
        )
        self.assertIsNotNone(self.session.commit().tag)
        self.assertEqual(self.session.pools(), [])

    def test_commit_survives_a_restart(self):
        self.put("a")
        self.assertEqual(self.service.terminate(), 0)
        self.service.start()
        self.assertEqual(self.open().pools(), ["a"])

    def test_commit_that_undoes_what_others_committed_is_refused(self):
        other = self.open()
        self.session.edit(pool("a"))
        self.assert_ok(other.commit())  # the candidate is shared
        self.assertEqual(self.session.pools(), ["a"])

    def test_confirmed_commit_that_times_out_goes_back(self):
        self.session.edit(pool("a"))
        self.assert_ok(self.session.commit("<confirmed/><confirm-timeout>1</confirm-timeout>"))
        self.assertEqual(self.session.pools(), ["a"])
        client.until(lambda: self.session.pools() == [])

    def test_confirmed_commit_is_confirmed_by_a_commit(self):
        self.session.edit(pool("a"))
        self.assert_ok(self.session.commit("<confirmed/><confirm-timeout>1</confirm-timeout>"))
        self.assert_ok(self.session.commit())
        began = time.monotonic()
        client.until(lambda: time.monotonic() - began > 1.5)
        self.assertEqual(self.session.pools(), ["a"])

    def test_confirmed_commit_is_cancelled(self):
        self.session.edit(pool("a"))
        self.session.commit("<confirmed/>")
        self.assert_ok(self.session.rpc("<cancel-commit/>"))
        self.assertEqual(self.session.pools(), [])

    def test_confirmed_commit_ends_with_its_session(self):
        other = self.open()
        other.edit(pool("a"))
        self.assert_ok(other.commit("<confirmed/>"))
        other.close()
        client.until(lambda: self.session.pools() == [])

    def test_persistent_commit_outlives_its_session_and_wants_its_word(self):
        other = self.open()
        other.edit(pool("a"))
        self.assert_ok(other.commit("<confirmed/><persist>word</persist>"))
        other.close()
        self.assertIsNotNone(self.session.commit("<persist-id>other</persist-id>").tag)
        self.assertEqual(self.session.pools(), ["a"])
        self.assert_ok(self.session.commit("<persist-id>word</persist-id>"))

    def test_persistent_commit_is_cancelled_by_its_word(self):
        self.session.edit(pool("a"))
        self.session.commit("<confirmed/><persist>word</persist>")
        self.assertIsNotNone(self.session.rpc("<cancel-commit/>").tag)
        self.assert_ok(self.session.rpc("<cancel-commit><persist-id>word</persist-id></cancel-commit>"))
        self.assertEqual(self.session.pools(), [])

    def test_cancel_of_nothing_is_refused(self):
        self.assertIsNotNone(self.session.rpc("<cancel-commit/>").tag)


if __name__ == "__main__":
    unittest.main()
