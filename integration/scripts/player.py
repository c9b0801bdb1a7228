"""Plays a script against a World.

    apply SECTION            commits the section (merge); it must be accepted
    replace SECTION          commits the section as the whole configuration
    delete PATH [FLAGS]      commits a removal
    kept PATH WANT           the removal must be refused; every line of WANT must be in what is said
    plan WANT ARGUMENTS      `portolan plan` says every line of WANT; arguments that name a section are its file
    warned VERB WHAT WANT    `config apply SECTION` or `config delete PATH` is accepted, and every line of WANT is in what is said
    refused SECTION WANT     the commit must be refused; every line of WANT must be in what is said
    want TABLE WANT          `portolan get TABLE` becomes exactly WANT (column widths and ages aside)
    explain SERVICE WANT     `portolan explain service` comes to say every line of WANT
    maps WANT                the kernel's frontends become exactly WANT: ADDRESS PROTOCOL PORT BACKENDS (root)
    curl URL WANT            the laboratory's client gets an answer that is one of the lines of WANT (root)
    crash                    kill -9 of every process, and a new start

Edits take over what config.json wrote: scripts are about other things than owners.
"""

import difflib
import json
import socket

from integration.scripts.world import plain_table
from integration.topology import CommandFailed, wait_until
from integration.topology.process import run

_PATIENCE_S = 15.0
_TAKE_OVER = "--take-over"


class ScriptFailed(AssertionError):
    """Names the script, the line and what was seen instead."""


class Player:
    def __init__(self, script, world, client=None):
        """`client` is the laboratory's host for curl; None without a laboratory."""
        self._script = script
        self._world = world
        self._client = client

    def play(self):
        for number, words in self._script.commands:
            command = getattr(self, f"_do_{words[0]}", None)
            if command is None:
                raise ScriptFailed(f"{self._script.name}:{number}: unknown command {words[0]}")
            try:
                command(*words[1:])
            except (ScriptFailed, TimeoutError, ValueError, TypeError, RuntimeError, CommandFailed) as error:
                raise ScriptFailed(
                    f"{self._script.name}:{number}: {' '.join(words)}: {error}\n{self._world.logs()}"
                ) from error

    def _do_apply(self, section, *flags):
        path = self._world.write(section, self._script.section(section))
        return self._accepted("apply", path, *flags)

    def _do_replace(self, section):
        self._do_apply(section, "--replace")

    def _do_delete(self, path, *flags):
        return self._accepted("delete", path, *flags)

    def _do_warned(self, verb, what, want):
        said = self._do_apply(what) if verb == "apply" else self._do_delete(what)
        self._all_lines_in(self._script.section(want), said)

    def _do_kept(self, path, want):
        self._refused_with(want, "delete", path)

    def _do_plan(self, want, *arguments):
        sections = self._script.sections
        files = [self._world.write(word, sections[word]) if word in sections else word for word in arguments]
        code, said = self._world.portolan("plan", *files)
        if code not in (0, 3):
            raise ScriptFailed(f"exit code {code}: {said}")
        self._all_lines_in(self._script.section(want), plain_table(said))

    def _do_refused(self, section, want):
        self._refused_with(want, "apply", self._world.write(section, self._script.section(section)))

    def _do_want(self, table, want):
        wanted = plain_table(self._script.section(want))
        self._until_equal(wanted, lambda: plain_table(self._world.portolan("get", *table.split())[1]))

    def _do_explain(self, service, want):
        lines = self._script.section(want)
        seen = ""

        def told():
            nonlocal seen
            seen = self._world.portolan("explain", "service", service)[1]
            return all(line.strip() in seen for line in lines.splitlines())

        try:
            wait_until(told, _PATIENCE_S, what="explain")
        except TimeoutError:
            self._all_lines_in(lines, seen)

    def _do_maps(self, want):
        self._until_equal(self._script.section(want), self._frontends)

    def _do_curl(self, url, want):
        allowed = self._script.section(want).splitlines()
        answer = self._client.run(["curl", "-s", "--max-time", "5", url], timeout=10).stdout.strip()
        if answer not in allowed:
            raise ScriptFailed(f"answered '{answer}', not one of {allowed}")

    def _do_crash(self):
        self._world.kill()
        self._world.start()

    # -- helpers of the above

    def _accepted(self, *edit):
        code, said = self._world.portolan("config", *edit, _TAKE_OVER)
        if code != 0:
            raise ScriptFailed(f"refused: {said}")
        return said

    def _refused_with(self, want, *edit):
        code, said = self._world.portolan("config", *edit, _TAKE_OVER)
        if code != 1:
            raise ScriptFailed(f"exit code {code} instead of 1: {said}")
        self._all_lines_in(self._script.section(want), said)

    @staticmethod
    def _all_lines_in(lines, said):
        for line in lines.splitlines():
            if line.strip() not in said:
                raise ScriptFailed(f"'{line.strip()}' is missing in:\n{said}")

    @staticmethod
    def _until_equal(wanted, ask):
        seen = ""

        def equal():
            nonlocal seen
            seen = ask()
            return seen == wanted

        try:
            wait_until(equal, _PATIENCE_S, what="the wanted text")
        except TimeoutError as error:
            difference = "\n".join(
                difflib.unified_diff(wanted.splitlines(), seen.splitlines(), "wanted", "seen", lineterm="")
            )
            raise ScriptFailed(f"not within {_PATIENCE_S:g} s:\n{difference}") from error

    def _frontends(self):
        """What the kernel holds, read by bpftool from the pinned map."""
        argv = ["/usr/sbin/bpftool", "--json", "map", "dump", "pinned", f"{self._world.pin_dir}/maps/frontends"]
        done = run(argv, "map dump", timeout=10, check=True)
        lines = []
        for entry in json.loads(done.stdout):
            key, value = entry["formatted"]["key"], entry["formatted"]["value"]
            words = b"".join(int(word).to_bytes(4, "little") for word in key["address"])
            address = (
                socket.inet_ntop(socket.AF_INET, words[:4])
                if key["family"] == 4
                else socket.inet_ntop(socket.AF_INET6, words)
            )
            protocol = {6: "tcp", 17: "udp"}[key["protocol"]]
            lines.append(f"{address} {protocol} {socket.ntohs(key['port'])} {value['backends']}")
        return "\n".join(sorted(lines))
