"""An administrator in front of the dashboard."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from feedback_push.auth.models import User
from tests.conftest import PASSWORD
from tests.push.knocks import Knocks
from tests.visits import Visitor


@pytest.fixture
def dashboard(client: Visitor, staff: User) -> Visitor:
    """The browser of an administrator who has signed in."""
    client.sign_in(staff.email, PASSWORD)
    return client


@pytest.fixture
def knocks(redis_url: str) -> Iterator[Knocks]:
    """The knocks at the broker of `app` and `any_app`."""
    with closing(Knocks(redis_url)) as queue:
        yield queue
