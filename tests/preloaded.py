"""Start the site's programs from a process that tests/warm.py has prepared: each would import for a second otherwise.

The programs are the same, with the same arguments, environment and signals; a test may shorten periods of theirs. A
web server hashes passwords as the test's own process does: the usual way costs a tenth of a second at each sign-in.
tests/standalone starts them as an operator does, with an interpreter of their own.
"""

import atexit
import importlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import NamedTuple

import argon2

from feedback_push.auth import accounts
from tests import servers

_ENDS_WITHIN = 60  # seconds
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "tests.warm"])


class Streams(NamedTuple):
    """The files of a program's standard input, output and error."""

    read: Path
    output: Path
    error: Path


class Setting(NamedTuple):
    """All variables of a program, its working directory, and other values for constants of modules, in seconds.

    `hasher` replaces the one for passwords.
    """

    environment: dict[str, str]
    folder: Path = servers.CHECKOUT
    periods: tuple[tuple[str, float], ...] = ()
    hasher: argon2.PasswordHasher | None = None


class Process:
    """A program that runs, with the methods of subprocess.Popen that its users need."""

    def __init__(self, command: list[str], streams: Streams, setting: Setting) -> None:
        self._process = _FORKS.Process(target=_run, args=(command, streams, setting), daemon=True)
        with chdir(servers.CHECKOUT):  # where the first process of all, which imports the programs, looks for them
            self._process.start()
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        """Return the exit code, or None if it still runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> None:
        """Wait for its end; raise subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("a program", timeout or 0)

    def send_signal(self, sig: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, sig)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


@contextmanager
def running(
    command: list[str], log: Path, *, environment: dict[str, str], periods: Mapping[str, float]
) -> Iterator[Process]:
    """Run a module with these arguments in its own process group, and stop it with its children at the end.

    `periods` are other values for constants of modules, in seconds.
    """
    log.touch()
    hasher = accounts._hasher  # noqa: SLF001 - which tests/conftest.py has set
    setting = Setting({**os.environ, **environment}, periods=tuple(periods.items()), hasher=hasher)
    process = Process(command, Streams(Path(os.devnull), log, log), setting)
    try:
        yield process
    finally:
        servers.end(process, signal.SIGTERM)


def run(
    command: list[str], *, environment: dict[str, str], folder: Path = servers.CHECKOUT, typed: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a module with these arguments and no other variables until its end, like subprocess.run."""
    with tempfile.TemporaryDirectory() as own:
        streams = Streams(*(Path(own, name) for name in Streams._fields))
        streams.read.write_text(typed)
        process = Process(command, streams, Setting(environment, folder))
        try:
            process.wait(_ENDS_WITHIN)
        finally:
            servers.end(process, signal.SIGTERM)
        said = (streams.output.read_text(), streams.error.read_text())
    return subprocess.CompletedProcess(command, process.poll() or 0, *said)


def _run(command: list[str], streams: Streams, setting: Setting) -> None:
    """Become a process that was started with `python -m`, for a module and its arguments."""
    os.setsid()
    os.umask(0o022)  # the usual one, whatever the first test that needed a program had set
    os.chdir(setting.folder)
    for number, file in enumerate(streams):
        opened = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT if number else os.O_RDONLY, 0o666)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0, closefd=False)  # multiprocessing has closed it
    os.environ.clear()
    os.environ.update(setting.environment)
    # The warning to root is about pickled tasks; ours are JSON.
    warnings.filterwarnings("ignore", "You're running the worker")
    for name, seconds in setting.periods:
        module, _, constant = name.rpartition(".")
        setattr(importlib.import_module(module), constant, seconds)
    if setting.hasher:
        accounts._hasher = setting.hasher  # noqa: SLF001
    sys.argv = command
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # noqa: SLF001 - multiprocessing leaves them out
