"""Commands and long-running processes, tracked and stopped by their own pid.

A `Process` leads its own session, so that a Ctrl-C at the terminal reaches only the program that owns the
laboratory, and so that stopping it reaches the children it forked. Its output goes to one log file.
"""

import os
import signal
import subprocess
import time


class CommandFailed(Exception):
    """A command ended with a non-zero code, did not start, or ran out of time."""


def _with_system_programs(env):
    """The environment (None: this program's own) with the directories of ip, nft, ethtool, ... on the path."""
    env = dict(os.environ if env is None else env)
    env["PATH"] = env.get("PATH", "/usr/local/bin:/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
    return env


class Result:
    """What a finished command left: `returncode`, `stdout`, `stderr` (text) and `seconds` it took."""

    def __init__(self, returncode, stdout, stderr, seconds):
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        self.seconds = seconds


def run(argv, where, timeout, check, env=None, stdin_text=None, cwd=None):
    """Runs argv to its end. `where` names the place in error messages; `timeout` is in seconds.

    Raises CommandFailed on a timeout, on a missing program and, with `check`, on a non-zero exit code.
    """
    start = time.monotonic()
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            check=False,
            cwd=cwd,
            encoding="utf-8",
            env=_with_system_programs(env),
            errors="replace",
            input=stdin_text if stdin_text is not None else "",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as expired:
        raise CommandFailed(f"{where}: {' '.join(argv)}: no end after {timeout} s") from expired
    except OSError as error:
        raise CommandFailed(f"{where}: {' '.join(argv)}: {error}") from error
    result = Result(done.returncode, done.stdout, done.stderr, time.monotonic() - start)
    if check and result.returncode != 0:
        told = (result.stderr.strip() or result.stdout.strip())[-2000:]
        raise CommandFailed(f"{where}: {' '.join(argv)}: exit code {result.returncode}: {told}")
    return result


def wait_until(condition, timeout=10.0, what="the condition", interval=0.05):
    """Polls `condition()` until it returns something true, which is returned.

    Raises TimeoutError naming `what` after `timeout` seconds. An exception of `condition` is treated as "not yet"
    while CommandFailed, OSError or ValueError (a server that is not up, half-written output), and told at the end.
    """
    deadline = time.monotonic() + timeout
    last_error = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last_error = None
        except (CommandFailed, OSError, ValueError) as error:
            last_error = error
        if time.monotonic() >= deadline:
            because = f" (last error: {last_error})" if last_error else ""
            raise TimeoutError(f"{what}: not so after {timeout} s{because}")
        time.sleep(interval)


class Process:
    """One running program. Not thread safe. `pid` stays valid until `stop` or `wait` has returned."""

    def __init__(self, argv, name, log_path, env=None, cwd=None):
        """Starts argv with no standard input, output and errors to log_path. Raises CommandFailed if it cannot."""
        self.name = name
        self.argv = list(argv)
        self.log_path = log_path
        with open(log_path, "ab") as log:
            try:
                self._child = subprocess.Popen(
                    self.argv,
                    cwd=cwd,
                    env=_with_system_programs(env),
                    start_new_session=True,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                )
            except OSError as error:
                raise CommandFailed(f"{name}: {' '.join(self.argv)}: {error}") from error

    @property
    def pid(self):
        return self._child.pid

    @property
    def returncode(self):
        """The exit code, minus the signal's number if a signal ended it, None while it runs."""
        return self._child.poll()

    @property
    def running(self):
        return self._child.poll() is None

    def log(self):
        """All it has printed so far."""
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def wait_for_log(self, text, timeout=10.0):
        """Returns once its log holds `text`; raises CommandFailed as soon as it ended without that."""

        def seen():
            ended = not self.running
            if text in self.log():
                return True
            if ended:
                raise RuntimeError(self._told(f"ended (exit code {self.returncode}) before it printed '{text}'"))
            return False

        try:
            wait_until(seen, timeout, "log line")
        except (RuntimeError, TimeoutError) as error:
            raise CommandFailed(
                str(error) if isinstance(error, RuntimeError) else self._told(f"no '{text}' after {timeout} s")
            ) from error

    def wait(self, timeout):
        """Waits for its own end and returns the exit code; CommandFailed after `timeout` seconds."""
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired as expired:
            raise CommandFailed(self._told(f"still running after {timeout} s")) from expired

    def send(self, signal_number):
        """Sends a signal to it alone; nothing happens if it has ended."""
        if self.running:
            os.kill(self.pid, signal_number)

    def kill(self):
        """SIGKILL to it and to what it forked, without a chance to clean up; returns when it is gone."""
        self._signal_session(signal.SIGKILL)
        self._child.wait()

    def stop(self, grace=5.0):
        """SIGTERM, and SIGKILL after `grace` seconds, to it and to what it forked. Returns the exit code."""
        self.ask_to_stop()
        return self.finish(grace)

    def ask_to_stop(self):
        """The first half of `stop`: SIGTERM, without waiting."""
        if self.running:
            self._signal_session(signal.SIGTERM)

    def finish(self, grace):
        """The second half of `stop`: waits up to `grace` seconds, then SIGKILL."""
        try:
            self._child.wait(max(grace, 0.0))
        except subprocess.TimeoutExpired:
            pass
        self._signal_session(signal.SIGKILL)
        return self._child.wait()

    def _signal_session(self, signal_number):
        # The session was created for this process, so its group holds only this process and its children.
        try:
            os.killpg(self.pid, signal_number)
        except ProcessLookupError:
            pass

    def _told(self, what):
        return f"{self.name}: {what}; {self.log_path} ends with: {self.log()[-1500:].strip()}"
