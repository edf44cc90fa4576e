"""web_server.py: neither slow nor endless requests keep the site from others."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import make_settings
from tests.program import Program
from tests.site import Site

THREADS = 8
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def site(migrated_sqlite: Path, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("slow")
    with Site(make_settings(f"sqlite:///{migrated_sqlite}", redis_url, folder)) as running:
        running.serve(GUNICORN_CMD_ARGS="--timeout 2")
        yield running


def begin(site: Site, sent: str) -> socket.socket:
    """A connection on which only the beginning of a request ever arrives."""
    connection = socket.create_connection(("127.0.0.1", site.settings.port))
    connection.sendall(sent.format(host=f"127.0.0.1:{site.settings.port}", form=FORM["Content-Type"]).encode())
    return connection


def memory(program: Program) -> int:
    return sum(process.memory_info().rss for process in program.family()[1:])


@pytest.mark.parametrize(
    "sent",
    [
        "POST /feedback/ HTTP/1.1\r\nHost: ",
        "POST /feedback/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\nContent-Type: {form}\r\n\r\nx",
    ],
    ids=["head", "body"],
)
def test_clients_that_never_end_their_request_lose_their_threads(site: Site, sent: str) -> None:
    slow = [begin(site, sent) for _ in range(THREADS)]
    time.sleep(0.5)  # all of them have a thread
    began = time.monotonic()
    assert requests.get(f"{site.url}/healthz", timeout=20).ok
    assert time.monotonic() - began < 10
    for connection in slow:
        connection.close()


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_ten_megabytes_are_refused_at_once_and_kept_nowhere(site: Site, connection: str) -> None:
    requests.get(f"{site.url}/feedback/", timeout=20)
    before = memory(site.web)
    answer = requests.post(
        f"{site.url}/feedback/",
        data=b"content=" + b"x" * 10_000_000,
        headers={**FORM, "Connection": connection},
        timeout=20,
    )
    assert answer.status_code == 413
    assert "Too long" in answer.text
    assert answer.elapsed.total_seconds() < 3
    assert memory(site.web) - before < 5_000_000


def test_a_hundred_kilobytes_arrive(site: Site) -> None:
    assert site.visitor().write("x" * 100_000).url.endswith("/feedback/complete/")
