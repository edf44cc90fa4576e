"""Clean-up functions run in a transaction each, and none stops another."""

from datetime import datetime, timedelta

import pytest

from feedback_push import maintenance
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.push import tasks


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The times at which the clean-up of this test ran; no other is registered."""
    monkeypatch.setattr(maintenance, "_registered", [])
    times: list[datetime] = []
    maintenance.register(times.append)
    return times


@pytest.mark.usefixtures("app", "published")
def test_a_sweep_does_what_was_registered_and_says_when(done: list[datetime]) -> None:
    tasks.sweep()
    [when] = done
    assert abs(utcnow() - when) < timedelta(minutes=1)


@pytest.mark.usefixtures("any_app")
def test_a_clean_up_that_fails_loses_its_own_work_only(done: list[datetime], caplog: pytest.LogCaptureFixture) -> None:
    @maintenance.register
    def failing(_: datetime) -> None:
        add_user("lost@example.org")
        raise ValueError("no luck")

    @maintenance.register
    def last(_: datetime) -> None:
        add_user("kept@example.org")

    maintenance.run_all()
    db.session.rollback()
    assert [user.email for user in db.session.query(User)] == ["kept@example.org"]
    assert len(done) == 1
    assert "no luck" in caplog.text


def add_user(email: str) -> None:
    db.session.add(User(email=email, password_hash=""))
    db.session.flush()
