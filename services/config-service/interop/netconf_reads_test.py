"""The conformance table of the NETCONF server: hello, messages, and what reads (RFC 6241, 6022, 6243, 8525, 8526)."""

import importlib
import subprocess
import unittest

client = importlib.import_module("services.config-service.interop.netconf_client")
pool = client.pool


class ReadsTest(client.NetconfTestCase):
    # ---- hello and messages ----

    def test_hello_names_what_is_true_and_nothing_else(self):
        names = [uri.split(":capability:")[1] for uri in self.session.capabilities if ":capability:" in uri]
        self.assertEqual(
            {name.split("?")[0] for name in names},
            {
                "candidate:1.0",
                "confirmed-commit:1.1",
                "validate:1.1",
                "rollback-on-error:1.0",
                "startup:1.0",
                "xpath:1.0",
                "with-defaults:1.0",
                "yang-library:1.1",
                "notification:1.0",
                "interleave:1.0",
            },
        )
        self.assertIn(
            "with-defaults:1.0?basic-mode=explicit&also-supported=report-all,report-all-tagged,trim", names
        )

    def test_base_1_0_framing(self):
        with self.open(version="1.0") as session:
            self.assert_ok(session.rpc("<discard-changes/>"))
            self.assert_ok(session.rpc("<discard-changes/>"))

    def test_base_1_1_message_in_chunks_of_one_octet(self):
        self.session.write(self.session.frame(self.session.rpc_text("<discard-changes/>"), chunk=1))
        self.assert_ok(self.session.receive())

    def test_two_messages_in_one_write(self):
        texts = [self.session.rpc_text("<discard-changes/>") for _ in range(2)]
        self.session.write(b"".join(self.session.frame(text) for text in texts))
        self.assertEqual(self.session.receive().root.get("message-id"), "1")
        self.assertEqual(self.session.receive().root.get("message-id"), "2")

    def test_attributes_of_rpc_are_echoed(self):
        reply = self.session.rpc("<discard-changes/>", 'xmlns:ex="urn:example" ex:user="fred" plain="1"')
        self.assertEqual(reply.root.get("message-id"), "1")
        self.assertEqual(reply.root.get("{urn:example}user"), "fred")
        self.assertEqual(reply.root.get("plain"), "1")

    def test_unknown_operation_is_refused(self):
        self.assertIsNotNone(self.session.rpc('<launch xmlns="urn:example"/>').tag)
        self.assert_ok(self.session.rpc("<discard-changes/>"))

    # ---- get-config ----

    def test_get_config_of_each_datastore(self):
        self.put("a")
        self.session.edit(pool("b"))
        self.assertEqual(self.session.pools("running"), ["a"])
        self.assertEqual(self.session.pools("candidate"), ["a", "b"])
        self.assertEqual(self.session.pools("startup"), [])

    def test_get_config_with_an_unknown_source_is_refused(self):
        self.assertIsNotNone(self.session.get_config("archive").tag)

    def _subtree(self, content):
        return self.session.get_config("running", f'<filter type="subtree">{content}</filter>')

    def test_subtree_filter_that_is_empty_selects_nothing(self):
        self.put("a")
        self.assertEqual(self._subtree("").texts("name"), [])

    def test_subtree_filter_selects_a_container(self):
        self.put("a", "b")
        self.assertEqual(self._subtree(f'<ipam xmlns="{client.IPAM}"/>').texts("name"), ["a", "b"])

    def test_subtree_filter_matches_content(self):
        self.put("a", "b", rest="<priority>7</priority>")
        reply = self._subtree(pool("b"))
        self.assertEqual(reply.texts("name"), ["b"])
        self.assertEqual(reply.texts("priority"), ["7"])

    def test_subtree_filter_with_content_and_selection_leaves_the_rest_out(self):
        self.put("a", rest="<priority>7</priority><auto-assign>false</auto-assign>")
        reply = self._subtree(pool("a", "<priority/>"))
        self.assertEqual(reply.texts("priority"), ["7"])
        self.assertEqual(reply.texts("auto-assign"), [])

    def test_subtree_filter_selects_one_leaf_of_all_entries(self):
        self.put("a", "b", rest="<priority>7</priority>")
        reply = self._subtree(f'<ipam xmlns="{client.IPAM}"><pools><pool><priority/></pool></pools></ipam>')
        self.assertEqual(reply.texts("priority"), ["7", "7"])

    def test_subtree_filter_with_two_subtrees_of_one_list(self):
        self.put("a", "b", "c")
        entries = "<pool><name>a</name></pool><pool><name>c</name></pool>"
        reply = self._subtree(f'<ipam xmlns="{client.IPAM}"><pools>{entries}</pools></ipam>')
        self.assertEqual(reply.texts("name"), ["a", "c"])

    def test_subtree_filter_of_another_namespace_selects_nothing(self):
        self.put("a")
        self.assertEqual(self._subtree('<ipam xmlns="urn:example"/>').texts("name"), [])

    def test_subtree_filter_with_an_attribute_selects_nothing(self):
        self.put("a")
        reply = self._subtree(f'<ipam xmlns="{client.IPAM}" xmlns:nc="{client.BASE}" nc:operation="merge"/>')
        self.assertEqual(reply.texts("name"), [])

    def _xpath(self, select):
        return self.session.get_config("running", f'<filter type="xpath" xmlns:i="{client.IPAM}" select="{select}"/>')

    def test_xpath_filter_takes_its_prefixes_from_the_request(self):
        self.put("a", "b", rest="<priority>7</priority>")
        reply = self._xpath("/i:ipam/i:pools/i:pool[i:name='b']/i:priority")
        self.assertEqual(reply.texts("name"), ["b"])
        self.assertEqual(reply.texts("priority"), ["7"])

    def test_xpath_filter_that_selects_nothing(self):
        self.put("a")
        self.assertEqual(self._xpath("/i:ipam/i:pools/i:pool[i:name='z']").texts("name"), [])

    def test_xpath_filter_with_an_undeclared_prefix_is_refused(self):
        self.assertIsNotNone(self._xpath("/none:ipam").tag)

    def test_xpath_filter_that_is_no_expression_is_refused(self):
        self.assertIsNotNone(self._xpath("/i:ipam[").tag)

    # ---- with-defaults ----

    def _with_defaults(self, mode):
        self.put("a", rest="<priority>100</priority><disabled>false</disabled>")
        return self.session.get_config(
            "running",
            f'<filter type="subtree">{pool("a")}</filter><with-defaults xmlns="{client.DEFAULTS}">{mode}</with-defaults>',
        )

    def test_with_defaults_report_all(self):
        self.assertEqual(self._with_defaults("report-all").texts("auto-assign"), ["true"])

    def test_with_defaults_explicit(self):
        reply = self._with_defaults("explicit")
        self.assertEqual(reply.texts("auto-assign"), [])
        self.assertEqual(reply.texts("disabled"), ["false"])

    def test_with_defaults_trim(self):
        reply = self._with_defaults("trim")
        self.assertEqual(reply.texts("auto-assign"), [])
        self.assertEqual(reply.texts("disabled"), [])

    def test_with_defaults_report_all_tagged_has_the_namespace_of_rfc_6243(self):
        reply = self._with_defaults("report-all-tagged")
        leaf = reply.root.find(f".//{{{client.IPAM}}}auto-assign")
        self.assertEqual(leaf.get("{urn:ietf:params:xml:ns:netconf:default:1.0}default"), "true")
        self.assertEqual(leaf.text, "true")

    # ---- get ----

    def test_get_has_configuration_and_state(self):
        self.put("a")
        reply = self.session.rpc("<get/>")
        self.assertIn("a", reply.texts("name"))
        self.assertTrue(reply.texts("netconf-start-time"))

    def _state(self, content):
        return self.session.rpc(
            f'<get><filter type="subtree"><netconf-state xmlns="{client.MONITORING}">{content}</netconf-state></filter></get>'
        )

    def test_monitoring_names_the_capabilities_of_hello(self):
        self.assertEqual(self._state("<capabilities/>").texts("capability"), self.session.capabilities)

    def test_monitoring_shows_locks(self):
        self.session.rpc("<lock><target><candidate/></target></lock>")
        reply = self._state("<datastores/>")
        self.assertEqual(reply.texts("name"), ["running", "candidate", "startup"])
        self.assertEqual(reply.texts("locked-by-session"), [str(self.session.id)])

    def test_monitoring_counts(self):
        self.session.rpc("<unlock><target><candidate/></target></unlock>")
        reply = self._state("<statistics/>")
        self.assertEqual(reply.texts("out-rpc-errors"), ["1"])
        self.assertEqual(reply.texts("in-rpcs"), ["2"])

    def test_every_schema_of_the_list_can_be_had_and_compiles(self):
        """Also: the library's own get-schema reads freed memory; ours answers each one."""
        schemas = self._state("<schemas/>").root.findall(f".//{{{client.MONITORING}}}schema")
        self.assertGreater(len(schemas), 20)
        for schema in schemas:
            name = schema.findtext(f"{{{client.MONITORING}}}identifier")
            version = schema.findtext(f"{{{client.MONITORING}}}version")
            reply = self.session.rpc(
                f'<get-schema xmlns="{client.MONITORING}"><identifier>{name}</identifier>'
                f"<version>{version}</version><format>yang</format></get-schema>"
            )
            text = reply.root.findtext(f"{{{client.MONITORING}}}data")
            self.assertIsNotNone(text, reply.text)
            self.assertRegex(text, rf"(^|\n)\s*module {name} ")
            path = f"{self.service.directory}/{name}@{version}.yang"
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        for own in ("portolan-ipam@2026-11-27", "portolan-service@2026-11-27"):
            subprocess.run(["yanglint", "-p", self.service.directory, f"{self.service.directory}/{own}.yang"], check=True)

    def test_get_schema_of_nothing_is_refused(self):
        reply = self.session.rpc(f'<get-schema xmlns="{client.MONITORING}"><identifier>none</identifier></get-schema>')
        self.assert_refused(reply, "invalid-value")

    def test_get_schema_as_yin_is_refused(self):
        reply = self.session.rpc(
            f'<get-schema xmlns="{client.MONITORING}"><identifier>portolan-ipam</identifier><format>yin</format></get-schema>'
        )
        self.assert_refused(reply, "invalid-value")

    def test_yang_library_agrees_with_hello(self):
        reply = self.session.rpc(
            f'<get><filter type="subtree"><yang-library xmlns="{client.LIBRARY}"/></filter></get>'
        )
        content_id = reply.texts("content-id")[0]
        self.assertTrue(any(uri.endswith(f"&content-id={content_id}") for uri in self.session.capabilities))
        self.assertIn("portolan-ipam", reply.texts("name"))

    # ---- get-data, edit-data ----

    def _get_data(self, datastore, rest=""):
        return self.session.rpc(
            f'<get-data xmlns="{client.NMDA}" xmlns:ds="{client.DATASTORES}"><datastore>ds:{datastore}</datastore>{rest}</get-data>'
        )

    def test_get_data_of_each_datastore(self):
        self.put("a")
        for datastore in ("running", "candidate", "intended", "operational"):
            self.assertIn("a", self._get_data(datastore).texts("name"), datastore)
        self.assertNotIn("a", self._get_data("startup").texts("name"))

    def test_get_data_of_operational_has_defaults_in_use_and_state(self):
        self.put("a")
        reply = self._get_data("operational")
        self.assertIn("true", reply.texts("auto-assign"))
        self.assertTrue(reply.texts("netconf-start-time"))

    def test_get_data_config_filter(self):
        self.put("a")
        reply = self._get_data("operational", "<config-filter>false</config-filter>")
        self.assertEqual(reply.texts("auto-assign"), [])
        self.assertTrue(reply.texts("netconf-start-time"))
        reply = self._get_data("operational", "<config-filter>true</config-filter>")
        self.assertIn("a", reply.texts("name"))
        self.assertEqual(reply.texts("netconf-start-time"), [])

    def test_get_data_max_depth(self):
        self.put("a", rest="<priority>7</priority>")
        subtree = f'<subtree-filter><ipam xmlns="{client.IPAM}"/></subtree-filter>'
        self.assertEqual(self._get_data("running", subtree + "<max-depth>2</max-depth>").texts("name"), [])
        self.assertEqual(self._get_data("running", subtree + "<max-depth>4</max-depth>").texts("priority"), ["7"])

    def test_get_data_filters(self):
        self.put("a", "b")
        self.assertEqual(self._get_data("running", f"<subtree-filter>{pool('b')}</subtree-filter>").texts("name"), ["b"])
        xpath = f"<xpath-filter xmlns:i=\"{client.IPAM}\">/i:ipam/i:pools/i:pool[i:name='a']</xpath-filter>"
        self.assertEqual(self._get_data("running", xpath).texts("name"), ["a"])

    def test_edit_data(self):
        reply = self.session.rpc(
            f'<edit-data xmlns="{client.NMDA}" xmlns:ds="{client.DATASTORES}"><datastore>ds:candidate</datastore>'
            f"<config>{pool('a')}</config></edit-data>"
        )
        self.assert_ok(reply)
        self.assertEqual(self.session.pools("candidate"), ["a"])

    def test_edit_data_of_running_is_refused(self):
        reply = self.session.rpc(
            f'<edit-data xmlns="{client.NMDA}" xmlns:ds="{client.DATASTORES}"><datastore>ds:running</datastore>'
            f"<config>{pool('a')}</config></edit-data>"
        )
        self.assertIsNotNone(reply.tag)


if __name__ == "__main__":
    unittest.main()
