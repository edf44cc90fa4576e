"""admin/account.py and admin/audit_log.py: the own password, the own sessions, and the log."""

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, update

from feedback_push.auth import accounts, audit, sessions
from feedback_push.auth.audit_models import AuditEntry, AuditEvent
from feedback_push.auth.models import Session, User
from feedback_push.database import db, utcnow
from feedback_push.push.models import Subscription
from tests.conftest import PASSWORD, make_user
from tests.push.malformed import GOOD
from tests.visits import Page, Visit, Visitor

NEW = "battery staple"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/604.1"


def browser(app: Flask, user: User, agent: str = FIREFOX, **more: str) -> Visitor:
    """Return a browser in which the user has signed in."""
    visitor = Visitor(app)
    visitor.environ_base["HTTP_USER_AGENT"] = agent
    assert visitor.sign_in(user.email, PASSWORD, **more).status_code == 303
    return visitor


def change(visitor: Visitor, current: str = PASSWORD, new: str = NEW, again: str | None = None, **more: str) -> Page:
    """Send the form, and the page that is seen then."""
    form = {"current": current, "new": new, "again": new if again is None else again, **more}
    token = visitor.read("/admin/account").fields["csrf_token"]
    answer = visitor.post("/admin/account/password", data={**form, "csrf_token": token})
    return visitor.read("/admin/account") if answer.status_code == 303 else Page(answer)


def press(visitor: Visitor, action: str) -> Page:
    """Press the button of the form with this action, which has to be there; the page that is seen then."""
    page = visitor.read("/admin/account")
    assert page.one("form", action=action)
    assert visitor.post(action, data={"csrf_token": page.fields["csrf_token"]}).location == "/admin/account"
    return visitor.read("/admin/account")


def minutes_pass() -> None:
    """Make the next request record a visit."""
    db.session.execute(update(Session).values(last_seen_at=utcnow() - timedelta(minutes=6)))
    db.session.commit()
    db.session.remove()  # otherwise the request would reuse this test's user object, which has the token


def ends(page: Page) -> list[str]:
    """Return the actions that end one session each."""
    actions = [form.attributes.get("action", "") for form in page.all("form")]
    return [action for action in actions if action.endswith("/end")]


def test_a_changed_password_is_the_only_one_and_ends_every_other_session(app: Flask) -> None:
    user = make_user("staff@example.org")
    here, there = browser(app, user), browser(app, user, IPHONE, remember="y")
    before = here.get_cookie("session", domain="127.0.0.1")
    page = change(here)
    assert page.one(role="status").words == "Your password is changed. All other sessions have ended."
    assert here.signed_in()
    assert not there.signed_in()
    assert Visitor(app).sign_in(user.email, PASSWORD).status_code == 422
    assert Visitor(app).sign_in(user.email, NEW).status_code == 303
    thief = Visitor(app)
    assert before
    thief.set_cookie("session", before.value, domain="127.0.0.1")
    assert not thief.signed_in()


def test_the_browser_that_changes_the_password_keeps_its_notifications_and_the_others_lose_theirs(
    app: Flask,
) -> None:
    user = make_user("staff@example.org")
    here, there = browser(app, user), browser(app, user, IPHONE)
    for visitor, name in ((here, "here"), (there, "there")):
        headers = {"X-CSRFToken": visitor.get("/push/key").headers["X-CSRFToken"], "Referer": visitor.site}
        body = {**GOOD, "endpoint": f"{GOOD['endpoint']}{name}"}
        assert visitor.post("/push/subscribe", json=body, headers=headers).status_code == 200
    change(here)
    devices = db.session.query(Subscription).order_by(Subscription.id).all()
    assert [bool(device.suspended_at) for device in devices] == [False, True]
    assert [device.session_id for device in devices] == [sessions.of(user)[0].id, None]
    # Where the script names the device of this browser, one that a copied cookie has added is none of it.
    headers = {"X-CSRFToken": here.get("/push/key").headers["X-CSRFToken"], "Referer": here.site}
    thiefs = {**GOOD, "endpoint": f"{GOOD['endpoint']}thief"}
    assert here.post("/push/subscribe", json=thiefs, headers=headers).status_code == 200
    change(here, current=NEW, new="a third password", endpoint=f"{GOOD['endpoint']}here")
    db.session.rollback()
    last = db.session.query(Subscription).order_by(Subscription.id).all()
    assert [bool(device.suspended_at) for device in last] == [False, True, True]
    for nothing in ("", "\0", "x" * 5000):
        change(here, current="a third password", new="a third password", endpoint=nothing)
    db.session.rollback()
    assert all(device.suspended_at for device in last)


@pytest.mark.parametrize("remember", [{}, {"remember": "y"}])
def test_a_browser_that_is_remembered_stays_so_after_a_change(
    app: Flask, staff: User, remember: dict[str, str]
) -> None:
    here = browser(app, staff, **remember)
    change(here)
    assert [session.remembered for session in sessions.of(staff)] == [bool(remember)]
    here.delete_cookie("session", domain="127.0.0.1")
    assert here.signed_in() is bool(remember)


def test_it_stays_so_also_where_the_change_is_the_first_request_for_minutes(app: Flask, staff: User) -> None:
    here = browser(app, staff, remember="y")
    token = here.read("/admin/account").fields["csrf_token"]
    minutes_pass()
    form = {"current": PASSWORD, "new": NEW, "again": NEW, "csrf_token": token}
    assert here.post("/admin/account/password", data=form).status_code == 303
    assert [session.remembered for session in db.session.query(Session)] == [True]


@pytest.mark.parametrize(
    ("current", "new", "again", "words"),
    [
        ("", NEW, NEW, "Please enter your password."),
        ("x" * 1001, NEW, NEW, "Please use at most 1,000 characters."),
        ("wrong password", NEW, NEW, "This is not your current password."),
        (PASSWORD, "", "", "Please enter a new password."),
        (PASSWORD, NEW, "battery stable", "This does not match the new password above."),
        (PASSWORD, "1234567", "1234567", "A password needs at least 8 characters."),
        (PASSWORD, "x" * 1001, "x" * 1001, "Please use at most 1,000 characters."),
        (PASSWORD, "staff@example.org", "staff@example.org", "part of your e-mail address"),
        (PASSWORD, "sunshine", "sunshine", "very common"),
    ],
)
def test_a_password_that_cannot_be_changed_stays_and_the_page_says_why(
    app: Flask, staff: User, current: str, new: str, again: str, words: str
) -> None:
    here, there = browser(app, staff), browser(app, staff)
    page = change(here, current, new, again)
    assert page.status == 422
    assert words in " ".join(error.words for error in page.all("p", class_="error"))
    assert page.one("title").words.startswith("Error: ")
    assert [page.fields.get(name) for name in ("current", "new", "again")] == ["", "", ""]
    db.session.rollback()
    assert accounts.has_password(staff, PASSWORD)
    assert here.signed_in()
    assert there.signed_in()


def test_guessing_the_current_password_is_slowed_down_and_written_down(visit: Visit, staff: User) -> None:
    app = visit(ratelimit_enabled=True, redis_url="redis://127.0.0.1:1/0").application
    here = browser(app, staff)
    pages = [change(here, current="wrong password") for _ in range(12)]
    refused = next(page for page in pages if page.status == 429)
    assert 5 <= pages.index(refused) < 12
    assert refused.alert.startswith("Too many tries.")
    [failed] = [entry for entry in audit.page(about=staff).entries if entry.event == AuditEvent.SIGN_IN_FAILED]
    assert failed.count == len([page for page in pages if page.status == 422])


def test_sessions_are_listed_with_their_browsers_and_this_one_is_marked(app: Flask, staff: User) -> None:
    browser(app, staff, IPHONE)
    browser(app, make_user("ada@example.org"))
    here = browser(app, staff)
    page = here.read("/admin/account")
    [own, other] = [item for item in page.all("li") if "last seen" in item.words]
    assert own.words.startswith("Firefox on Linux This session")
    assert other.words.startswith("Safari on iPhone End")
    assert len(ends(page)) == 1


def test_each_session_says_when_it_ends_at_the_latest(app: Flask, staff: User) -> None:
    browser(app, staff, IPHONE, remember="y")
    page = browser(app, staff).read("/admin/account")
    times = [datetime.fromisoformat(time.attributes["datetime"]) for time in page.all("time")[:6]]
    assert [times[2] - times[0], times[5] - times[3]] == [timedelta(hours=24), timedelta(days=90)]
    assert page.all("p", class_="detail")[0].words.endswith("at the latest")


def test_one_session_can_be_ended(app: Flask) -> None:
    user = make_user("staff@example.org")
    phone, here = browser(app, user, IPHONE), browser(app, user)
    [action] = ends(here.read("/admin/account"))
    page = press(here, action)
    assert page.one(role="status").words == "The session of Safari on iPhone has ended."
    assert not phone.signed_in()
    assert here.signed_in()
    assert here.post(action, data={"csrf_token": page.fields["csrf_token"]}).status_code == 303


def test_browsers_are_named_in_the_readers_language(app: Flask, staff: User) -> None:
    staff.language = "de"
    db.session.commit()
    browser(app, staff, IPHONE)
    here = browser(app, staff)
    page = here.read("/admin/account")
    [action] = ends(page)
    assert [name.words for name in page.all("bdi")][1:3] == ["Firefox auf Linux", "Safari auf iPhone"]
    labels = [button.attributes.get("aria-label") for button in page.all("button")]
    assert "Sitzung von Safari auf iPhone beenden" in labels
    assert any("Firefox auf Linux" in detail.words for detail in page.all("p", class_="detail"))
    page = press(here, action)
    assert page.one(role="status").words == "Die Sitzung von Safari auf iPhone ist beendet."
    assert "Sitzung von Safari auf iPhone beendet" in [entry.words for entry in page.all("bdi")]


def test_ending_the_others_as_the_first_request_for_minutes_keeps_the_own_session(app: Flask, staff: User) -> None:
    other, here = browser(app, staff, IPHONE), browser(app, staff)
    token = here.read("/admin/account").fields["csrf_token"]
    minutes_pass()
    answer = here.post("/admin/account/sessions/end-others", data={"csrf_token": token})
    assert answer.location == "/admin/account"
    assert here.signed_in()
    assert not other.signed_in()


def test_all_others_can_be_ended_at_once(app: Flask) -> None:
    user = make_user("staff@example.org")
    others = [browser(app, user, IPHONE), browser(app, user)]
    stranger, here = browser(app, make_user("ada@example.org")), browser(app, user)
    page = press(here, "/admin/account/sessions/end-others")
    assert page.one(role="status").words == "2 sessions have ended."
    assert [other.signed_in() for other in others] == [False, False]
    assert here.signed_in()
    assert stranger.signed_in()
    assert not page.all("form", action="/admin/account/sessions/end-others")


def test_a_link_changes_nothing(app: Flask, staff: User) -> None:
    browser(app, staff)
    here = browser(app, staff)
    for action in ("/admin/account/password", "/admin/account/sessions/end-others", *ends(here.read("/admin/account"))):
        assert here.get(action).status_code == 405
        assert here.post(action).status_code == 400
    assert len(sessions.of(staff)) == 2


def test_the_account_shows_its_latest_entries_and_the_log_those_of_all(app: Flask, staff: User) -> None:
    db.session.execute(delete(AuditEntry))
    db.session.commit()
    here = browser(app, staff)
    other = make_user("ada@example.org")
    Visitor(app).sign_in(other.email, "wrong password")
    Visitor(app).sign_in("nobody@example.org", "wrong password")
    audit.record(AuditEvent.KEY_ROTATED)
    db.session.commit()
    mine = [item.words for item in here.read("/admin/account").all("li") if "data-event" in item.attributes]
    assert len(mine) == 1
    assert mine[0].startswith("Signed in")
    every = [item for item in here.read("/admin/audit").all("li") if "data-event" in item.attributes]
    assert [item.attributes["data-event"] for item in every] == [
        *("key-rotated", "sign-in-failed", "sign-in-failed", "account-created", "signed-in")
    ]
    assert "the site · on the command line" in every[0].words
    assert "an unknown account" in every[1].words
    assert "ada@example.org" in every[2].words
    assert "127.0.0.1" not in here.get("/admin/audit").text.replace("http://127.0.0.1", "")


def test_an_entry_says_whether_it_came_from_the_readers_network_and_shows_no_hash(app: Flask, staff: User) -> None:
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    with app.test_request_context(environ_overrides=elsewhere):
        audit.record(AuditEvent.DEVICE_ADDED, staff, device="Phone")
        db.session.commit()
    here = browser(app, staff)
    for address in ("/admin/account", "/admin/audit"):
        page = here.read(address)
        assert "in another network" in page.one("li", data_event="device-added").words
        assert "in this network" in page.one("li", data_event="signed-in").words
        for entry in audit.page().entries:
            assert not entry.address_hash or entry.address_hash[:8] not in page.one("main").words


def test_a_counted_entry_shows_its_count(app: Flask, staff: User) -> None:
    for _ in range(3):
        Visitor(app).sign_in(staff.email, "wrong password")
    page = browser(app, staff).read("/admin/account")
    [failed] = page.all("li", data_event="sign-in-failed")
    assert "3 times" in failed.words


def test_the_log_is_read_page_by_page(app: Flask, staff: User) -> None:
    for number in range(120):
        audit.record(AuditEvent.DEVICE_ADDED, staff, device=f"Number {number}")
    db.session.commit()
    here = browser(app, staff)
    seen, page = [], here.read("/admin/audit")
    while True:
        seen += [item.words for item in page.all("li") if "Number" in item.words]
        following = page.all("a", rel="next")
        if not following:
            break
        page = here.read(following[0].attributes["href"])
    assert [words.split("Number ")[1].split()[0] for words in seen] == [str(number) for number in range(119, -1, -1)]
    assert page.all("a", href="/admin/audit")


@pytest.mark.parametrize("cursor", ["", "x", "-1", "0", "1.5", str(2**63), "9" * 40])
def test_a_made_up_cursor_does_no_harm(app: Flask, staff: User, cursor: str) -> None:
    assert browser(app, staff).get(f"/admin/audit?before={cursor}").status_code == 200


def test_log_entries_are_shown_as_text(app: Flask, staff: User) -> None:
    audit.record(AuditEvent.DEVICE_RENAMED, staff, before="<b>x</b>", device="<script>alert(1)</script>")
    db.session.commit()
    text = browser(app, staff).get("/admin/audit").text
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
