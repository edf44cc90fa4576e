"""How long a connection may take, how many there may be, and how the server ends."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Response

from feedback_push.config import Settings
from feedback_push.web_server import server as server_module
from feedback_push.web_server.channel import Channel
from feedback_push.web_server.server import Server
from tests import servers
from tests.environment import environment_of
from tests.web_server.client import FORM, Client

Connect = Callable[[], Client]
Serve = Callable[..., Server]
MEGABYTE = 1024 * 1024
COMMAND = [sys.executable, "-m", "feedback_push.web_server"]


@pytest.mark.usefixtures("short_deadlines")
def test_every_connection_has_an_end_whatever_is_sent_on_it(connect: Connect) -> None:
    nothing, idle, head, body = (connect() for _ in range(4))
    assert idle.is_alive()
    head.socket.sendall(b"GET /healthz HTTP/1.1\r\n")
    body.send("POST /login HTTP/1.1", "Content-Length: 1000", FORM, body=b"x")
    for _ in range(25):  # a byte now and then does not help
        time.sleep(0.1)
        for each, sent in ((head, b"A: b\r\n"), (body, b"x")):
            with suppress(OSError):
                each.socket.sendall(sent)
    for each in (nothing, idle):
        each.socket.settimeout(1)
        assert each.is_closed()
    for each in (head, body):
        with pytest.raises(OSError, match=r"reset|pipe"):
            each.socket.sendall(b"x")


@pytest.mark.usefixtures("short_deadlines")
def test_a_reader_who_reads_nothing_loses_the_connection_and_frees_the_thread(serve: Serve) -> None:
    ended = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * MEGABYTE
        finally:
            ended.set()

    with Client(int(serve({"/endless": lambda: Response(endless())}).effective_port)) as deaf:
        deaf.send("GET /endless HTTP/1.1")
        assert ended.wait(10)


def test_pages_that_are_asked_for_at_once_and_not_read_are_not_made(serve: Serve) -> None:
    made: list[int] = []

    def page() -> str:
        made.append(1)
        return "x" * 8 * MEGABYTE

    with Client(int(serve({"/page": page}).effective_port)) as deaf:
        one = f"GET /page HTTP/1.1\r\nHost: 127.0.0.1:{deaf.port}\r\n\r\n"
        deaf.socket.sendall(one.encode() * 20)
        time.sleep(1)
        assert len(made) == 1
        assert len(deaf.answer().text) == 8 * MEGABYTE


def test_answers_that_nobody_reads_have_a_bound_together(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_ANSWERS", 20 * MEGABYTE)
    server = serve({"/page": lambda: "x" * 12 * MEGABYTE})
    with ExitStack() as clients:
        deaf = [clients.enter_context(Client(int(server.effective_port))) for _ in range(4)]
        for each in deaf:
            each.send("GET /page HTTP/1.1")
        servers.wait_until(lambda: len(server.active_channels) in (1, 2, 3))
        servers.wait_until(lambda: 0 < sum(each.total_outbufs_len for each in _channels(server)) <= 20 * MEGABYTE)


def test_a_crowd_from_one_network_takes_its_own_connections_and_nobody_elses(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_MOST_CONNECTIONS", 20)
    port = int(serve().effective_port)
    with ExitStack() as open_:
        visitor = open_.enter_context(Client(port))
        crowd = [_idle(port, open_) for _ in range(60)]
        assert visitor.is_alive()
        assert crowd[0].recv(1) == b""
        with Client(port) as later:
            assert later.is_alive()


def test_a_stop_finishes_current_requests_and_accepts_no_more(serve: Serve) -> None:
    begun = threading.Event()

    def slow() -> str:
        begun.set()
        time.sleep(1)
        return "x" * 8 * MEGABYTE

    server = serve({"/slow": slow})
    port = int(server.effective_port)
    with Client(port) as client, Client(port) as idle, ThreadPoolExecutor(1) as pool:
        assert idle.is_alive()
        client.send("GET /slow HTTP/1.1")
        assert begun.wait(5)
        answer = pool.submit(client.answer)
        with Client(port) as just_connected, Client(port) as kept:
            assert kept.is_alive()
            server.stop()
            time.sleep(0.1)  # for which the next request was on its way
            last = kept.ask("GET /healthz HTTP/1.1")
            assert (last.status, last.closes) == (200, True)
            assert just_connected.is_alive()
            assert [each.is_closed() for each in (kept, just_connected, idle)] == [True] * 3
        with pytest.raises(OSError, match="refused"):
            Client(port)
        assert len(answer.result(5).text) == 8 * MEGABYTE


@pytest.mark.server
def test_the_command_serves_until_it_is_told_to_stop_and_says_when_its_port_is_taken(
    settings: Settings, tmp_path: Path
) -> None:
    settings = replace(settings, host="::1", port=servers.free_port())
    with servers.running(COMMAND, tmp_path / "web.log", environment=environment_of(settings)) as web:
        servers.wait_until(lambda: _serves(settings), 60, "the start")
        second = subprocess.run(
            COMMAND, env=environment_of(settings), cwd=servers.CHECKOUT, capture_output=True, text=True, check=False
        )
        assert (second.returncode, "Traceback" in second.stderr) == (1, False)
        assert f"Cannot listen on ::1, port {settings.port}: another program uses it." in second.stderr
        web.send_signal(signal.SIGTERM)
        assert web.wait(5) == 0
    assert (tmp_path / "web.log").read_text() == ""


def _channels(server: Server) -> list[Channel]:
    return list(server.active_channels.values())


def _idle(port: int, open_: ExitStack) -> socket.socket:
    return open_.enter_context(socket.create_connection(("127.0.0.1", port), 5, source_address=("127.0.0.9", 0)))


def _serves(settings: Settings) -> bool:
    try:
        with socket.create_connection((settings.host, settings.port), timeout=1) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return b"200 OK" in client.recv(100)
    except OSError:
        return False
