"""A program that runs beside the tests."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import psutil

from tests import leaks, servers


class Program:
    """A process and its log; as a context manager, it asks the process to end with the block."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self._log = log
        self._running = ExitStack()
        started = servers.running(command, log, environment=environment)
        self.process: subprocess.Popen[bytes] = self._running.enter_context(started)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    @property
    def log(self) -> str:
        """The text of the log so far."""
        return self._log.read_text()

    @property
    def is_alive(self) -> bool:
        """True if the process still runs."""
        return self.process.poll() is None

    def family(self) -> list[psutil.Process]:
        """Return the process and all its descendants."""
        itself = psutil.Process(self.process.pid)
        return [itself, *itself.children(recursive=True)]

    def terminate(self) -> None:
        """Stop it gracefully, as a deployment does, and wait for its end; fail if its log contains a secret."""
        self._running.close()
        leaks.refuse(self.log)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Suspend the program during the block; clients can still connect."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it and its children at once, as a power cut does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
