"""The reference names every node that yanglint's tree has."""

import re
import unittest

_NODE = re.compile(r"^(?P<indent>[ |]*)\+--(?:[^\s:]+ +)?(?P<name>[^\s?*!]+)")


def _plain(path):
    """The path with a module at its first step only."""
    first, *rest = path[1:].split("/")
    return "/".join(["", first] + [step.split(":")[-1] for step in rest])


def _paths_of_tree(text):
    """Data paths of a tree as of RFC 8340, without choices and cases."""
    tops = dict(re.findall(r"^module: (\S+)\n  \+--\S+ (\S+)", text, re.MULTILINE))
    module_of = {name: module for module, name in tops.items()}
    paths, above, base, own = set(), [], "", ""
    for line in text.splitlines():
        module = re.match(r"module: (\S+)", line)
        augment = re.match(r"  augment (/\S+):$", line)
        if module:
            base = own = f"/{module.group(1)}:"
            above = []
            continue
        if augment:
            steps = [step.split(":")[-1] for step in augment.group(1)[1:].split("/")]
            base, above = f"/{module_of[steps[0]]}:" + "/".join(steps) + "/", []
            continue
        if line in ("  rpcs:", "  notifications:"):
            base, above = own, []
            continue
        # "---u": the nodes of a grouping, which the tree does not unfold.
        if not line or "+---u " in line:
            continue
        node = _NODE.match(line)
        assert node, line
        depth = len(node.group("indent")) // 3
        name = node.group("name")
        # "(choice)" and ":(case)" are no data, nor are "input" and "output" of an operation.
        step = "" if name.startswith(("(", ":(")) or name in ("input", "output") else f"/{name}"
        above = [part for part in above if part[0] < depth] + [(depth, step)]
        path = "".join(part for _, part in above)
        if step:
            paths.add(_plain(base + path[1:]))
    return paths


def _paths_of_reference(text):
    paths, section = set(), ""
    for line in text.splitlines():
        if line.startswith("### "):
            section = line[4:]
            paths.add(_plain(section))
        elif line.startswith("| `"):
            paths.add(_plain(f"{section}/{line.split('`')[1]}"))
    return paths


class ReferenceTest(unittest.TestCase):
    def setUp(self):
        with open("tools/yang_reference/reference.md", encoding="utf-8") as file:
            self.reference = file.read()

    def test_every_node_is_named(self):
        with open("api/yang/portolan.tree", encoding="utf-8") as file:
            expected = _paths_of_tree(file.read())
        self.assertGreater(len(expected), 200)
        named = _paths_of_reference(self.reference)
        self.assertEqual(expected - named, set())
        for path in named - expected:
            self.assertIn(path.rpartition("/")[0], expected, path)

    def test_every_row_says_what_it_means(self):
        for line in self.reference.splitlines():
            if line.startswith("| `"):
                cells = re.split(r"(?<!\\)\|", line)
                self.assertEqual(len(cells), 6, line)
                self.assertTrue(cells[2].strip() and cells[4].strip(), line)

    def test_types_defaults_units_rules_and_access_are_there(self):
        for text in (
            "| `max-flows` | integer 1024..16777216 flows | `262144` |",
            "`xdp`: XDP, before the kernel has a packet buffer.",
            "Denied to all whom no rule of access permits it.",
            "Rule: the local-address is of the family of the peer's address.",
            "value of `/plipam:ipam/plipam:pools/plipam:pool/plipam:name`",
            "### /portolan-bgp:bgp/drain\n\nAction. Takes the routes of this node away",
            "Input:\n\n| leaf | type | default | meaning |\n|---|---|---|---|\n| `hold-time` |",
            "### /portolan-ipam:plan\n\nOperation. ",
        ):
            self.assertIn(text, self.reference)


if __name__ == "__main__":
    unittest.main()
