"""Portolan as a script finds it: in one process, or each service a process of its own.

Both ways serve the same streams, so one script must play the same in both.
"""

import os
import re
import shutil
import subprocess

from integration.topology import CommandFailed, Process, wait_until

SERVICES = ("config-service", "ipam-service", "datapath-loader", "l2-announcer", "bgp-exporter")
_UNPRIVILEGED = ("config-service", "ipam-service", "bgp-exporter")


class World:
    """Processes, their directories and the command line to ask them. Closed by `close`.

    `host` is a topology Host to run them in, or None: then only what needs no privilege runs. `binaries` maps the
    names of SERVICES and "portolan" to paths.
    """

    def __init__(self, directory, binaries, way, config, host=None):
        if way not in ("standalone", "services"):
            raise ValueError(f"unknown way {way}")
        self.directory = directory
        self.binaries = {name: os.path.abspath(path) for name, path in binaries.items()}
        self.way = way
        self.host = host
        self.node = f"node{os.getpid()}"
        self.processes = []
        self.run_dir = os.path.join(directory, "run")
        self.config = self.write("config.json", config.replace("@NODE@", self.node))
        self.start()

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self):
        common = ["--node", self.node, "--run-dir", self.run_dir, "--state-dir", os.path.join(self.directory, "state")]
        if self.way == "standalone":
            self._spawn("portolan", "run", "--config", self.config, *common)
        else:
            for name in SERVICES if self.host else _UNPRIVILEGED:
                extra = ["--config", self.config] if name == "config-service" else []
                self._spawn(name, *common, *extra)
        wait_until(self._answers, timeout=20, what="Portolan answers")

    def kill(self):
        """As if the power went: every process gets SIGKILL."""
        for process in self.processes:
            process.kill()
        self.processes.clear()

    def close(self):
        for process in self.processes:
            process.ask_to_stop()
        for process in self.processes:
            process.finish(5.0)
        self.processes.clear()
        shutil.rmtree(self.pin_dir, ignore_errors=True)

    @property
    def pin_dir(self):
        return f"/sys/fs/bpf/portolan/{self.node}"

    def portolan(self, *words):
        """Runs the command line; returns (exit code, what it said) with this run's own names made plain."""
        argv = [self.binaries["portolan"], "--socket", self.run_dir, *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        said = (done.stdout + done.stderr).replace(self.node, "@NODE@").replace(self.directory + "/", "")
        return done.returncode, said

    def logs(self):
        parts = []
        for process in self.processes:
            parts.append(f"---- {process.name}\n{process.log()[-4000:]}")
        return "\n".join(parts)

    def _spawn(self, name, *arguments):
        argv = [self.binaries[name], *arguments]
        if self.host:
            self.processes.append(self.host.spawn(argv, name=name))
        else:
            self.processes.append(Process(argv, name, os.path.join(self.directory, f"{name}.log")))

    def _answers(self):
        for process in self.processes:
            if not process.running:
                raise RuntimeError(f"{process.name} ended: {process.log()[-2000:]}")
        code, said = self.portolan("get", "pools")
        if code != 0:
            raise CommandFailed(said)
        return True


def plain_table(text):
    """A table without its column widths and ages, so that a longer cell elsewhere or a slow machine changes nothing."""
    text = re.sub(r"(?<=   )(\d+h)?(\d+m)?\d+s(?= )", "AGE", text)
    return "\n".join(re.sub(r"   +", "   ", line).rstrip() for line in text.strip("\n").splitlines())
