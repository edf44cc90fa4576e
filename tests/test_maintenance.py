"""Clean-up functions run in a transaction each, and none stops another."""

import os
import re
import subprocess
import sys
import time
from datetime import datetime, timedelta

import pytest

from feedback_push import maintenance
from feedback_push.auth.models import User
from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.push import tasks
from tests.environment import environment_of
from tests.servers import CHECKOUT


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The times at which the clean-up of this test ran; no other is registered."""
    monkeypatch.setattr(maintenance, "_registered", {})
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


@pytest.mark.usefixtures("app")
def test_a_clean_up_that_may_wait_runs_each_minute_and_again_at_once_while_work_is_left(
    done: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, calls, failures = [True, True, False, False], list[datetime](), list[datetime]()

    @maintenance.each_minute
    def slow(when: datetime) -> bool:
        calls.append(when)
        return left.pop(0)

    @maintenance.each_minute
    def failing(when: datetime) -> None:
        failures.append(when)
        raise ValueError("no luck")

    for _ in range(5):
        maintenance.run_due()
    assert (len(done), len(calls), len(failures)) == (5, 3, 5)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    maintenance.run_due()
    maintenance.run_due()
    assert (len(done), len(calls)) == (7, 4)


def add_user(email: str) -> None:
    db.session.add(User(email=email, password_hash=""))
    db.session.flush()


def test_every_clean_up_is_loaded_with_the_application(settings: Settings) -> None:
    package = CHECKOUT / "feedback_push"
    written = {
        ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)
        for path in package.rglob("*.py")
        if re.search(r"^@maintenance\.(register|each_minute)$", path.read_text(), re.MULTILINE)
    }
    show = "from feedback_push import create_app, maintenance; create_app()"
    show += "; print(*{each.__module__ for each in maintenance._registered})"
    command = [sys.executable, "-c", show]
    environment = os.environ | environment_of(settings)
    loaded = subprocess.run(command, env=environment, cwd=CHECKOUT, capture_output=True, check=True)
    assert set(loaded.stdout.decode().split()) == written
