"""The benchmarks' push service as those who measure see it: addresses for a run, and what came of it."""

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

_PADDING = "A" * 140  # an endpoint of the large services has about 190 characters


@dataclass(frozen=True)
class Arrivals:
    """What the push service saw of a run: `last_at` on the monotonic clock."""

    pushes: int
    devices: int
    last_at: float

    def lost(self, sent: int) -> int:
        """How many devices got nothing."""
        return sent - self.devices

    @property
    def doubled(self) -> int:
        """How many pushes came to a device that already had one."""
        return self.pushes - self.devices


@dataclass(frozen=True)
class PushService:
    """A running push service; `ca_file` is what its clients must trust. On `other_port` it is another origin."""

    port: int
    other_port: int
    ca_file: Path
    process: psutil.Process
    _names: Iterator[int] = field(default_factory=count)

    def new_run(self, latency: int, authority: str = "") -> "Run":
        """A run of its own, every push of which is answered after `latency` milliseconds; at one of the origins."""
        return Run(self, f"run{next(self._names)}", latency, authority or f"127.0.0.1:{self.port}")

    @property
    def authorities(self) -> list[str]:
        """Four names under which it can be reached: to a sender, four push services."""
        return [f"{host}:{port}" for host in ("127.0.0.1", "localhost") for port in (self.port, self.other_port)]

    def arrivals(self, run: str) -> Arrivals:
        """What came in for a run, once: the push service forgets it."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        connection = HTTPSConnection("127.0.0.1", self.port, context=context, timeout=10)
        try:
            connection.request("GET", f"/{run}")
            return Arrivals(**json.loads(connection.getresponse().read()))
        finally:
            connection.close()

    def cpu(self) -> float:
        """The CPU time that it has used, in seconds."""
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
        """What a device's number is appended to for its endpoint."""
        return f"https://{self.authority}/{self.latency}/{self.name}/{_PADDING}"

    def arrivals(self) -> Arrivals:
        """What the push service saw of it."""
        return self.service.arrivals(self.name)


@contextmanager
def running(folder: Path) -> Iterator[PushService]:
    """Start it, with a throw-away certificate authority."""
    authority = LoopbackAuthority(folder)
    authority.server_context()  # leaves the chain in the folder
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
