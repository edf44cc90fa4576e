"""A visitor of a form with traps, and a clock that can be set ahead."""

import time
from datetime import timedelta

import pytest

from feedback_push import database
from feedback_push.feedback import confirmation, proof_of_work, spam
from tests.feedback.trapped_form import Pass
from tests.visits import Visit, Visitor


@pytest.fixture
def let_pass(monkeypatch: pytest.MonkeyPatch) -> Pass:
    """Lets seconds go by for the traps, and for the library that looks at the challenge's end."""
    ahead = 0.0
    real = time.time

    def skip(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    for module in (spam, confirmation, proof_of_work):
        monkeypatch.setattr(module, "utcnow", lambda: database.utcnow() + timedelta(seconds=ahead))
    monkeypatch.setattr("altcha.v2.time.time", lambda: real() + ahead)
    return skip


@pytest.fixture
def visitor(visit: Visit) -> Visitor:
    """A visitor of a form with traps."""
    return visit(form_defence=True)
