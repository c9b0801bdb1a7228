"""The reference names every node that yanglint's tree has, and no other."""

import re
import unittest

_NODE = re.compile(r"^(?P<indent>[ |]*)\+--(?:[^\s:]+ +)?(?P<name>[^\s?*!]+)")


def _paths_of_tree(text):
    """Data paths of a tree as of RFC 8340, without choices and cases."""
    paths, above = set(), []
    for line in text.splitlines():
        module = re.match(r"module: (\S+)", line)
        if module:
            prefix, above = module.group(1), []
            continue
        node = _NODE.match(line)
        assert node, line
        depth = len(node.group("indent")) // 3
        name = node.group("name")
        # "(choice)" and ":(case)" are no data.
        step = "" if name.startswith(("(", ":(")) else f"/{name}"
        above = [part for part in above if part[0] < depth] + [(depth, step)]
        path = "".join(part for _, part in above)
        if step:
            paths.add(f"/{prefix}:{path[1:]}")
    return paths


def _paths_of_reference(text):
    paths, section = set(), ""
    for line in text.splitlines():
        if line.startswith("### "):
            section = line[4:]
            paths.add(section)
        elif line.startswith("| `"):
            paths.add(f"{section}/{line.split('`')[1]}")
    return paths


class ReferenceTest(unittest.TestCase):
    def setUp(self):
        with open("tools/yang_reference/reference.md", encoding="utf-8") as file:
            self.reference = file.read()

    def test_every_node_is_named(self):
        with open("api/yang/portolan.tree", encoding="utf-8") as file:
            expected = _paths_of_tree(file.read())
        self.assertGreater(len(expected), 200)
        self.assertEqual(_paths_of_reference(self.reference), expected)

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
        ):
            self.assertIn(text, self.reference)


if __name__ == "__main__":
    unittest.main()
