"""A program that runs beside the tests."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import psutil

from tests import leaks, preloaded, servers
from tests.servers import CHECKOUT


class Program:
    """A process and its log; as a context manager, it asks the process to end with the block.

    A preloaded program starts with a module instead of a file, and with other `periods`, as tests/preloaded.py
    describes. Any other inherits the open `files`.
    """

    def __init__(
        self,
        command: list[str],
        log: Path,
        environment: dict[str, str],
        folder: Path = CHECKOUT,
        *,
        is_preloaded: bool = False,
        periods: Mapping[str, float] | None = None,
        files: tuple[int, ...] = (),
    ) -> None:
        self._log = log
        self._running = ExitStack()
        self.process: servers.Process
        if is_preloaded:
            forked = preloaded.running(command, log, environment=environment, periods=periods or {})
            self.process = self._running.enter_context(forked)
        else:
            started = servers.running(command, log, environment=environment, folder=folder, files=files)
            self.process = self._running.enter_context(started)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    @property
    def log(self) -> str:
        """The text of the log so far."""
        return self._log.read_text()

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log's lines that are JSON; a line that a full disk has cut is none."""
        return [event for line in self.log.splitlines() if (event := _event(line)) is not None]

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


def _event(line: str) -> dict[str, Any] | None:
    try:
        event: dict[str, Any] | None = json.loads(line) if line.startswith("{") else None
    except ValueError:
        return None
    return event
