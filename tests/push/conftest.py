"""For the tests of push: a device and its owner, what the doorbell leaves at the broker, and brokers in trouble."""

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from flask import Flask

from feedback_push import create_app
from feedback_push.auth.models import User
from feedback_push.config import Settings
from tests import servers
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.push.devices import new_device, owner
from tests.push.knocks import Knocks


@pytest.fixture
def user(app: Flask) -> User:
    """An administrator."""
    return owner()


@pytest.fixture
def device(user: User, service: PushService) -> Device:
    """The only device, subscribed."""
    return new_device(user, service)


@pytest.fixture
def knocks(redis_url: str) -> Iterator[Knocks]:
    """The knocks at the broker of `app` and `any_app`."""
    with closing(Knocks(redis_url)) as queue:
        yield queue


@pytest.fixture
def broker_port() -> int:
    """Where the broker of `without_broker` would be."""
    return servers.free_port()


@pytest.fixture
def without_broker(settings: Settings, broker_port: int) -> Iterator[Flask]:
    """An application whose broker is not running, inside its application context."""
    yield from _inside(replace(settings, redis_url=f"redis://127.0.0.1:{broker_port}/0"))


@pytest.fixture
def with_hanging_broker(settings: Settings) -> Iterator[Flask]:
    """An application whose broker takes connections and says nothing, inside its application context."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        yield from _inside(replace(settings, redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))


def _inside(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    with app.app_context():
        yield app
        if doorbell := app.extensions.get("push.doorbell"):
            while not doorbell.waiting.empty():  # or its thread would go on trying during the tests that follow
                doorbell.waiting.get()
