"""admin/notices.py: the banner, the page of a notice, and “This was not me”."""

import time

import pytest
from flask import Flask
from itsdangerous import TimestampSigner
from sqlalchemy import select

from feedback_push.auth import audit, notices, sessions
from feedback_push.auth.models import Notice, NoticeEvent, User
from feedback_push.database import db, utcnow
from feedback_push.push.models import Subscription
from tests.admin.test_account import FIREFOX, IPHONE, browser
from tests.conftest import PASSWORD, make_user
from tests.push.malformed import GOOD
from tests.visits import Page, Visit, Visitor


def banner(visitor: Visitor, address: str = "/admin/") -> str:
    return " ".join(element.words for element in visitor.read(address).all(id="security-notice"))


def newest() -> Notice:
    db.session.rollback()
    return db.session.scalars(select(Notice).order_by(Notice.id.desc()).limit(1)).one()


def press(visitor: Visitor, action: str) -> Page:
    """Press the button of the notice's page with this action, which has to be there; the page that is seen then."""
    address = f"/admin/notices/{newest().id}"
    page = visitor.read(address)
    assert page.one("form", action=f"{address}/{action}")
    answer = visitor.post(f"{address}/{action}", data={"csrf_token": page.fields["csrf_token"]})
    assert answer.status_code == 303
    return visitor.read((answer.location or "").partition("#")[0])


def test_the_next_visit_tells_of_a_new_sign_in_until_somebody_has_looked(app: Flask, staff: User) -> None:
    here = browser(app, staff)
    assert banner(here) == ""
    there = browser(app, staff, IPHONE)
    assert banner(here, "/admin/devices") == "New sign-in to your account: Safari on iPhone. Was this you?"
    assert banner(there) == ""
    page = here.read(f"/admin/notices/{newest().id}")
    assert page.one("h1").words == "New sign-in to your account"
    assert [fact.words for fact in page.all("dd")[1:3]] == ["Safari on iPhone", "this network"]
    assert abs(newest().at - utcnow()).total_seconds() < 60
    assert page.one("time")
    assert not there.read(f"/admin/notices/{newest().id}").all("form", action=f"/admin/notices/{newest().id}/not-me")
    press(here, "seen")
    assert banner(here) == ""
    assert there.signed_in()


def test_this_was_not_me_ends_that_session_with_its_devices_and_leads_to_the_password(app: Flask, staff: User) -> None:
    here, there = browser(app, staff), browser(app, staff, IPHONE)
    for visitor, name in ((here, "here"), (there, "there")):
        headers = {"X-CSRFToken": visitor.get("/push/key").headers["X-CSRFToken"], "Referer": visitor.site}
        body = {**GOOD, "endpoint": f"{GOOD['endpoint']}{name}"}
        assert visitor.post("/push/subscribe", json=body, headers=headers).status_code == 200
    page = press(here, "not-me")
    assert page.one("p", role="status").words == (
        "The session of Safari on iPhone has ended. "
        "Now change your password, and remove passkeys and API keys that are not yours."
    )
    assert page.one("form", id="password")
    assert not there.signed_in()
    assert here.signed_in()
    db.session.rollback()
    assert [device.endpoint[-4:] for device in db.session.query(Subscription)] == ["here"]
    log = [audit.label(entry) for entry in audit.page(size=3).entries]
    assert "Answered “This was not me” to: A new device gets your notifications" in log
    assert "Removed" in " ".join(log) or "Turned notifications off: Safari on iPhone" in log
    assert press(here, "not-me").one("p", role="status").words.startswith("That session has ended already.")


def test_after_it_every_other_browser_is_new_again(app: Flask, staff: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: int(time.time()) - 60)
    here, there = browser(app, staff), browser(app, staff, IPHONE)
    monkeypatch.undo()
    press(here, "not-me")
    here.sign_out()
    for visitor in (here, there):
        visitor.sign_in(staff.email, PASSWORD)
    db.session.rollback()
    told = db.session.scalars(select(Notice).where(Notice.event == NoticeEvent.NEW_SIGN_IN)).all()
    assert [notice.browser for notice in told] == ["Safari on iPhone"] * 2


def test_the_own_session_is_not_ended_by_it_and_nobody_sees_a_notice_of_another_account(
    app: Flask, staff: User
) -> None:
    here, there = browser(app, staff), browser(app, staff, IPHONE)
    notice = newest()
    token = there.read("/admin/account").fields["csrf_token"]
    answer = there.post(f"/admin/notices/{notice.id}/not-me", data={"csrf_token": token})
    assert (answer.status_code, answer.location) == (303, "/admin/account#password-title")
    assert there.signed_in()
    other = browser(app, make_user("ada@example.org"))
    assert other.get(f"/admin/notices/{notice.id}").status_code == 404
    assert Visitor(app).get(f"/admin/notices/{notice.id}").location == f"/login?next=/admin/notices/{notice.id}"
    assert len(sessions.of(staff)) == 2
    assert here.signed_in()


def test_without_push_the_banner_tells_all_the_same(visit: Visit, staff: User) -> None:
    app = visit(vapid_private_key="", vapid_public_key="", vapid_subject="").application
    here = browser(app, staff, FIREFOX)
    staff_id = staff.id
    db.session.rollback()
    with app.app_context():
        notices.tell(db.session.get_one(User, staff_id), NoticeEvent.ROLE_CHANGED, role="member", by="Ada")
        db.session.commit()
    assert banner(here) == "Your role was changed. See what happened"
    page = here.read(f"/admin/notices/{newest().id}")
    assert "Another administrator did this." in page.one("section", id="notice").words
    assert [fact.words for fact in page.all("dd")[1:4]] == ["Ada", "on the command line", "Member"]
    assert not page.all("form", action=f"/admin/notices/{newest().id}/not-me")
