"""A server of the tests' own, in this process, with the real application."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from feedback_push import create_app
from feedback_push.config import Settings
from feedback_push.web_server import channel
from feedback_push.web_server.server import Server
from tests.web_server.client import Client


@pytest.fixture
def serve(settings: Settings) -> Iterator[Callable[..., Server]]:
    """Start a server with further views and settings changed; each has a free port of 127.0.0.1."""
    with ExitStack() as running:

        def start(views: Mapping[str, Callable[[], Any]] = MappingProxyType({}), **changes: Any) -> Server:
            listener = socket.create_server(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            app = create_app(replace(settings, site_url=f"http://127.0.0.1:{port}", port=port, **changes))
            for path, view in views.items():
                app.add_url_rule(path, path, view)
            server = Server(app, listener)
            thread = threading.Thread(target=server.run, daemon=True)
            thread.start()
            running.callback(thread.join, 10)
            running.callback(_stop, server)
            return server

        yield start


def _stop(server: Server) -> None:
    # On a busy machine its thread may see the request, and close the trigger, before this thread pulls that.
    with suppress(OSError):
        server.stop()


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    """A server with the settings of the tests."""
    return serve()


@pytest.fixture
def connect(server: Server) -> Iterator[Callable[[], Client]]:
    """Open a connection to the server."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(Client(int(server.effective_port)))


@pytest.fixture
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every deadline of a connection is one second."""
    for name in ("HEAD_SECONDS", "REQUEST_SECONDS", "IDLE_SECONDS", "_LINGER_SECONDS", "_LINGER_PAUSE_SECONDS"):
        monkeypatch.setattr(channel, name, 1)
