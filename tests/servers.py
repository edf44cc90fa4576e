"""Start the real servers that the tests use: PostgreSQL, Redis, the web server and Celery workers."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

CHECKOUT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


def free_port() -> int:
    """Return a port of 127.0.0.1 that no process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def wait_until(holds: Callable[[], bool], timeout: float = 60, what: str = "it") -> None:
    """Wait until the condition is true; raise TimeoutError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {timeout:g} s")
        time.sleep(0.02)


@contextmanager
def postgresql(folder: Path, port: int | None = None) -> Iterator[str]:
    """Run a PostgreSQL server; yield its URL without a database name.

    It continues with the data that an earlier server left in the folder. When it stops, it aborts open transactions.
    """
    binaries = postgresql_binaries()
    port = port or free_port()
    if not (folder / "data").exists():
        _as_postgres([str(binaries / "initdb"), "-A", "trust", "-U", "tests", "-N", str(folder / "data")], folder)
    options = ["-k", "", "-h", "127.0.0.1", "-p", str(port), "-F"]
    # Without the work for a loss of power, for replicas and in the background.
    for setting in ("full_page_writes=off", "wal_level=minimal", "max_wal_senders=0", "autovacuum=off"):
        options += ["-c", setting]
    server = [str(binaries / "postgres"), "-D", str(folder / "data"), *options]
    with running(server, folder / "log", user=_postgres_user(), stop=signal.SIGINT):
        url = f"postgresql://tests@127.0.0.1:{port}"
        wait_until(lambda: postgresql_answers(f"{url}/postgres"), what="PostgreSQL's start")
        yield url


def postgresql_binaries() -> Path:
    """Return the folder of the newest PostgreSQL's programs."""
    return _newest(Path("/usr/lib/postgresql").glob("*/bin")) or Path(shutil.which("initdb") or "").parent


def postgresql_answers(url: str) -> bool:
    """Return whether a server accepts a connection to the database with this URL."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def redis_server(folder: Path, port: int | None = None, *options: str) -> Iterator[str]:
    """Run a Redis server that stores nothing on disk; yield its URL."""
    port = port or free_port()
    binary = shutil.which("redis-server") or shutil.which("valkey-server") or "redis-server"
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with running([*command, "--dir", str(folder), *options], folder / "redis.log"):
        url = f"redis://127.0.0.1:{port}/0"
        client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0))  # wait_until tries again, and sooner
        wait_until(lambda: _redis_answers(client), what="Redis's start")
        client.close()
        yield url


@contextmanager
def running(
    command: list[str],
    log: Path,
    *,
    environment: dict[str, str] | None = None,
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
    folder: Path = CHECKOUT,
    files: tuple[int, ...] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in its own process group, and stop it with all its children at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            user=user,
            pass_fds=files,
        )
    try:
        yield process
    finally:
        end(process, stop)


class Process(Protocol):
    """What a process that can be ended has: subprocess.Popen, or one that tests/preloaded.py started."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> object: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


def end(process: Process, how: signal.Signals) -> None:
    """Ask a process to end, kill it if it does not, and kill what is left of its process group."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _as_postgres(command: list[str], folder: Path) -> None:
    user = _postgres_user()
    if user:
        shutil.chown(folder, user)
    subprocess.run(command, check=True, user=user, cwd="/", stdout=subprocess.DEVNULL)


def _postgres_user() -> str | None:
    """Return the user to run PostgreSQL as if we are root, because PostgreSQL refuses to run as root; else None."""
    if os.geteuid() != 0:
        return None
    return pwd.getpwnam("postgres").pw_name


def _newest(folders: Iterator[Path]) -> Path | None:
    return max(folders, key=lambda folder: int(folder.parent.name), default=None)


def _redis_answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
