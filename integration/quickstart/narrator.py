"""Tells the story on a terminal: steps, commands, what came back, how long it took."""

import subprocess
import sys
import threading
import time

from integration.topology import CommandFailed


class StepFailed(Exception):
    """A step did not turn out as the story says; the text says what was expected and what was seen."""


class Narrator:
    """One thread tells; a second one prints a progress line while something takes longer than a second."""

    def __init__(self, out=sys.stdout):
        self._out = out
        self._lock = threading.Lock()
        self.step_name = "the laboratory"

    def step(self, name):
        self.step_name = name
        self.say(f"\n== {name}")

    def say(self, text):
        with self._lock:
            print(text, file=self._out, flush=True)

    def command(self, argv, shown, timeout=20.0, expect=(0,), quiet=False):
        """Runs argv, tells it as `shown` with its output and time, and returns its standard output.

        StepFailed when its exit code is not one of `expect`.
        """
        start = time.monotonic()
        with self.waiting(shown):
            try:
                done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
            except subprocess.TimeoutExpired as expired:
                raise StepFailed(f"`{shown}` gave no answer within {timeout:g} s") from expired
        took = time.monotonic() - start
        self.say(f"$ {shown}    ({took * 1000:.0f} ms)")
        told = (done.stdout + done.stderr).rstrip()
        if told and not quiet:
            self.say("\n".join(f"    {line}" for line in told.splitlines()))
        if done.returncode not in expect:
            raise StepFailed(f"`{shown}` ended with exit code {done.returncode}: {told or 'no output'}")
        return done.stdout

    def until(self, condition, what, timeout=15.0):
        """Polls `condition()` until it returns something true; tells how long that took and returns the value."""
        start = time.monotonic()
        problem = "not yet"
        with self.waiting(what):
            while True:
                try:
                    value = condition()
                    if value:
                        break
                except (CommandFailed, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
                    problem = str(error)
                if time.monotonic() - start > timeout:
                    raise StepFailed(f"{what}: not within {timeout:g} s ({problem})")
                time.sleep(0.02)
        took = time.monotonic() - start
        self.say(f"  {what}    ({took * 1000:.0f} ms)")
        return value

    def expect(self, truth, what):
        """StepFailed unless `truth`; else a line."""
        if not truth:
            raise StepFailed(f"{what}: not so")
        self.say(f"  {what}")

    def waiting(self, what):
        """A context in which a line is printed for every second that passes."""
        return _Waiting(self, what)


class _Waiting:
    def __init__(self, narrator, what):
        self._narrator = narrator
        self._what = what
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _tell(self):
        seconds = 0
        while not self._done.wait(1.0):
            seconds += 1
            self._narrator.say(f"  ... {self._what} ({seconds} s)")
