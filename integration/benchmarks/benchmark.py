"""What a benchmark is: commands for our side and for each rival, and what is made of what they print.

A command prints JSON lines on its standard output, one a figure: {"figure": "dnat_hot_ns", "value": 41.2, "unit": "ns"}.
A command that measures the rival itself, in the same process, adds "rival" and "rival_value". Other lines are ignored.
"""

import dataclasses
import json
import statistics


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """One module of this directory sets BENCHMARK to one of these; its name is the module's.

    what     one line for `tools/dev/bench list`
    ours     the command of our side
    rivals   {name: command}; the figures of a rival stand beside ours of the same name
    asked    {figure: what it may be at most}; the median is held against it
    build    Bazel targets, built with --config=opt; "{//label}" in a command becomes the path of what was built
    root     whether it needs root

    In commands "{python}" is the interpreter; the working directory is the repository.
    """

    what: str
    ours: tuple
    rivals: dict = dataclasses.field(default_factory=dict)
    asked: dict = dataclasses.field(default_factory=dict)
    build: tuple = ()
    root: bool = False


@dataclasses.dataclass
class Row:
    """One figure against one rival (None: against none), with all values that were measured."""

    figure: str
    unit: str
    rival: str
    values: list
    rival_values: list
    asked: float = None

    @property
    def value(self):
        return statistics.median(self.values)

    @property
    def rival_value(self):
        return statistics.median(self.rival_values) if self.rival_values else None

    @property
    def ratio(self):
        """Ours divided by the rival's."""
        return self.value / self.rival_value if self.rival_values and self.rival_value else None

    @property
    def verdict(self):
        """What was asked, and whether the median keeps to it; "-" when nothing was asked."""
        if self.asked is None:
            return "-"
        return f"at most {self.asked:g}: {'met' if self.value <= self.asked else 'MISSED'}"

    def as_json(self):
        asked = {} if self.asked is None else {"asked": self.asked}
        return {
            "figure": self.figure,
            "value": self.value,
            "unit": self.unit,
            "rival": self.rival,
            "rival_value": self.rival_value,
            "ratio": None if self.ratio is None else round(self.ratio, 4),
            "runs": len(self.values),
            **asked,
        }


def figures_of(text):
    """The figures in the output of a command: a list of dicts with figure, value, unit and perhaps rival's."""
    figures = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and {"figure", "value", "unit"} <= entry.keys():
            figures.append(entry)
    return figures


class Results:
    """Collects runs and pairs our figures with the rivals'."""

    def __init__(self):
        self._rows = {}
        self._units = {}
        self._ours = {}
        self._theirs = {}

    def add_ours(self, figures):
        for entry in figures:
            figure = entry["figure"]
            self._units.setdefault(figure, entry["unit"])
            self._ours.setdefault(figure, []).append(float(entry["value"]))
            if "rival_value" in entry:
                self.add_rival(entry.get("rival", "rival"), [{**entry, "value": entry["rival_value"]}])

    def add_rival(self, name, figures):
        for entry in figures:
            self._theirs.setdefault((entry["figure"], name), []).append(float(entry["value"]))

    def rows(self, asked=None):
        """Rows in the order in which our figures appeared. Figures that only a rival has are left out.

        `asked` is as in Benchmark. A figure of it that nobody printed is an error: KeyError with its name.
        """
        asked = asked or {}
        for figure in asked:
            if figure not in self._ours:
                raise KeyError(figure)
        rows = []
        for figure, values in self._ours.items():
            rivals = [(name, found) for (other, name), found in self._theirs.items() if other == figure]
            for name, found in rivals or [(None, [])]:
                rows.append(Row(figure, self._units[figure], name, values, found, asked.get(figure)))
        return rows


def _number(value):
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _with_spread(values):
    return f"{_number(statistics.median(values))} ({_number(min(values))}-{_number(max(values))})"


def table(rows):
    """The rows for people: median (least-most) of ours and of the rival, ours / rival, and what was asked if anything."""
    header = ("figure", "unit", "ours", "rival", "rival's", "ours/rival", "runs")
    any_asked = any(row.asked is not None for row in rows)
    lines = [(*header, "asked")] if any_asked else [header]
    for row in rows:
        theirs = _with_spread(row.rival_values) if row.rival_values else "-"
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        ours = _with_spread(row.values)
        line = (row.figure, row.unit, ours, row.rival or "-", theirs, ratio, str(len(row.values)))
        lines.append((*line, row.verdict) if any_asked else line)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)
