"""Machines on one network: each a network namespace of its own behind a bridge, whose cable can be pulled."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import servers
from tests.program import Program

_BRIDGE = "fp-switch"
_NETWORK = "10.213.77"
SWITCH = f"{_NETWORK}.1"  # the address of the test itself


@dataclass(frozen=True)
class Machine:
    """A network namespace; `programs` run in it, and end with the network."""

    name: str
    address: str
    programs: ExitStack

    def run(self, command: list[str], log: Path, environment: dict[str, str], user: str = "") -> Program:
        """Start a program on this machine, as another user if one is named."""
        as_user = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] if user else []
        inside = ["ip", "netns", "exec", self.name, *as_user, *command]
        return self.programs.enter_context(Program(inside, log, environment))

    def pull_the_cable(self) -> None:
        """Cut the machine off: its connections stay open, and nothing comes through."""
        _ip("link", "set", f"{self.name}-port", "down")

    def plug_it_in(self) -> None:
        """Connect the machine again."""
        _ip("link", "set", f"{self.name}-port", "up")


def can_be_made() -> bool:
    """Return whether this process may make network namespaces: root may, unless a container forbids it."""
    made = subprocess.run(["ip", "netns", "add", "fp-probe"], check=False, capture_output=True).returncode == 0
    if made:
        _ip("netns", "delete", "fp-probe")
    return made


@contextmanager
def network(*names: str) -> Iterator[list[Machine]]:
    """Connect machines with these names, and remove them with the block."""
    with ExitStack() as stack:
        _ip("link", "add", _BRIDGE, "type", "bridge")
        stack.callback(_ip, "link", "delete", _BRIDGE)
        _ip("address", "add", f"{SWITCH}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        yield [_machine(f"fp-{name}", f"{_NETWORK}.{number}", stack) for number, name in enumerate(names, 2)]


def postgresql(machine: Machine) -> str:
    """Run PostgreSQL on a machine until the network ends; return the URL of an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="feedback-push-tests-"))
    machine.programs.callback(shutil.rmtree, folder)
    folder.chmod(0o755)  # for PostgreSQL's user
    with servers.postgresql(folder):
        pass  # makes the files, with a server that runs beside the test
    with (folder / "data" / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {_NETWORK}.0/24 trust\n")
    command = [str(servers.postgresql_binaries() / "postgres"), "-D", str(folder / "data"), "-k", "", "-F"]
    machine.run([*command, "-h", machine.address, "-p", "5432"], folder / "log", {}, user="postgres")
    url = f"postgresql://tests@{machine.address}:5432/postgres"
    servers.wait_until(lambda: servers.postgresql_answers(url), what="PostgreSQL's start")
    return url.replace("postgresql:", "postgresql+psycopg:")


def _machine(name: str, address: str, stack: ExitStack) -> Machine:
    port = f"{name}-port"
    _ip("netns", "add", name)
    stack.callback(_ip, "netns", "delete", name)
    _ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
    stack.callback(_ip, "link", "delete", port)  # a namespace lives as long as any process in it
    _ip("link", "set", port, "master", _BRIDGE, "up")
    for command in (
        ["address", "add", f"{address}/24", "dev", "eth0"],
        ["link", "set", "eth0", "up"],
        ["link", "set", "lo", "up"],
    ):
        _ip("-n", name, *command)
    return Machine(name, address, stack.enter_context(ExitStack()))


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)
