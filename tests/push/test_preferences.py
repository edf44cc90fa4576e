"""Preferences: an administrator's own choices, or else the site's defaults."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from feedback_push import create_app
from feedback_push.auth.models import User
from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.notification_validators import NO_BURST, Burst, QuietHours
from feedback_push.push import preferences
from feedback_push.push.models import MutedKind, Preference, PreviewLevel
from feedback_push.push.preferences import EffectivePreferences
from tests.push.devices import owner
from tests.push.stored_preferences import quiet_now, set_preferences

NIGHT = QuietHours(time(22), time(7))


@pytest.fixture
def user(app: Flask) -> User:
    return owner()


@pytest.fixture
def strict_app(settings: Settings) -> Iterator[Flask]:
    """A site that shows at most names, and is quiet at night."""
    app = create_app(
        replace(
            settings,
            notification_shows="name",
            notification_burst=Burst(3, 30),
            quiet_hours=NIGHT,
            time_zone="Europe/Vilnius",
        )
    )
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def test_without_a_choice_the_operators_settings_hold(strict_app: Flask) -> None:
    vilnius = ZoneInfo("Europe/Vilnius")
    assert preferences.of(owner()) == EffectivePreferences(PreviewLevel.NAME, NIGHT, Burst(3, 30), vilnius)


def test_whoever_chooses_what_the_operator_has_set_goes_on_with_the_settings(strict_app: Flask) -> None:
    user = owner()
    set_preferences(user, shows=PreviewLevel.NOTHING, quiet_hours=NIGHT, burst=Burst(3, 30))
    assert db.session.query(Preference).count() == 1
    set_preferences(user, shows=PreviewLevel.NAME, quiet_hours=NIGHT, burst=Burst(3, 30))
    assert db.session.query(Preference).count() == 0


def test_a_choice_comes_before_the_operators_settings_but_shows_no_more(strict_app: Flask) -> None:
    user = owner()
    user.time_zone = "America/Lima"
    shown = []
    for shows in PreviewLevel:
        set_preferences(user, shows=shows, burst=Burst(7, 20))
        shown.append(preferences.of(user).shows)
    assert shown == [PreviewLevel.NAME, PreviewLevel.NAME, PreviewLevel.NOTHING]
    assert preferences.of(user) == EffectivePreferences(
        PreviewLevel.NOTHING, None, Burst(7, 20), ZoneInfo("America/Lima")
    )
    assert preferences.allowed() == [PreviewLevel.NAME, PreviewLevel.NOTHING]


@pytest.mark.usefixtures("any_app")
def test_a_choice_is_kept_and_can_be_changed(user: User) -> None:
    set_preferences(
        user, shows=PreviewLevel.NOTHING, quiet_hours=QuietHours(time(0, 5), time(23, 59)), muted=["feedback"]
    )
    assert preferences.of(user).quiet_hours == QuietHours(time(0, 5), time(23, 59))
    assert preferences.muted_by(user) == {"feedback"}
    set_preferences(user, shows=PreviewLevel.NAME, burst=Burst(1, 2))
    assert preferences.of(user) == EffectivePreferences(PreviewLevel.NAME, None, Burst(1, 2), ZoneInfo("UTC"))
    assert preferences.muted_by(user) == set()
    assert db.session.query(Preference).count() == 1


def test_one_administrators_choice_is_nobody_elses(user: User) -> None:
    other = owner("other@example.org")
    set_preferences(other, shows=PreviewLevel.NOTHING, muted=["feedback"])
    assert preferences.of(user) == EffectivePreferences(PreviewLevel.ALL, None, NO_BURST, ZoneInfo("UTC"))
    assert preferences.muted_by(user) == set()


def test_a_choice_goes_with_its_administrator(user: User) -> None:
    set_preferences(user, muted=["feedback"])
    db.session.delete(user)
    db.session.commit()
    assert db.session.query(Preference).count() == db.session.query(MutedKind).count() == 0


def test_a_zone_that_this_machine_does_not_know_stops_nobodys_message(user: User) -> None:
    for unknown in ("Mars/Olympus", "../etc/passwd", "\0"):
        assert preferences.effective(None, unknown).zone == ZoneInfo("UTC")


def test_quiet_hours_are_in_the_administrators_zone(user: User) -> None:
    user.time_zone = "Asia/Kolkata"
    set_preferences(user, quiet_hours=quiet_now("Asia/Kolkata"))
    until = preferences.of(user).quiet_until(utcnow())
    assert until is not None
    assert timedelta(hours=2, minutes=58) < until - utcnow() <= timedelta(hours=3)
    user.time_zone = "UTC"
    assert preferences.of(user).quiet_until(utcnow()) is None
