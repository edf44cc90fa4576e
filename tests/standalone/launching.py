"""Start the real launcher, read its output, and leave none of its processes behind."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests import preloaded
from tests.servers import CHECKOUT, free_port, wait_until

READY = "Press Ctrl-C to stop."
STOPS_WITHIN = 30  # seconds on a slow machine; it kills what has not stopped after eight
_LAUNCHER = [sys.executable, "-m", "feedback_push.standalone"]


@dataclass
class Run:
    """A launcher that was started."""

    process: subprocess.Popen[bytes]
    output: Path
    url: str

    @property
    def printed(self) -> str:
        return self.output.read_text()

    def family(self) -> list[int]:
        """Return the process ids of the launcher and of all its descendants."""
        launcher = psutil.Process(self.process.pid)
        return [launcher.pid, *(child.pid for child in launcher.children(recursive=True))]

    def members(self, word: str) -> list[int]:
        """Return the processes with this word in their command or name, parents first."""
        return [pid for pid in self.family() if word in _command(pid)]

    def stop(self, ask: Callable[[], None]) -> int:
        """Ask the launcher to stop, require every process to end in time, and return the exit code."""
        family = self.family()
        ask()
        wait_until(lambda: self.process.poll() is not None, STOPS_WITHIN, "the launcher's end")
        assert [pid for pid in family if not is_gone(pid)] == []
        return int(self.process.returncode)

    def is_settled(self) -> bool:
        return READY in self.printed or self.process.poll() is not None


class Launchers:
    """Starts launchers that share one instance folder and one port.

    By default it starts the checkout's launcher; another command runs in a folder of its own, with `instance/` in it.
    """

    def __init__(self, folder: Path, command: list[str] | None = None) -> None:
        self.instance = folder / "instance"
        self.port = free_port()
        self.runs: list[Run] = []
        self._folder = folder
        self._command = command or _LAUNCHER
        self._works_in = folder if command else CHECKOUT

    def start(self, command: list[str] | None = None, *, settled: bool = True, **settings: str) -> Run:
        """Start one, and wait until it serves or has ended."""
        output = self._folder.with_name(f"{self._folder.name}-output-{len(self.runs)}")
        with output.open("wb") as file:
            process = subprocess.Popen(
                command or self._command,
                cwd=self._works_in,
                env=self._environment() | settings,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        run = Run(process, output, f"http://127.0.0.1:{self.port}")
        self.runs.append(run)
        if settled:
            wait_until(run.is_settled, 60, "the launcher's start")
        return run

    def refused(self) -> "subprocess.CompletedProcess[str]":
        """Run one that will not start; return its end."""
        return preloaded.run(["feedback_push.standalone"], environment=self._environment())

    def left_over(self) -> list[int]:
        """Return the processes that still run with this instance folder."""
        return [process.pid for process in psutil.process_iter() if self._is_ours(process) and not is_gone(process.pid)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            is_in_its_folder = self._works_in != CHECKOUT and process.cwd() == str(self._works_in)
            return is_in_its_folder or process.environ().get("INSTANCE_DIR") == str(self.instance)
        except psutil.Error:
            return False

    def _environment(self) -> dict[str, str]:
        # Only a shell's own variables, so that no setting of the test run leaks in.
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        named = {"INSTANCE_DIR": str(self.instance)} if self._works_in == CHECKOUT else {}
        return kept | named | {"PORT": str(self.port)}


@contextmanager
def launchers(folder: Path, command: list[str] | None = None) -> Iterator[Launchers]:
    """Start launchers, and end all of their processes with the block."""
    started = Launchers(folder, command)
    try:
        yield started
    finally:
        for run in started.runs:
            run.process.terminate()
            run.process.wait(STOPS_WITHIN)
        for pid in started.left_over():
            psutil.Process(pid).kill()


def _command(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"{process.name()} {' '.join(process.cmdline())}"
    except psutil.Error:
        return ""


def is_gone(pid: int) -> bool:
    """Return whether the process has ended; a zombie has, too."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
