"""A script: commands, then the files that they name, in one text (the format of Go's txtar).

    # Sentences that say what the script shows.
    # needs: root                      (optional: it runs in a laboratory with BPF)
    apply pool.json
    want services assigned
    -- pool.json --
    {...}
    -- assigned --
    SERVICE   ADDRESSES ...

The section `config.json` is what Portolan starts with. Commands are listed in player.py.
"""

import re
import shlex

_SECTION = re.compile(r"^-- (\S+) --$")


class Script:
    """Parsed; ValueError names the line of what is not understood."""

    def __init__(self, name, text):
        self.name = name
        self.commands = []  # (line number, [word, ...])
        self.sections = {}
        self.needs_root = False
        current = None
        for number, line in enumerate(text.splitlines(), start=1):
            found = _SECTION.match(line)
            if found:
                current = found.group(1)
                if current in self.sections:
                    raise ValueError(f"{name}:{number}: section {current} stands twice")
                self.sections[current] = []
            elif current is not None:
                self.sections[current].append(line)
            elif line.startswith("# needs: "):
                self._need(line[len("# needs: ") :].strip(), number)
            elif line.strip() and not line.startswith("#"):
                self.commands.append((number, shlex.split(line)))
        self.sections = {key: "\n".join(lines).strip("\n") for key, lines in self.sections.items()}

    def _need(self, what, number):
        if what != "root":
            raise ValueError(f"{self.name}:{number}: unknown need {what}; only root is known")
        self.needs_root = True

    def section(self, name):
        if name not in self.sections:
            raise ValueError(f"{self.name}: no section {name}")
        return self.sections[name]
