"""The story of ./quickstart, played on the binary that is built: what people are told to run first must not break unseen."""

import io
import os
import unittest

from integration.quickstart.laboratory import Laboratory
from integration.quickstart.narrator import Narrator, StepFailed
from integration.quickstart.story import Story

_PORTOLAN = os.path.abspath("tools/portolan/portolan")
_PINS = "/sys/fs/bpf/portolan"


class QuickstartTest(unittest.TestCase):
    @unittest.skipIf(os.geteuid() != 0, "namespaces and BPF need root")
    def test_the_story_comes_to_its_end_and_leaves_nothing_behind(self):
        nodes = (f"a{os.getpid()}", f"b{os.getpid()}")
        with Laboratory(_PORTOLAN, nodes=nodes) as lab:
            # Others may be at work on this machine: how soon is not the point here.
            Story(lab, Narrator(), prompt_s=20.0).play()
            directory = lab.topology.run_dir
            self.assertTrue(os.path.exists(os.path.join(_PINS, nodes[0])))
        self.assertFalse(os.path.exists(directory))
        for node in nodes:
            self.assertFalse(os.path.exists(os.path.join(_PINS, node)))


class NarratorTest(unittest.TestCase):
    """A story that is not true must fail."""

    def setUp(self):
        self.narrator = Narrator(io.StringIO())

    def test_what_is_not_so_fails(self):
        with self.assertRaisesRegex(StepFailed, "the moon is a cheese: not so"):
            self.narrator.expect(False, "the moon is a cheese")

    def test_what_does_not_come_fails(self):
        with self.assertRaisesRegex(StepFailed, "Godot: not within 0 s"):
            self.narrator.until(lambda: None, "Godot", timeout=0)

    def test_a_command_that_ends_otherwise_than_told_fails_with_what_it_said(self):
        with self.assertRaisesRegex(StepFailed, "exit code 3: no"):
            self.narrator.command(["sh", "-c", "echo no; exit 3"], "portolan plan")
        self.narrator.command(["sh", "-c", "exit 3"], "portolan plan", expect=(3,))


if __name__ == "__main__":
    unittest.main()
