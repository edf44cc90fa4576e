"""Start the benchmarks' push service, create runs on it, and read what it received."""

import json
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from itertools import count
from pathlib import Path

import psutil

from benchmarks import processes
from tests import servers
from tests.doubles.certificates import LoopbackAuthority

TOPICS = "topics"  # begins the name of a run that records the Topic of each push
_PADDING = "A" * 140  # an endpoint of the large services has about 190 characters


@dataclass(frozen=True)
class Arrivals:
    """The pushes that arrived in a run; times are by the monotonic clock, which all processes share.

    `topics` has the time of each push by its Topic, for a run that records them.
    """

    pushes: int
    devices: int
    first_at: float
    last_at: float
    topics: dict[str, float]

    def lost(self, sent: int) -> int:
        """Return the number of devices that got no push."""
        return sent - self.devices

    @property
    def doubled(self) -> int:
        """The number of pushes to devices that already had one."""
        return self.pushes - self.devices


@dataclass(frozen=True)
class PushService:
    """A running push service; its clients must trust `ca_file`. On `other_port` it is another origin."""

    port: int
    other_port: int
    ca_file: Path
    process: psutil.Process
    _names: Iterator[int] = field(default_factory=count)

    def new_run(self, latency: int, authority: str = "", *, records_topics: bool = False) -> "Run":
        """Return a new run at one of the origins; each of its pushes is answered after `latency` milliseconds."""
        name = f"{TOPICS if records_topics else 'run'}{next(self._names)}"
        return Run(self, name, latency, authority or f"127.0.0.1:{self.port}")

    @property
    def authorities(self) -> list[str]:
        """The four origins of this push service; a sender treats them as four push services."""
        return [f"{host}:{port}" for host in ("127.0.0.1", "localhost") for port in (self.port, self.other_port)]

    def arrivals(self, run: str) -> Arrivals:
        """Return what arrived in a run; works once, because the push service then forgets the run."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        connection = HTTPSConnection("127.0.0.1", self.port, context=context, timeout=10)
        try:
            connection.request("GET", f"/{run}")
            return Arrivals(**json.loads(connection.getresponse().read()))
        finally:
            connection.close()

    def cpu(self) -> float:
        """Return the push service's CPU time, in seconds."""
        return processes.cpu([self.process])


@dataclass(frozen=True)
class Run:
    """One measured batch of pushes."""

    service: PushService
    name: str
    latency: int
    authority: str

    @property
    def prefix(self) -> str:
        """The beginning of an endpoint; append the device's number."""
        return f"https://{self.authority}/{self.latency}/{self.name}/{_PADDING}"

    def arrivals(self) -> Arrivals:
        """Return what arrived in this run; works once."""
        return self.service.arrivals(self.name)


@contextmanager
def running(folder: Path) -> Iterator[PushService]:
    """Start the push service with a throw-away certificate authority."""
    authority = LoopbackAuthority(folder)
    authority.server_context()  # which writes the chain into the folder
    ports = servers.free_port(), servers.free_port()
    command = [sys.executable, "-m", "benchmarks.push_service", str(folder / "server.pem"), *map(str, ports)]
    with servers.running(command, folder / "push-service.log") as process:
        service = PushService(*ports, authority.ca_file, psutil.Process(process.pid))
        servers.wait_until(lambda: _answers(service), what="the push service's start")
        yield service


def _answers(service: PushService) -> bool:
    try:
        service.arrivals("none")
    except ConnectionError:
        return False
    return True
