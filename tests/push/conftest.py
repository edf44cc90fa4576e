"""For the tests of push: a device and its owner, and brokers in trouble."""

import pytest
from flask import Flask

from feedback_push.auth.models import User
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.push.devices import new_device, owner


@pytest.fixture
def user(app: Flask) -> User:
    """An administrator."""
    return owner()


@pytest.fixture
def device(user: User, service: PushService) -> Device:
    """The only device, subscribed."""
    return new_device(user, service)
