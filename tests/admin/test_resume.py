"""admin/resume.py: only the same administrator can continue a form whose session has ended."""

import secrets
import time
from collections.abc import Iterable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from feedback_push import database
from feedback_push.admin.interrupted_actions import ACTIONS
from feedback_push.auth import interrupted, sessions
from feedback_push.auth.models import Session, User
from feedback_push.database import db, utcnow
from feedback_push.feedback.models import Message
from feedback_push.push.models import Subscription
from tests.admin.rows import device
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import receive
from tests.visits import Element, Page, Visitor


def token_of(visitor: Visitor) -> str:
    return str(visitor.read("/admin/settings").fields["csrf_token"])


def end_session(visitor: Visitor) -> None:
    """End the session on the server, as after a long time."""
    db.session.execute(update(Session).values(expires_at=utcnow()))
    db.session.commit()
    assert not visitor.signed_in()


def archive(visitor: Visitor, token: str, *ids: int, **headers: str) -> TestResponse:
    form = {"csrf_token": token, "move": "archive", "id": list(ids), "back": "/admin/?list=new"}
    return visitor.post("/admin/messages/move", data=form, headers=headers)


def sign_in_again(visitor: Visitor, answer: TestResponse, email: str = "staff@example.org") -> Page:
    """Sign in at the page that an answer leads to, and return the page after it."""
    assert (answer.status_code, answer.location) == (303, "/login?next=/admin/resume")
    answer = visitor.send(answer.location or "", email=email, password=PASSWORD)
    assert answer.status_code == 303
    return visitor.read(answer.location or "")


def send_again(visitor: Visitor, page: Page) -> TestResponse:
    form = page.one("form", action="/admin/messages/move")
    assert form.attributes["method"] == "post"
    return visitor.post(form.attributes["action"], data=sent_by(page.all("input")))


def states() -> list[str]:
    found = [str(state) for state in db.session.scalars(select(Message.state).order_by(Message.id))]
    db.session.rollback()
    return found


def test_an_archive_after_the_session_has_ended_goes_on_after_signing_in(dashboard: Visitor) -> None:
    ids, token = [receive().id, receive().id, receive().id], token_of(dashboard)
    end_session(dashboard)
    answer = archive(dashboard, token, *ids[:2])
    told = dashboard.read(answer.location or "").one(id="interrupted").words
    assert told == "Your session has ended. Sign in to continue: Archive 2 messages"
    page = sign_in_again(dashboard, answer)
    assert page.one("h1").words == "Archive 2 messages"
    assert "has not been done yet" in page.one(id="interrupted").words
    assert states() == ["new"] * 3  # nothing is done before it is confirmed
    answer = send_again(dashboard, page)
    assert (answer.status_code, answer.location) == (303, "/admin/?list=new")
    assert states() == ["archived", "archived", "new"]
    assert dashboard.read("/admin/resume").one("h1").words == "Nothing to continue"


def test_without_any_cookie_it_is_the_same(dashboard: Visitor) -> None:
    ids, token = [receive().id], token_of(dashboard)
    dashboard.delete_cookie("session", domain="127.0.0.1")
    page = sign_in_again(dashboard, archive(dashboard, token, *ids))
    assert page.one("h1").words == "Archive 1 message"
    send_again(dashboard, page)
    assert states() == ["archived"]


def test_a_page_from_before_signing_in_again_offers_its_action_once_more(dashboard: Visitor) -> None:
    ids, token = [receive().id], token_of(dashboard)
    dashboard.sign_out()
    dashboard.sign_in("staff@example.org", PASSWORD)
    answer = archive(dashboard, token, *ids)
    assert (answer.status_code, answer.location) == (303, "/admin/resume")
    assert states() == ["new"]
    send_again(dashboard, dashboard.read("/admin/resume"))
    assert states() == ["archived"]


def test_a_session_that_ends_during_the_request_loses_no_action(
    dashboard: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, token = [receive().id], token_of(dashboard)
    hold = sessions.lock_current

    def end_and_hold(user: User) -> int | None:
        db.session.execute(update(Session).values(expires_at=utcnow()))
        db.session.commit()
        return hold(user)

    monkeypatch.setattr(sessions, "lock_current", end_and_hold)
    answer = archive(dashboard, token, *ids)
    monkeypatch.undo()
    assert sign_in_again(dashboard, answer).one("h1").words == "Archive 1 message"


def test_nothing_is_kept_of_what_may_be_forged(dashboard: Visitor, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, own = [receive().id], token_of(dashboard)
    visitors = Visitor(app).read("/feedback/").fields["csrf_token"]
    colleague = Visitor(app)
    colleague.sign_in(make_user("colleague@example.org").email, PASSWORD)
    others = token_of(colleague)

    def refused(token: str, **headers: str) -> None:
        answer = archive(dashboard, token, *ids, **headers)
        assert (answer.status_code, str(answer.location)) == (400, "None"), token
        assert "interrupted" not in session_of(dashboard)

    for token in (visitors, others, "made up", "x" * 400):  # signed in
        refused(token)
    refused(own, **{"Sec-Fetch-Site": "cross-site"})
    end_session(dashboard)
    answer = archive(dashboard, token_of_visitor(dashboard), *ids)  # of a page of visitors, in the same session
    assert answer.status_code == 303
    dashboard.delete_cookie("session", domain="127.0.0.1")
    for token in (visitors, "made up", "x" * 400):  # without a session
        refused(token)
    refused(own, **{"Sec-Fetch-Site": "cross-site"})
    real = time.time
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: real() + 15 * 86400)
    refused(own)
    assert states() == ["new"]


def token_of_visitor(visitor: Visitor) -> str:
    return str(visitor.read("/feedback/").fields["csrf_token"])


def session_of(visitor: Visitor) -> dict[str, object]:
    with visitor.session_transaction() as session:
        return dict(session)


def test_nobody_continues_an_action_of_another_administrator(dashboard: Visitor) -> None:
    ids, token = [receive().id], token_of(dashboard)
    end_session(dashboard)
    page = sign_in_again(dashboard, archive(dashboard, token, *ids), make_user("colleague@example.org").email)
    assert page.one("h1").words == "Nothing to continue"
    assert "interrupted" not in session_of(dashboard)


def test_an_action_can_be_continued_for_an_hour(dashboard: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, token = [receive().id], token_of(dashboard)
    end_session(dashboard)
    answer = archive(dashboard, token, *ids)
    monkeypatch.setattr(interrupted, "utcnow", lambda: database.utcnow() + timedelta(minutes=61))
    assert dashboard.read(answer.location or "").all(id="interrupted") == []
    assert sign_in_again(dashboard, answer).one("h1").words == "Nothing to continue"


def test_every_form_of_the_dashboard_names_its_action_and_no_password_is_kept(
    dashboard: Visitor, app: Flask, staff: User
) -> None:
    with app.test_request_context():
        rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("admin.")]
        posts = {rule.endpoint for rule in rules if "POST" in (rule.methods or ())}
        assert posts == {name for name, action in ACTIONS.items() if action.method == "POST"}
        addresses = app.url_map.bind("127.0.0.1")
        found = set()
        for address in ("/admin/", "/admin/devices", "/admin/settings", "/admin/account"):
            target = ""
            for element in dashboard.read(address).elements:
                target = element.attributes.get("action", address) if element.tag == "form" else target
                if element.attributes.get("type") in ("password", "file"):
                    found.add(str(addresses.match(target, method="POST")[0]))
        assert found
        assert not [endpoint for endpoint in found if ACTIONS[endpoint].keeps_fields]
    token = token_of(dashboard)
    end_session(dashboard)
    form = {"csrf_token": token, "current": PASSWORD, "new": "battery staple", "again": "battery staple"}
    answer = dashboard.post("/admin/account/password", data=form)
    assert "battery" not in str(session_of(dashboard))
    page = sign_in_again(dashboard, answer)
    assert page.one("h1").words == "Change the password"
    assert "your input was not kept" in page.one(id="interrupted").words
    assert [link for link in page.all("a", href="/admin/account") if link.words == "Back to the page"]


def test_what_a_cookie_cannot_hold_is_not_kept_and_that_is_said(dashboard: Visitor) -> None:
    token = token_of(dashboard)
    end_session(dashboard)
    answer = archive(dashboard, token, *range(10**12, 10**12 + 200))
    assert len(dashboard.get_cookie("session", domain="127.0.0.1").value) < 1000  # type: ignore[union-attr]
    page = sign_in_again(dashboard, answer)
    assert "your input was not kept" in page.one(id="interrupted").words
    assert page.all("form", action="/admin/messages/move") == []


def test_the_longest_form_that_is_kept_fits_a_cookie(dashboard: Visitor, staff: User) -> None:
    phone_id, token = device(staff).id, token_of(dashboard)
    end_session(dashboard)
    form = {"csrf_token": token, "name": secrets.token_urlsafe(1_320)}  # which cannot be compressed
    answer = dashboard.post(f"/admin/devices/{phone_id}/rename", data=form)
    line = dashboard.cookie_line(answer, "session")
    assert 2_000 < len(line.partition(";")[0]) < 4_000
    assert sign_in_again(dashboard, answer).fields["name"] == form["name"]


def test_the_settings_and_a_devices_name_go_on_too(dashboard: Visitor, staff: User) -> None:
    phone_id, token = device(staff).id, token_of(dashboard)
    end_session(dashboard)
    answer = dashboard.post(f"/admin/devices/{phone_id}/rename", data={"csrf_token": token, "name": 'My "phone"'})
    page = sign_in_again(dashboard, answer)
    assert page.one("h1").words == "Rename the device"
    dashboard.post(page.one("form", action=f"/admin/devices/{phone_id}/rename").attributes["action"], data=page.fields)
    assert db.session.get_one(Subscription, phone_id).name == 'My "phone"'
    page = dashboard.read("/admin/settings")
    form = sent_by(box for box in page.all("input", checked=""))
    usual = {"quiet_from": "22:00", "quiet_until": "07:00", "burst_count": "10", "burst_seconds": "60"}
    form |= {name: [value] for name, value in usual.items()}
    form |= {"language": ["lt"], "time_zone": ["Europe/Vilnius"], "csrf_token": [page.fields["csrf_token"]]}
    end_session(dashboard)
    page = sign_in_again(dashboard, dashboard.post("/admin/settings", data=form))
    assert page.one("h1").words == "Save the settings"
    again = sent_by(page.all("input", type="hidden"))
    assert {**again, "csrf_token": []} == {**form, "csrf_token": []}
    assert dashboard.post("/admin/settings", data=again).status_code == 303
    db.session.refresh(staff)
    assert (staff.language, staff.time_zone) == ("lt", "Europe/Vilnius")


def sent_by(inputs: Iterable[Element]) -> dict[str, list[str]]:
    """What a form sends, with one token even if the page has several forms."""
    fields: dict[str, list[str]] = {}
    for field in inputs:
        fields.setdefault(field.attributes["name"], []).append(field.attributes["value"])
    return fields | ({"csrf_token": fields["csrf_token"][:1]} if "csrf_token" in fields else {})
