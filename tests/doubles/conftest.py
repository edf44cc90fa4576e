"""The running double and two senders, for the double's own tests."""

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
