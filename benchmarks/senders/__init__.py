"""The senders to compare: each is a separate program that reads its jobs from standard input."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from benchmarks import devices, sample
from benchmarks.push_service import Run
from benchmarks.sample import Sample
from benchmarks.stage import Stage

IN_FLIGHT = 100
TTL = 86400
_NODE = Path(__file__).parent.parent / "node"


@dataclass(frozen=True)
class Kit:
    """The data that every sender needs, in any language."""

    private_key: str
    public_key: str
    subject: str
    payload: str
    keys: tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Sender:
    """A running sender."""

    program: subprocess.Popen[str]

    def send(self, run: Run, pushes: int) -> Sample:
        """Let the sender send this many pushes."""
        return sample.take(run, [psutil.Process(self.program.pid)], pushes, lambda: self._ask(run, pushes))

    def _ask(self, run: Run, pushes: int) -> float:
        assert self.program.stdin
        assert self.program.stdout
        self.program.stdin.write(json.dumps({"prefix": run.prefix, "devices": pushes}) + "\n")
        self.program.stdin.flush()
        answer = self.program.stdout.readline()
        if not answer:
            raise RuntimeError("a sender has ended; its message is above")
        return float(json.loads(answer)["seconds"])


def python(name: str) -> list[str]:
    """Return the command for a sender in `__main__`."""
    return [sys.executable, "-m", "benchmarks.senders", name]


def node() -> list[str] | str:
    """Return the command for node's web-push, installing it if needed, or why it is left out."""
    if not (program := shutil.which("node")) or not shutil.which("npm"):
        return "node and npm are not installed"
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    if not (_NODE / "node_modules").exists():
        try:
            subprocess.run(install, cwd=_NODE, check=True, capture_output=True, timeout=120)
        except subprocess.SubprocessError:
            return "npm could not install the package web-push"
    return [program, str(_NODE / "sender.js")]


@contextmanager
def running(stage: Stage, command: list[str]) -> Iterator[Sender]:
    """Start a sender that trusts our push service, and kill it at the end; it has no state to lose."""
    kit = Kit(*stage.keys, "mailto:staff@example.org", devices.NOTE.to_json(), devices.keys())
    kit_file = stage.folder / "kit.json"
    kit_file.write_text(json.dumps(asdict(kit)))
    trust = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"), str(stage.service.ca_file))
    started = subprocess.Popen(
        [*command, str(kit_file)],
        env={**os.environ, **trust},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with started as program:
        try:
            yield Sender(program)
        finally:
            program.kill()
