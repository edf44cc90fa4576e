"""The loopback server stops cleanly, even while clients are busy."""

import gc
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from tests.doubles.certificates import LoopbackAuthority
from tests.doubles.loopback_server import LoopbackServer

_CLIENTS = 4


@contextmanager
def _clients_that_come_and_go(port: int) -> Iterator[None]:
    over: list[bool] = []

    def come_and_go() -> None:
        while not over:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                time.sleep(0.0005)

    with ThreadPoolExecutor(_CLIENTS) as threads:
        for _ in range(_CLIENTS):
            threads.submit(come_and_go)
        yield
        over.append(True)


@pytest.mark.slow
@pytest.mark.parametrize("secure", [False, True])
def test_a_server_that_stops_while_clients_connect_leaves_no_socket_open(secure: bool, tmp_path: Path) -> None:
    server = LoopbackServer(web.Application, LoopbackAuthority(tmp_path).server_context() if secure else None)
    for _ in range(6):
        server.start()
        with _clients_that_come_and_go(server.tls_port if secure else server.plain_port):
            time.sleep(0.03)
            server.stop()
    gc.collect()  # a socket that was left open is an error here, because warnings are
