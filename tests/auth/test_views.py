"""auth/views.py: signing in and out, as a browser does it."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Timer
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import argon2
import pytest
from flask import Flask
from flask_login import current_user
from sqlalchemy import select, update

from feedback_push.auth import accounts, audit, sessions, throttle
from feedback_push.auth.audit_models import AuditEntry
from feedback_push.auth.models import Session, User
from feedback_push.concurrency_limit import ConcurrencyLimit
from feedback_push.counters import Counters
from feedback_push.database import db, utcnow
from feedback_push.feedback.models import Message
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import message
from tests.push.statements import recorded_statements
from tests.visits import Page, Visit, Visitor

OTHER_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=32, parallelism=1)
WRONG = "The e-mail address or the password is wrong."


def test_an_administrator_signs_in_and_reads_the_inbox(app: Flask) -> None:
    visitor, user = Visitor(app), make_user("staff@example.org")
    assert not visitor.signed_in()
    answer = visitor.sign_in(f" {user.email.upper()} ", PASSWORD)
    assert (answer.status_code, answer.location) == (303, "/admin/")
    assert visitor.signed_in()
    assert not Visitor(app).signed_in()


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(client: Visitor, staff: User) -> None:
    pages = [
        Page(client.sign_in(staff.email, "wrong password")),
        Page(client.sign_in("nobody@example.org", PASSWORD)),
    ]
    assert [page.status for page in pages] == [422, 422]
    assert [page.alert for page in pages] == [WRONG, WRONG]
    assert pages[0].fields["email"] == staff.email
    assert pages[0].fields["password"] == ""
    assert not client.signed_in()


@pytest.mark.parametrize(
    ("email", "password"),
    [("", PASSWORD), ("staff@example.org", ""), ("", ""), ("x" * 321, PASSWORD), ("staff@example.org", "x" * 1001)],
)
@pytest.mark.usefixtures("staff")
def test_an_incomplete_form_comes_back(client: Visitor, email: str, password: str) -> None:
    page = Page(client.sign_in(email, password))
    assert page.status == 422
    assert page.fields["email"] == email[:320]
    assert page.all(class_="error")
    assert page.one("title").words.startswith("Error: ")


def test_odd_input_is_just_wrong(any_app: Flask) -> None:
    visitor, user = Visitor(any_app), make_user("staff@example.org")
    email = user.email
    for odd in ("\0", "\ufffd", f"{email}' OR '1'='1", "🔑", "x" * 320):
        assert (odd, visitor.sign_in(odd, PASSWORD).status_code) == (odd, 422)
        assert (odd, visitor.sign_in(email, odd).status_code) == (odd, 422)


@pytest.mark.parametrize(
    "wanted", ["/admin/messages/7", "/admin/?before=12", "/admin/devices", "/feedback/?a=b&c=ü", "/admin/%2F"]
)
def test_after_signing_in_people_get_where_they_wanted_to_go(client: Visitor, staff: User, wanted: str) -> None:
    answer = client.send(f"/login?next={quote(wanted)}", email=staff.email, password=PASSWORD)
    assert answer.status_code == 303
    assert urljoin("http://here/", answer.location or "") == urljoin("http://here/", quote(wanted, safe="/?&=%"))


@pytest.mark.parametrize(
    "hostile",
    ["https://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "evil.example",
     "/\t/evil.example", "/\n/evil.example", "\t//evil.example", "javascript:alert(1)", "http:evil.example",
     "%2F%2Fevil.example", "/%09/evil.example", "/%5cevil.example", "/.//evil.example", "/..//evil.example", "",
     "@evil.example", "/;//evil.example", "//evil.example\\@127.0.0.1:8000/", "/\r\nLocation: https://evil.example",
     "\uff0eevil.example", "/\uff0fevil.example"],
)  # fmt: skip
def test_signing_in_never_leads_to_another_site(client: Visitor, staff: User, hostile: str) -> None:
    address = f"/login?next={quote(hostile, safe='')}"
    for answer in (client.send(address, email=staff.email, password=PASSWORD), client.get(address)):
        assert answer.status_code in (302, 303)
        target = urlsplit(urljoin("https://here.example/login", answer.location or "//none"))
        assert (target.scheme, target.netloc) == ("https", "here.example")
        assert "\\" not in (answer.location or "")


def test_the_form_keeps_where_people_wanted_to_go(client: Visitor, staff: User) -> None:
    answer = client.get("/admin/devices")
    assert answer.location
    client.send(answer.location, email=staff.email, password="wrong password")
    assert client.send(answer.location, email=staff.email, password=PASSWORD).location == "/admin/devices"


def test_a_signed_in_administrator_skips_the_form(client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD)
    answer = client.get("/login?next=/admin/devices")
    assert (answer.status_code, answer.location) == (302, "/admin/devices")


@pytest.mark.parametrize(
    ("site_url", "prefix"), [("https://feedback.example.org", "__Host-"), ("http://127.0.0.1:8000", "")]
)
def test_cookies_are_out_of_reach_of_scripts_other_sites_and_plain_http(
    visit: Visit, staff: User, site_url: str, prefix: str
) -> None:
    visitor = visit(site_url=site_url)
    answer = visitor.sign_in(staff.email, PASSWORD, remember="y")
    cookies = {line.partition("=")[0]: line.split("; ")[1:] for line in answer.headers.getlist("Set-Cookie")}
    assert cookies.keys() == {f"{prefix}{name}" for name in ("session", "remember_token", "known_browser")}
    for flags in cookies.values():
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(flags)
        assert ("Secure" in flags) is bool(prefix)
        assert not [flag for flag in flags if flag.startswith("Domain")]
    assert visitor.signed_in()


def test_a_session_ends_with_the_browser_unless_it_is_to_be_remembered(client: Visitor, staff: User) -> None:
    answer = client.sign_in(staff.email, PASSWORD)
    assert "remember_token" not in str(answer.headers)
    assert "Expires" not in client.cookie_line(answer, "session")
    client.delete_cookie("session", domain="127.0.0.1")
    assert not client.signed_in()


def test_a_remembered_browser_stays_signed_in_for_14_days(client: Visitor, staff: User) -> None:
    answer = client.sign_in(staff.email, PASSWORD, remember="y")
    line = dict(part.partition("=")[::2] for part in client.cookie_line(answer, "remember_token").split("; "))
    assert abs(parsedate_to_datetime(line["Expires"]) - datetime.now(UTC) - timedelta(days=14)) < timedelta(minutes=5)
    client.delete_cookie("session", domain="127.0.0.1")
    assert client.signed_in()


def test_a_changed_cookie_is_worth_nothing(client: Visitor, app: Flask, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD, remember="y")
    for name in ("session", "remember_token"):
        cookie = client.get_cookie(name, domain="127.0.0.1")
        assert cookie
        forger = Visitor(app)
        forger.set_cookie(name, cookie.value[:-4] + "AAAA", domain="127.0.0.1")
        assert not forger.signed_in()


def test_signing_in_changes_the_session_so_that_none_can_be_foisted_on_anyone(client: Visitor, staff: User) -> None:
    token = client.read("/login").fields["csrf_token"]
    client.sign_in(staff.email, PASSWORD)
    headers = {"Referer": "http://127.0.0.1:8000/admin/"}
    assert client.post("/logout", data={"csrf_token": token}, headers=headers).status_code == 400
    assert client.signed_in()


def test_signing_out_ends_the_session_and_what_was_remembered(client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD, remember="y")
    answer = client.sign_out()
    assert (answer.status_code, answer.location) == (303, "/login")
    assert "01 Jan 1970" in client.cookie_line(answer, "remember_token")
    assert client.get_cookie("remember_token", domain="127.0.0.1") is None
    assert not client.signed_in()
    client.delete_cookie("session", domain="127.0.0.1")
    assert not client.signed_in()


def test_cookies_kept_from_before_signing_out_are_worth_nothing(client: Visitor, app: Flask, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD, remember="y")
    thief = Visitor(app)
    for name in ("session", "remember_token"):
        cookie = client.get_cookie(name, domain="127.0.0.1")
        assert cookie
        thief.set_cookie(name, cookie.value, domain="127.0.0.1")
    assert thief.signed_in()
    client.sign_out()
    assert not thief.signed_in()


def test_a_session_that_is_over_on_the_server_is_over_whatever_the_cookies_say(client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD, remember="y")
    db.session.execute(update(Session).values(expires_at=utcnow()))
    db.session.commit()
    assert not client.signed_in()


@pytest.mark.parametrize(
    "page", ["/login", "/admin/", "/admin/sw.js", "/admin/subscribe.js", "/push/key", "/feedback/"]
)
def test_no_answer_to_somebody_who_has_yet_to_sign_in_takes_the_session_along(client: Visitor, page: str) -> None:
    # A browser sends several requests at once, and the last response to arrive sets its cookie.
    client.get("/login")
    assert client.get(page).headers.getlist("Set-Cookie") == []


@pytest.mark.parametrize("lost", [["session"], []])
def test_a_remembered_session_that_has_ended_is_forgotten_once(client: Visitor, staff: User, lost: list[str]) -> None:
    client.sign_in(staff.email, PASSWORD, remember="y")
    db.session.execute(update(Session).values(expires_at=utcnow()))
    db.session.commit()
    for name in lost:
        client.delete_cookie(name, domain="127.0.0.1")
    assert "01 Jan 1970" in client.cookie_line(client.get("/login"), "remember_token")
    assert client.get("/admin/sw.js").headers.getlist("Set-Cookie") == []
    client.sign_in(staff.email, PASSWORD)
    assert client.signed_in()


@pytest.mark.parametrize(("remember", "lasts"), [({"remember": "y"}, 14 * 24), ({}, 12)])
def test_every_visit_lets_a_session_last_on_in_the_table_and_in_the_cookie(
    app: Flask, remember: dict[str, str], lasts: int
) -> None:
    visitor, user = Visitor(app), make_user("staff@example.org")
    visitor.sign_in(user.email, PASSWORD, **remember)
    assert "remember_token" not in str(visitor.get("/admin/").headers)
    earlier = utcnow() - timedelta(hours=11)
    db.session.execute(update(Session).values(last_seen_at=earlier, expires_at=earlier + timedelta(hours=12)))
    db.session.commit()
    answer = visitor.get("/admin/")
    assert ("remember_token" in str(answer.headers)) is bool(remember)
    [session] = sessions.of(user)
    assert abs(session.expires_at - utcnow() - timedelta(hours=lasts)) < timedelta(minutes=1)
    assert abs(session.last_seen_at - utcnow()) < timedelta(minutes=1)


def test_who_is_signed_in_is_one_question_to_the_database_and_nothing_is_written(client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD, remember="y")
    with recorded_statements() as statements:
        client.get("/admin/devices")
    about_auth = [statement for statement in statements if "auth_" in statement and "FROM auth_notice" not in statement]
    assert len(about_auth) == 1
    assert about_auth[0].startswith("SELECT")


def test_noting_a_visit_takes_nothing_along_that_the_request_has_begun(
    client: Visitor, app: Flask, staff: User
) -> None:
    def view() -> str:
        db.session.add(message(content="half done"))
        db.session.flush()
        name = str(current_user.email)
        db.session.rollback()
        return name

    app.add_url_rule("/half-done", view_func=view)
    client.sign_in(staff.email, PASSWORD)
    db.session.execute(update(Session).values(last_seen_at=utcnow() - timedelta(hours=1)))
    db.session.commit()
    assert client.get("/half-done").text == staff.email
    assert db.session.scalars(select(Message)).all() == []


def test_a_session_is_named_after_its_browser(client: Visitor, staff: User) -> None:
    client.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"
    client.sign_in(staff.email, PASSWORD)
    assert [(session.browser, session.remembered) for session in sessions.of(staff)] == [("Firefox on Linux", False)]


def test_signing_in_and_out_is_written_down(client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, "wrong password")
    client.sign_in(f" {staff.email.upper()} ", "another wrong password")
    client.sign_in("nobody@example.org", "a wrong password")
    client.sign_in(f" {staff.email.upper()}", PASSWORD)
    client.sign_out()
    assert [(entry.event, entry.email, entry.count) for entry in audit.page().entries] == [
        ("signed-out", staff.email, 1),
        ("signed-in", staff.email, 1),
        ("sign-in-failed", "", 1),
        ("sign-in-failed", staff.email, 2),
        ("account-created", staff.email, 1),
    ]
    assert "nobody" not in str(db.session.execute(select(AuditEntry.__table__)).all())


def test_signing_out_in_one_browser_leaves_the_others(app: Flask, staff: User) -> None:
    phone, laptop = Visitor(app), Visitor(app)
    phone.sign_in(staff.email, PASSWORD)
    laptop.sign_in(staff.email, PASSWORD)
    phone.sign_out()
    assert not phone.signed_in()
    assert laptop.signed_in()


def test_a_link_cannot_sign_anybody_out(client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD)
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").status_code == 400
    assert client.signed_in()


def test_a_new_password_signs_every_browser_out(app: Flask) -> None:
    user, kept = make_user("staff@example.org"), make_user("ada@example.org")
    browsers = [Visitor(app), Visitor(app)]
    browsers[0].sign_in(user.email, PASSWORD)
    browsers[1].sign_in(user.email, PASSWORD, remember="y")
    other = Visitor(app)
    other.sign_in(kept.email, PASSWORD)
    accounts.set_password(user, "battery staple")
    db.session.commit()
    assert not [browser for browser in browsers if browser.signed_in()]
    browsers[1].delete_cookie("session", domain="127.0.0.1")
    assert not browsers[1].signed_in()
    assert other.signed_in()


def test_a_removed_account_is_signed_out(client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD)
    db.session.delete(staff)
    db.session.commit()
    assert not client.signed_in()


def test_the_form_needs_its_token(client: Visitor, staff: User) -> None:
    form = {"email": staff.email, "password": PASSWORD}
    assert client.post("/login", data=form).status_code == 400
    assert client.post("/login", data={**form, "csrf_token": "made up"}).status_code == 400
    assert not client.signed_in()


def test_a_token_of_another_browser_is_refused(client: Visitor, app: Flask, staff: User) -> None:
    token = Visitor(app).read("/login").fields["csrf_token"]
    client.get("/login")
    form = {"email": staff.email, "password": PASSWORD, "csrf_token": token}
    assert client.post("/login", data=form).status_code == 400


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The slow things that were done, hashing and asking Redis, each with a mark where others had to wait for them."""
    done: list[str] = []

    def watch(owner: type, name: str) -> None:
        method = getattr(owner, name)

        def watched(*args: Any) -> Any:
            done.append(f"{name}, in a transaction" if db.session().in_transaction() else name)
            return method(*args)

        monkeypatch.setattr(owner, name, watched)

    watch(argon2.PasswordHasher, "hash")
    watch(argon2.PasswordHasher, "verify")
    watch(Counters, "ask")  # where all that asks Redis comes through
    accounts._nobodys_hash.cache_clear()  # noqa: SLF001 - made once in a process
    return done


def test_nobody_waits_for_whoever_signs_in(client: Visitor, staff: User, slow: list[str]) -> None:
    staff.password_hash = OTHER_HASHER.hash(PASSWORD)
    client.sign_in(staff.email, PASSWORD)
    sessions.end_all(staff)
    db.session.commit()
    slow.clear()
    assert client.sign_in("nobody@example.org", "wrong password").status_code == 422  # with an old cookie
    assert slow == ["ask", "ask", "hash", "verify", "ask"]
    slow.clear()
    staff.password_hash = OTHER_HASHER.hash(PASSWORD)
    db.session.commit()
    slow.clear()
    assert client.sign_in(staff.email, PASSWORD).status_code == 303
    assert slow == ["ask", "ask", "verify", "hash", "ask"]


def test_nobody_waits_for_whoever_changes_a_password(client: Visitor, staff: User, slow: list[str]) -> None:
    client.sign_in(staff.email, PASSWORD)
    token = client.read("/admin/account").fields["csrf_token"]
    slow.clear()
    form = {"current": PASSWORD, "new": "battery staple", "again": "battery staple", "csrf_token": token}
    assert client.post("/admin/account/password", data=form).status_code == 303
    assert slow == ["ask", "verify", "ask", "hash"]
    slow.clear()
    make_user("ada@example.org")
    assert slow == ["hash"]


def test_signing_out_ends_the_session_also_where_that_request_is_the_first_for_minutes(
    client: Visitor, staff: User
) -> None:
    client.sign_in(staff.email, PASSWORD)
    token = client.read("/admin/").fields["csrf_token"]
    db.session.execute(update(Session).values(last_seen_at=utcnow() - timedelta(hours=1)))
    db.session.commit()
    db.session.remove()  # or this test would hold the user for the request
    client.post("/logout", data={"csrf_token": token}, headers={"Referer": client.site})
    assert db.session.query(Session).count() == 0


def test_where_too_many_sign_in_a_stranger_keeps_the_form_and_a_known_browser_gets_in(
    client: Visitor, app: Flask, staff: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.sign_in(staff.email, PASSWORD)
    client.sign_out()
    monkeypatch.setattr(accounts, "hashing", ConcurrencyLimit(1, patience=10))
    monkeypatch.setattr(throttle.Attempt, "start", lambda _: pytest.fail("counted as a try"))
    leave = accounts.hashing.enter()
    answer = Visitor(app).sign_in(staff.email, PASSWORD)
    page = Page(answer)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "Many people are signing in" in page.alert
    assert (page.fields["email"], page.fields["password"]) == (staff.email, "")
    monkeypatch.undo()
    monkeypatch.setattr(accounts, "hashing", ConcurrencyLimit(1, patience=10))
    leave = accounts.hashing.enter()
    Timer(0.2, leave).start()
    assert client.sign_in(staff.email, PASSWORD).status_code == 303
