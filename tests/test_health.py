"""health.py: /healthz and /readyz report the state of the site."""

import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from feedback_push import health
from feedback_push.config import Settings
from tests import servers
from tests.environment import environment_of
from tests.program import Program
from tests.visits import Visit, Visitor


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield silent.getsockname()[1]


def nobody() -> str:
    return f"127.0.0.1:{servers.free_port()}"


def ready(visitor: Visitor) -> tuple[int, object]:
    answer = visitor.get("/readyz")
    return answer.status_code, answer.json


def problems(visitor: Visitor) -> set[str]:
    status, told = ready(visitor)
    assert status == 503
    assert isinstance(told, dict)
    return set(told["problems"])


def test_a_process_that_serves_is_healthy_without_anything_else(visit: Visit) -> None:
    visitor = visit(database_url=f"postgresql+psycopg://{nobody()}/x", redis_url=f"redis://{nobody()}")
    answer = visitor.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_without_a_broker_nobody_can_ask_for_a_worker(visit: Visit) -> None:
    wrong = {"broker": "does not answer", "worker": "cannot be checked without the broker"}
    assert ready(visit(redis_url=f"redis://{nobody()}/0")) == (503, {"status": "not ready", "problems": wrong})


def test_a_broker_that_is_down_is_asked_once_by_each_check(visit: Visit, redis_connections: list[str]) -> None:
    assert problems(visit(redis_url=f"redis://{nobody()}/0")) == {"broker", "worker"}
    assert len(redis_connections) == 2  # retries would take seconds


def test_a_broker_that_never_answers_is_given_up_on(visit: Visit, silent_port: int) -> None:
    asked_at = time.monotonic()
    assert problems(visit(redis_url=f"redis://127.0.0.1:{silent_port}/0")) == {"broker", "worker"}
    assert time.monotonic() - asked_at < 60


def test_whoever_writes_does_not_wait_for_the_answers(visit: Visit, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        ThreadPoolExecutor(1) as thread,
        closing(sqlite3.connect(tmp_path / "test.sqlite", timeout=0)) as neighbour,
    ):
        probe = thread.submit(visit(redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0").get, "/readyz")
        with silent.accept()[0]:  # the broker is being asked
            neighbour.execute("BEGIN IMMEDIATE")
        silent.accept()[0].close()  # and once more, for the worker
        assert probe.result().status_code == 503


def test_while_somebody_waits_for_the_answers_the_others_get_the_last_ones_at_once(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_TIMEOUT", 60.0)  # so that the question below ends with its connection
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as thread:
        visitor = visit(redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        for told in ({"readiness"}, {"broker", "worker"}):
            probe = thread.submit(Visitor(visitor.application).get, "/readyz")
            with silent.accept()[0]:  # the broker is being asked
                assert problems(visitor) == told
                assert not probe.done()
            silent.accept()[0].close()  # and once more, for the worker
            assert probe.result().status_code == 503


def test_without_a_database_the_site_is_not_ready_and_names_no_address(visit: Visit) -> None:
    visitor = visit(database_url=f"postgresql+psycopg://{nobody()}/x", redis_url=f"redis://{nobody()}")
    assert problems(visitor) == {"database", "broker", "worker"}
    assert "127.0.0.1" not in visitor.get("/readyz").text


@pytest.mark.usefixtures("any_app")
def test_the_database_is_really_asked(visit: Visit) -> None:
    assert problems(visit(redis_url=f"redis://{nobody()}")) == {"broker", "worker"}


def test_the_site_is_ready_as_soon_as_a_worker_answers(
    settings: Settings, visit: Visit, own_redis_url: str, tmp_path: Path
) -> None:
    visitor = visit(redis_url=own_redis_url)
    assert ready(visitor) == (503, {"status": "not ready", "problems": {"worker": "no worker responds"}})
    environment = environment_of(replace(settings, redis_url=own_redis_url))
    command = ["celery", "-A", "celery_worker", "worker", "--pool", "threads", "--concurrency", "1"]
    with Program(command, tmp_path / "worker.log", environment, is_preloaded=True):
        servers.wait_until(lambda: ready(visitor)[0] == 200, 60, "the worker's start")
        assert ready(visitor) == (200, {"status": "ready"})


def test_a_failing_broker_is_reported_and_never_an_error_of_ours(visit: Visit, own_redis_url: str) -> None:
    visitor = visit(redis_url=own_redis_url)
    with redis.Redis.from_url(own_redis_url) as server:
        server.config_set("maxmemory", 1)
        assert ready(visitor)[1] == {
            "status": "not ready",
            "problems": {"broker": "does not accept messages", "worker": "cannot be checked without the broker"},
        }
        server.config_set("maxmemory", 0)
        # It accepts the readiness probe's write, but no message.
        server.execute_command("ACL", "SETUSER", "default", "-publish", "-lpush", "-sadd")
        told = {"worker": "cannot be checked: the broker fails"}
        assert ready(visitor) == (503, {"status": "not ready", "problems": told})


def test_low_disk_space_is_mentioned_before_it_is_a_problem(visit: Visit) -> None:
    visitor = visit(redis_url=f"redis://{nobody()}/0", min_free_disk_mb=1_000_000_000)
    told = visitor.get("/readyz").json
    assert told
    assert told["warnings"] == {"disk": "little space is left"}


def test_a_database_without_its_tables_is_not_ready(visit: Visit, tmp_path: Path) -> None:
    visitor = visit(database_url=f"sqlite:///{tmp_path / 'empty.db'}", redis_url=f"redis://{nobody()}/0")
    assert "database" in problems(visitor)
