"""An administrator in front of the dashboard."""

import pytest

from feedback_push.auth.models import User
from tests.conftest import PASSWORD
from tests.visits import Visitor


@pytest.fixture
def dashboard(client: Visitor, staff: User) -> Visitor:
    """The browser of a signed-in administrator."""
    client.sign_in(staff.email, PASSWORD)
    return client
