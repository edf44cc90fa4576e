"""Fixtures for the tests of the doubles: a running push service and two senders."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.doubles.push_service import PushService
from tests.doubles.senders import Sender


@pytest.fixture
def service() -> Iterator[PushService]:
    with PushService() as running:
        yield running


@pytest.fixture
def sender() -> Iterator[Sender]:
    with closing(Sender()) as one:
        yield one


@pytest.fixture
def other_sender() -> Iterator[Sender]:
    with closing(Sender()) as another:
        yield another
