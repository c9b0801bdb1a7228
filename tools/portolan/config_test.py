"""`portolan config` against a config-service of its own, without privilege: what people see."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest

_PORTOLAN = os.path.abspath("tools/portolan/portolan")
_CONFIG_SERVICE = os.path.abspath("services/config-service/config-service")
_PRIORITY = "/portolan-ipam:ipam/pools/pool[name='a']/priority"


def _pool(name, priority):
    return {"portolan-ipam:ipam": {"pools": {"pool": [{"name": name, "priority": priority}]}}}


class ConfigTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="portolan-", dir="/tmp")  # a socket path is at most 107 bytes
        self.addCleanup(shutil.rmtree, self.directory)
        self.service = subprocess.Popen(
            [_CONFIG_SERVICE, "--run-dir", self.directory, "--state-dir", self.directory, "--node", "n"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(self._stop)
        self._until(lambda: self.run_cli("show")[0] == 0)

    def _stop(self):
        self.service.terminate()
        self.service.wait(timeout=20)

    def _until(self, wish):
        deadline = time.monotonic() + 20
        while not wish():
            self.assertLess(time.monotonic(), deadline, "waited in vain")
            time.sleep(0.05)

    def run_cli(self, *words, said="", editor="false"):
        environment = {**os.environ, "VISUAL": editor, "TMPDIR": self.directory}
        done = subprocess.run(
            [_PORTOLAN, "--socket", self.directory, "config", *words],
            input=said,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment,
        )
        said = (done.stdout + done.stderr).splitlines(keepends=True)
        # There is none here.
        alone = [line for line in said if not line.startswith("warning: ipam-service could not be asked")]
        return done.returncode, "".join(alone)

    def apply(self, data, *flags):
        return self.run_cli("apply", "-", *flags, said=json.dumps(data))

    def priority(self):
        data = json.loads(self.run_cli("show")[1])
        pools = data.get("portolan-ipam:ipam", {}).get("pools", {}).get("pool", [])
        return {pool["name"]: pool["priority"] for pool in pools}

    def test_history_lists_commits_with_their_comment_and_shows_one(self):
        self.apply(_pool("a", 1), "--comment", "first floor")
        self.apply(_pool("a", 2))
        code, said = self.run_cli("history", "-o", "json")
        self.assertEqual(code, 0)
        rows = json.loads(said)
        self.assertEqual([row["revision"] for row in rows], ["2", "1"])
        self.assertEqual(rows[1]["comment"], "first floor")
        self.assertEqual(rows[0]["verified"], "no")
        self.assertNotEqual(rows[0]["user"], "")
        self.assertIn(f"~ {_PRIORITY}: 1 -> 2", self.run_cli("history", "2")[1])
        self.assertEqual(self.run_cli("history", "7")[0], 4)

    def watch(self, *words):
        """A `config watch` that has said what runs."""
        watch = subprocess.Popen(
            [_PORTOLAN, "--socket", self.directory, "config", "watch", *words],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.wait, timeout=20)
        self.addCleanup(watch.kill)
        return watch, watch.stdout.readline()

    def test_watch_prints_commits_as_they_are_made(self):
        self.apply(_pool("a", 1))
        watch, first = self.watch("--count", "1")
        self.assertEqual(first, "revision 1 runs\n")
        self.apply(_pool("a", 2), "--comment", "second floor")
        said = watch.stdout.read()
        self.assertEqual(watch.wait(timeout=20), 0)
        self.assertRegex(said, r"^revision 2, .*, merge by .*: second floor\n")
        self.assertIn(f"~ {_PRIORITY}: 1 -> 2\n", said)

    def test_watch_of_a_path_as_json(self):
        self.apply(_pool("a", 1))
        watch, first = self.watch("/portolan-ipam:ipam/pools/pool[name='b']", "--count", "1", "-o", "json")
        self.assertEqual(json.loads(first), {"revision": 1, "data": {}})
        self.apply(_pool("a", 2))
        self.apply(_pool("b", 3))
        told = json.loads(watch.stdout.read())
        self.assertEqual((told["revision"], told["from-revision"]), (3, 1))
        self.assertEqual({difference["kind"] for difference in told["differences"]}, {"added"})
        watch, _ = self.watch("/a:b[")
        self.assertNotEqual(watch.wait(timeout=20), 0)

    def test_diff_shows_what_apply_would_change_and_changes_nothing(self):
        self.apply(_pool("a", 1))
        code, said = self.run_cli("diff", "-", said=json.dumps(_pool("a", 2)))
        self.assertEqual((code, said), (0, f"~ {_PRIORITY}: 1 -> 2\n"))
        self.assertEqual(self.run_cli("diff", "-", said=json.dumps(_pool("a", 1))), (0, "no difference\n"))
        self.assertEqual(self.run_cli("diff", "-", said='{"a:b": 1}')[0], 1)
        self.assertEqual(self.priority(), {"a": 1})

    def test_owners_lists_who_wrote_what(self):
        self.apply(_pool("a", 1))
        code, said = self.run_cli("owners", "-o", "json")
        self.assertEqual(code, 0)
        self.assertEqual(
            json.loads(said), [{"owner": "operator", "entry": "/portolan-ipam:ipam/pools/pool[name='a']"}]
        )

    def test_settings_of_a_plugin_are_checked_by_the_module_that_it_brings(self):
        entry = {"extension-point": "address-picker", "name": "longest-unused"}
        for cool_down, wanted in ((300, 0), (31536001, 1)):
            settings = {"portolan-picker-longest-unused:longest-unused": {"cool-down": cool_down}}
            code, said = self.apply({"portolan-system:system": {"plugins": {"plugin": [entry | settings]}}})
            self.assertEqual(code, wanted, said)
        self.assertIn("/portolan-picker-longest-unused:longest-unused/cool-down: the cool-down is 0 to", said)

    def test_rollback_brings_back_what_was(self):
        self.apply(_pool("a", 1))
        self.apply(_pool("a", 2))
        code, said = self.run_cli("rollback", "1", "--dry-run")
        self.assertEqual((code, said), (0, "valid; nothing changed\n"))
        self.assertEqual(self.priority(), {"a": 2})
        self.assertEqual(self.run_cli("rollback", "1"), (0, "committed as revision 3\n"))
        self.assertEqual(self.priority(), {"a": 1})
        code, said = self.run_cli("rollback", "9")
        self.assertEqual(code, 1)
        self.assertIn("revision 9 is not kept [no-such-revision]", said)

    def test_commit_on_trial_is_confirmed_or_taken_back(self):
        self.apply(_pool("a", 1))
        code, said = self.apply(_pool("a", 2), "--confirm-within", "600")
        self.assertEqual(code, 0)
        self.assertIn("taken back in 600 s unless confirmed", said)
        self.assertIn("revision 2 waits for its confirmation", self.run_cli("history")[1])
        self.assertIn("[confirm-pending]", self.apply(_pool("b", 1))[1])
        self.assertEqual(self.run_cli("cancel"), (0, "taken back as revision 3\n"))
        self.assertEqual(self.priority(), {"a": 1})
        self.apply(_pool("a", 2), "--confirm-within", "600", "--persist-id", "word")
        self.assertEqual(self.run_cli("confirm")[0], 1)
        self.assertEqual(self.run_cli("confirm", "--persist-id", "word"), (0, "confirmed as revision 5\n"))
        self.assertEqual(self.priority(), {"a": 2})

    def test_commit_on_trial_goes_back_by_itself(self):
        self.apply(_pool("a", 1))
        self.apply(_pool("a", 2), "--confirm-within", "1")
        self._until(lambda: self.priority() == {"a": 1})

    def test_edit_shows_the_difference_and_applies_it_when_told_so(self):
        self.apply(_pool("a", 1))
        editor = "sed -i 's/\"priority\": 1/\"priority\": 5/'"
        code, said = self.run_cli("edit", said="n\n", editor=editor)
        self.assertEqual(code, 3)
        self.assertIn("the text is kept in ", said)
        self.assertEqual(self.priority(), {"a": 1})
        code, said = self.run_cli("edit", said="y\n", editor=editor)
        self.assertEqual(code, 0, said)
        self.assertIn(f"~ {_PRIORITY}: 1 -> 5", said)
        self.assertIn("committed as revision 2", said)
        self.assertEqual(self.priority(), {"a": 5})
        self.assertEqual(self.run_cli("edit", editor="true"), (0, "no difference\n"))

    def test_passwords_are_shown_when_asked_for_and_survive_an_edit(self):
        peer = {"name": "p", "address": "10.0.0.1", "remote-as": 2, "password": "a-secret", "hold-time": 30}
        instance = {"name": "i", "local-as": 1, "peers": {"peer": [peer]}}
        self.apply({"portolan-bgp:bgp": {"instances": {"instance": [instance]}}})
        self.assertNotIn("a-secret", self.run_cli("show")[1])
        self.assertIn("a-secret", self.run_cli("show", "--secrets")[1])
        self.assertIn("/password: ***", self.run_cli("history", "1")[1])
        code, said = self.run_cli("edit", said="y\n", editor="sed -i 's/\"hold-time\": 30/\"hold-time\": 60/'")
        self.assertEqual(code, 0, said)
        self.assertIn('"hold-time": 60', self.run_cli("show")[1])
        self.assertIn("a-secret", self.run_cli("show", "--secrets")[1])

    def test_edit_keeps_the_text_when_it_is_refused_or_the_editor_fails(self):
        self.apply(_pool("a", 1))
        code, said = self.run_cli("edit", said="y\n", editor="sed -i 's/priority/colour/'")
        self.assertEqual(code, 1)
        self.assertIn("[unknown-node]", said)
        self.assertIn("the text is kept in ", said)
        self.assertEqual(self.run_cli("edit", editor="false")[0], 1)
        self.assertEqual(self.priority(), {"a": 1})


if __name__ == "__main__":
    unittest.main()
