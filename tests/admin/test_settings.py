"""admin/settings.py: save an administrator's choices, apply them, and refuse invalid ones."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import time
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from feedback_push import create_app
from feedback_push.auth.models import User
from feedback_push.config import Settings
from feedback_push.database import db
from feedback_push.notification_validators import NO_BURST, Burst, QuietHours
from feedback_push.push import notification, preferences
from feedback_push.push.models import Delivery, DeliveryState, Preference, PreviewLevel, Subscription
from feedback_push.push.preferences import EffectivePreferences
from tests.admin.rows import device
from tests.conftest import PASSWORD, make_user
from tests.push.notes import announce
from tests.push.stored_preferences import quiet_now, set_preferences
from tests.visits import Page, Visit, Visitor

CUT = "Only the beginning is shown here; go back to see the whole text."
PAGE = "/admin/settings"
NIGHT = QuietHours(time(22), time(7))


@pytest.fixture
def reserved(settings: Settings) -> Iterator[Visitor]:
    """The browser of an administrator on a site that shows names at most and sets its own defaults."""
    app = create_app(
        replace(
            settings,
            notification_shows="name",
            notification_burst=Burst(3, 45),
            quiet_hours=QuietHours(time(21, 30), time(6, 15)),
            time_zone="Europe/Vilnius",
        )
    )
    with app.app_context():
        make_user("staff@example.org")
        visitor = Visitor(app)
        visitor.sign_in("staff@example.org", PASSWORD)
        yield visitor
        db.session.remove()
        db.engine.dispose()


def wishes_of(user: User) -> EffectivePreferences:
    db.session.rollback()
    return preferences.of(user)


def refused(answer: TestResponse, *, field: str) -> str:
    """Return the error beside a field of a form that was not saved."""
    assert answer.status_code == 422
    page = Page(answer)
    assert "Nothing is saved yet" in page.alert
    assert page.one("title").words.startswith("Error: ")
    return page.one(id=f"{field}-error").words


def checked(page: Page, name: str) -> list[str]:
    return [box.attributes["value"] for box in page.all("input", name=name) if "checked" in box.attributes]


def test_every_page_leads_there(dashboard: Visitor) -> None:
    [link] = [link for link in dashboard.read("/admin/").all("a") if link.attributes["href"] == PAGE]
    assert link.words == "Settings"
    assert dashboard.read(PAGE).one("a", aria_current="page").words == "Settings"


def test_a_stranger_is_asked_to_sign_in(client: Visitor, staff: User) -> None:
    assert client.get(PAGE).location == "/login?next=/admin/settings"
    token = client.read("/login").fields["csrf_token"]
    answer = client.post(PAGE, data={"csrf_token": token, "shows": "nothing"})
    assert (answer.status_code, answer.location) == (302, "/login")
    assert db.session.query(Preference).count() == 0


def test_without_a_choice_the_operators_defaults_are_shown(reserved: Visitor) -> None:
    page = reserved.read(PAGE)
    fields = page.fields
    assert (fields["quiet_from"], fields["quiet_until"], "quiet" in fields) == ("21:30", "06:15", True)
    assert (fields["burst_count"], fields["burst_seconds"], "burst" in fields) == ("3", "45", True)
    assert fields["kinds"] == ["feedback", "reply", "api"]
    assert (fields["shows"], fields["language"], fields["time_zone"]) == ("name", "", "")
    assert "Same as the site: Europe/Vilnius" in page.one("select", name="time_zone").words


def test_no_more_can_be_chosen_than_the_operator_shows(reserved: Visitor) -> None:
    page = reserved.read(PAGE)
    assert [box.attributes["value"] for box in page.all("input", name="shows")] == ["name", "nothing"]
    assert refused(reserved.send(PAGE, shows="all"), field="shows") == "Please choose from the list."


def test_choices_are_applied_and_shown(app: Flask) -> None:
    visitor, user = Visitor(app), make_user("staff@example.org")
    visitor.sign_in(user.email, PASSWORD)
    answer = visitor.send(
        PAGE,
        shows="name",
        quiet="y",
        quiet_from="23:15",
        quiet_until="05:45",
        burst="y",
        burst_count="4",
        burst_seconds="300",
        time_zone="America/Lima",
    )
    assert (answer.status_code, answer.location) == (303, PAGE)
    hours, lima = QuietHours(time(23, 15), time(5, 45)), ZoneInfo("America/Lima")
    assert wishes_of(user) == EffectivePreferences(PreviewLevel.NAME, hours, Burst(4, 300), lima)
    page = visitor.read(PAGE)
    assert page.one(role="status").words == "Your settings are saved."
    assert (page.fields["quiet_from"], page.fields["burst_seconds"]) == ("23:15", "300")
    assert page.fields["time_zone"] == "America/Lima"
    assert checked(page, "shows") == ["name"]
    assert visitor.read(PAGE).all(id="saved") == []


def test_a_disabled_option_requires_no_values(dashboard: Visitor, staff: User) -> None:
    set_preferences(staff, quiet_hours=NIGHT, burst=Burst(3, 60))
    fields = dashboard.read(PAGE).fields
    kept = {name: fields[name] for name in ("csrf_token", "shows", "language", "time_zone", "kinds")}
    answer = dashboard.post(PAGE, data=kept | {"quiet_from": "late", "burst_count": "many", "burst_seconds": "x"})
    assert answer.status_code == 303
    assert wishes_of(staff) == EffectivePreferences(PreviewLevel.ALL, None, NO_BURST, ZoneInfo("UTC"))


def test_a_kind_that_is_unchecked_is_muted_until_it_is_checked_again(dashboard: Visitor, staff: User) -> None:
    fields = dashboard.read(PAGE).fields
    del fields["kinds"]
    assert dashboard.post(PAGE, data=fields).status_code == 303
    assert preferences.muted_by(staff) == set(notification.OPTIONAL_KINDS)
    assert checked(dashboard.read(PAGE), "kinds") == []
    for kinds, muted in (["feedback"], {"reply", "api"}), (["feedback", "reply", "api"], set()):
        assert dashboard.send(PAGE, kinds=kinds).status_code == 303
        db.session.rollback()
        assert preferences.muted_by(staff) == muted


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"quiet_from": ""}, "quiet_from", "Please enter a time, such as 22:00."),
        ({"quiet_from": "25:00"}, "quiet_from", "Please enter a time, such as 22:00."),
        ({"quiet_until": "soon"}, "quiet_until", "Please enter a time, such as 07:00."),
        ({"quiet_until": "22:00"}, "quiet_until", "Quiet hours must end at a different time than they begin."),
        ({"burst_count": ""}, "burst_count", "Please enter a number."),
        ({"burst_count": "ten"}, "burst_count", "Please enter a number."),
        ({"burst_count": "0"}, "burst_count", "Please enter a number from 1 to 1000."),
        ({"burst_count": "1001"}, "burst_count", "Please enter a number from 1 to 1000."),
        ({"burst_count": "9" * 400}, "burst_count", f"Please use at most 100 characters. {CUT}"),
        ({"burst_seconds": "61"}, "burst_seconds", "Please choose from the list."),
        ({"shows": "more"}, "shows", "Please choose from the list."),
        ({"kinds": "gossip"}, "kinds", "Please choose from the list."),
        ({"language": "tlh"}, "language", "Please choose from the list."),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "Please choose from the list."),
    ],
)
def test_an_invalid_form_is_not_saved_and_keeps_its_values(
    dashboard: Visitor, staff: User, typed: dict[str, str], field: str, words: str
) -> None:
    everything = {"quiet": "y", "quiet_from": "22:00", "quiet_until": "08:30", "burst": "y", "burst_count": "12"}
    everything |= {"language": "de", "time_zone": "Asia/Tokyo", "shows": "name"} | typed
    answer = dashboard.send(PAGE, **everything)
    assert refused(answer, field=field) == words
    assert db.session.query(Preference).count() == 0
    db.session.refresh(staff)
    assert (staff.language, staff.time_zone) == (None, None)
    shown = Page(answer).fields
    kept = {name: value for name, value in everything.items() if name != field}
    assert {name: shown[name] for name in kept} == kept
    marked = [element.attributes["id"] for element in Page(answer).all(aria_invalid="true")]
    assert marked in ([field], [])  # the name of a group says it instead


def test_an_address_that_was_typed_in_the_browser_shows_the_same_page(dashboard: Visitor) -> None:
    assert dashboard.get(f"{PAGE}?shows=nothing&saved=1").status_code == 200
    assert checked(dashboard.read(f"{PAGE}?shows=nothing"), "shows") == ["all"]


def test_another_language_is_spoken_from_then_on_here_and_on_every_device(dashboard: Visitor, staff: User) -> None:
    mine, other = device(staff), device(make_user("other@example.org"))
    dashboard.send(PAGE, language="lt")
    assert dashboard.read(PAGE).one("html").attributes["lang"] == "lt"
    assert (_language(mine), _language(other)) == ("lt", "en")
    fields = dashboard.read(PAGE).fields | {"language": ""}
    assert dashboard.post(PAGE, data=fields, headers={"Accept-Language": "de"}).status_code == 303
    assert _language(mine) == "de"
    assert dashboard.read(PAGE).one("html").attributes["lang"] == "en"


def test_a_device_keeps_its_language_while_none_is_chosen(dashboard: Visitor, staff: User) -> None:
    mine = device(staff, language="lt")
    dashboard.send(PAGE, shows="nothing")
    assert _language(mine) == "lt"


def test_a_zone_of_an_earlier_choice_can_be_kept(dashboard: Visitor, staff: User) -> None:
    staff.time_zone = "Japan"  # which is not offered
    db.session.commit()
    assert dashboard.send(PAGE, shows="name").status_code == 303
    db.session.refresh(staff)
    assert staff.time_zone == "Japan"


@pytest.mark.parametrize("page", ["/admin/", "/admin/devices", PAGE])
def test_quiet_hours_are_shown_in_the_administrators_zone(dashboard: Visitor, staff: User, page: str) -> None:
    assert dashboard.read(page).all(id="quiet-now") == []
    staff.time_zone = "Asia/Kolkata"
    hours = quiet_now("Asia/Kolkata")
    set_preferences(staff, quiet_hours=hours)
    words = dashboard.read(page).one(id="quiet-now").words
    assert words.startswith("Notifications are held until ")
    assert f"{int(f'{hours.end:%I}')}:{hours.end:%M}" in words


def test_held_deliveries_are_checked_when_the_preferences_change(dashboard: Visitor, staff: User) -> None:
    device(staff)
    set_preferences(staff, quiet_hours=quiet_now())
    announce()
    [held] = db.session.query(Delivery)
    assert held.state == DeliveryState.HELD
    until = held.held_until
    fields = dashboard.read(PAGE).fields
    del fields["quiet"]
    dashboard.post(PAGE, data=fields)
    db.session.refresh(held)
    assert held.held_until is not None
    assert until is not None
    assert held.held_until < until


def _language(of: Subscription) -> str:
    db.session.refresh(of)
    return of.language


def test_what_is_not_sent_yet_shows_what_is_chosen_now(dashboard: Visitor, staff: User) -> None:
    device(staff)
    announce()
    assert dashboard.send(PAGE, shows="nothing").status_code == 303
    db.session.rollback()
    assert db.session.query(Delivery).one().shows == PreviewLevel.NOTHING


def test_no_group_has_one_choice_alone(dashboard: Visitor, visit: Visit, staff: User) -> None:
    page = dashboard.read(PAGE)
    assert [group.words for group in page.all("legend")] == ["Notify me of", "A notification shows"]
    labels = [label.words for label in page.all("label")]
    assert [labels.count(kind) for kind in ("New feedback", "Replies of visitors")] == [1, 1]
    strict = visit(notification_shows="nothing")
    strict.sign_in(staff.email, PASSWORD)
    page = strict.read(PAGE)
    assert [group.words for group in page.all("legend")] == ["Notify me of"]
    assert "A notification shows: No details" in page.one("main").words
    assert strict.post(PAGE, data=page.fields).status_code == 303
