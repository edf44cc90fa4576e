"""Start the launcher, as `make run` does, with its web server, worker and broker."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

import psutil

from benchmarks import processes
from benchmarks.site import environment
from benchmarks.stage import Stage
from feedback_push.config import Settings
from tests import servers


@dataclass(frozen=True)
class Launched:
    """A running site; `seconds` is the time from the command to the first answer of /healthz."""

    pid: int
    seconds: float

    def family(self) -> list[psutil.Process]:
        """Return the launcher and all its descendants."""
        return processes.family(self.pid)


@contextmanager
def running(stage: Stage, settings: Settings) -> Iterator[Launched]:
    """Start the launcher and wait until the site answers."""
    command = [sys.executable, "-m", "feedback_push.standalone"]
    # As `make run` has it: it stores the compiled modules when it loads them first.
    variables = environment(stage, settings) | {"PYTHONDONTWRITEBYTECODE": ""}
    log = settings.instance_dir / "launcher.log"
    started = time.perf_counter()
    with servers.running(command, log, environment=variables) as process:
        serves = _says(settings, "/healthz")
        servers.wait_until(lambda: serves() or process.poll() is not None, 60, "the site's start")
        if process.poll() is not None:
            raise RuntimeError(f"the site has ended: {log.read_text()}")
        yield Launched(process.pid, time.perf_counter() - started)


def wait_until_ready(settings: Settings) -> None:
    """Return when the worker answers too."""
    servers.wait_until(_says(settings, "/readyz"), 60, "the worker's start")


def _says(settings: Settings, path: str) -> Callable[[], bool]:
    def ask() -> bool:
        connection = HTTPConnection(settings.host, settings.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return ask
