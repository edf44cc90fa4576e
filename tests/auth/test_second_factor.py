"""Code apps, recovery codes, and the step between the password and the session."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from feedback_push import encryption
from feedback_push.auth import (
    accounts,
    audit,
    notices,
    recovery_codes,
    second_factor,
    sign_in,
    sign_in_links,
    throttle,
    totp,
)
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.factor_models import RecoveryCode, Totp
from feedback_push.auth.models import NoticeEvent, Session, User
from feedback_push.database import db, utcnow
from tests.auth.factors import FACTORS, alert_of, at_localhost, send_code, waiting, with_app, with_codes
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import receive
from tests.visits import Page, Visit, Visitor

# RFC 6238, appendix B, for SHA-1: the times in seconds, and the last six of the eight digits.
RFC_6238 = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
WRONG = "This code is wrong, or it was used already. If a new one fails too, check the clock of your phone."
At = Callable[[float], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> At:
    """Set the clock of the code apps to a number of seconds since 1970."""

    def set_clock(seconds: float) -> None:
        monkeypatch.setattr(totp, "utcnow", lambda: datetime.fromtimestamp(seconds, UTC))

    return set_clock


def sessions_of(user: User) -> int:
    return len(db.session.scalars(select(Session.id).where(Session.user_id == user.id)).all())


def test_the_codes_are_those_of_the_standard_and_each_works_once(
    any_app: Flask, monkeypatch: pytest.MonkeyPatch, at: At
) -> None:
    user = make_user("staff@example.org")
    monkeypatch.setattr(pyotp, "random_base32", lambda: RFC_SECRET)
    assert totp.begin(user) == RFC_SECRET
    db.session.execute(update(Totp).values(confirmed_at=utcnow()))
    for seconds, code in RFC_6238.items():
        at(seconds)
        assert not totp.use(user, f"{int(code) ^ 1:06}")
        assert totp.use(user, f" {code[:3]} {code[3:]} "), seconds
        assert not totp.use(user, code), seconds
    assert RFC_SECRET not in str(list(db.session.execute(Totp.__table__.select())))
    assert any_app.extensions["settings"].secret_key


def test_a_clock_may_be_off_by_one_step_and_not_by_two(app: Flask, staff: User, at: At) -> None:
    code_app, now = with_app(staff), 1_800_000_015
    for steps, works in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        db.session.execute(update(Totp).values(last_step=0))
        at(now)
        assert totp.use(staff, code_app.at(now + 30 * steps)) is works, steps
    at(now)
    assert totp.use(staff, code_app.at(now + 30))
    assert not totp.use(staff, code_app.at(now))  # it is older than the last one that was used


def test_a_code_that_two_browsers_send_at_once_begins_one_session(any_app: Flask) -> None:
    user = make_user("staff@example.org")
    code_app = with_app(user)
    browsers = [waiting(any_app, user) for _ in range(2)]
    code = code_app.now()
    db.session.rollback()
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda browser: send_code(browser, code), browsers))
    assert sorted(answer.status_code for answer in answers) == [303, 422]


def test_the_password_alone_begins_no_session(app: Flask, staff: User) -> None:
    code_app = with_app(staff)
    visitor = at_localhost(app)
    answer = visitor.send("/login?next=/admin/devices", email=staff.email, password=PASSWORD, remember="y")
    assert (answer.status_code, answer.location) == (303, "/login/factor?next=/admin/devices")
    assert [line.partition("=")[0] for line in answer.headers.getlist("Set-Cookie")] == ["session"]
    assert not visitor.signed_in()
    assert sessions_of(staff) == 0
    wrong = send_code(visitor, "000000")
    assert (wrong.status_code, alert_of(wrong)) == (422, WRONG)
    right = send_code(visitor, code_app.now(), address="/login/factor?next=/admin/devices")
    assert (right.status_code, right.location) == (303, "/admin/devices")
    assert db.session.scalars(select(Session.remembered)).all() == [True]
    found = [entry.event for entry in audit.page(about=staff).entries]
    assert found[:2] == [AuditEvent.SIGNED_IN, AuditEvent.SECOND_FACTOR_REFUSED]


def test_a_form_that_was_interrupted_goes_on_after_both_steps(app: Flask, staff: User) -> None:
    message, visitor = receive(), at_localhost(app)
    visitor.sign_in(staff.email, PASSWORD)
    code_app = with_app(staff)
    token = visitor.read("/admin/settings").fields["csrf_token"]
    db.session.execute(update(Session).values(expires_at=utcnow()))
    db.session.commit()
    form = {"csrf_token": token, "move": "archive", "id": message.id}
    asked = visitor.post("/admin/messages/move", data=form)
    second = visitor.send(asked.location or "", email=staff.email, password=PASSWORD)
    assert visitor.read(second.location or "").one(id="interrupted").words.endswith("Archive 1 message")
    send_code(visitor, code_app.now(), address=second.location or "")
    assert visitor.read("/admin/resume").one("h1").words == "Archive 1 message"


def test_the_wait_for_a_second_factor_ends_after_ten_minutes_and_with_the_password(
    app: Flask, staff: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    code_app = with_app(staff)
    changed, late = waiting(app, staff), waiting(app, staff)
    token = changed.read("/login/factor").all(name="csrf_token")[0].attributes["value"]
    accounts.set_password(staff, "another good password")
    db.session.commit()
    answer = changed.post("/login/factor", data={"csrf_token": token, "code": code_app.now()})
    assert (answer.status_code, answer.location) == (303, "/login")
    accounts.set_password(staff, PASSWORD)
    db.session.commit()
    late = waiting(app, staff)
    monkeypatch.setattr(sign_in, "LASTS", timedelta(seconds=-1))
    assert late.get("/login/factor").location == "/login"
    assert late.get("/login/factor/options").status_code == 401
    assert sessions_of(staff) == 0


def test_nobody_waits_with_a_cookie_of_another_kind(app: Flask, staff: User) -> None:
    with_app(staff)
    visitor = at_localhost(app)
    for odd in (None, "text", [], [1, 2], [staff.id, 0.0, True, "signed-in", "x" * 32], {"account_id": 1}):
        with visitor.session_transaction(base_url=visitor.site) as session:
            session["waits_for_second_factor"] = odd
        assert visitor.get("/login/factor").status_code == 303


@pytest.mark.server
def test_codes_by_the_thousand_have_to_wait_and_lock_nobody_out(
    visit: Visit, staff: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "_FREE", -9)  # so that the first wait lasts many minutes
    code_app, codes = with_app(staff), with_codes(staff)

    def asked() -> Visitor:
        visitor = visit(ratelimit_enabled=True)
        visitor.sign_in(staff.email, PASSWORD)
        return visitor

    known = asked()
    assert send_code(known, code_app.now()).status_code == 303
    thief = asked()
    answers = [send_code(thief, f"{number:06}") for number in range(9)]
    assert [answer.status_code for answer in answers][-1] == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1
    fresh = asked()
    assert send_code(fresh, code_app.now()).status_code == 429  # the same account, in another new browser
    assert send_code(fresh, codes[0], "recovery_code").status_code == 303  # which nobody can guess
    known.sign_out()
    known.sign_in(staff.email, PASSWORD)
    db.session.execute(update(Totp).values(last_step=0))
    db.session.commit()
    assert send_code(known, code_app.now()).status_code == 303  # a known browser has its own count
    [refused] = [entry for entry in audit.page(about=staff).entries if entry.event == AuditEvent.SECOND_FACTOR_REFUSED]
    assert refused.count == 1  # the others were not even checked


def test_each_recovery_code_works_once_and_is_told(any_app: Flask) -> None:
    user = make_user("staff@example.org")
    with_app(user)
    codes = with_codes(user)
    assert len(set(codes)) == recovery_codes.COUNT == 10
    assert not [code for code in codes if code.replace("-", "") in str(list(db.session.execute(select(RecoveryCode))))]
    typed = codes[0].upper().replace("-", " ")
    for typing, status in ((typed, 303), (codes[0], 422), ("0000-0000-0000-0000", 422), ("x" * 40, 422)):
        visitor = waiting(any_app, user)
        assert send_code(visitor, typing, "recovery_code").status_code == status, typing
        assert visitor.signed_in() is (status == 303)
    assert recovery_codes.left(user) == 9
    [used] = [entry for entry in audit.page(about=user).entries if entry.event == AuditEvent.RECOVERY_CODE_USED]
    assert audit.label(used) == "Used a recovery code; codes left: 9"
    newest = notices.newest_unseen(user)
    assert newest
    assert newest.event in (NoticeEvent.RECOVERY_CODE_USED, NoticeEvent.NEW_SIGN_IN)
    again = with_codes(user)
    assert not second_factor.use_recovery_code(user, codes[1])
    assert second_factor.use_recovery_code(user, again[1])


def test_a_sign_in_link_replaces_the_password_and_the_second_factor_only_if_told_so(
    app: Flask, staff: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    code_app = with_app(staff)
    runner = app.test_cli_runner()

    def follow(*options: str) -> tuple[Visitor, TestResponse]:
        made = runner.invoke(args=["user", "sign-in-link", staff.email, *options])
        assert made.exit_code == 0
        visitor = at_localhost(app)
        token = visitor.read("/login/link").fields["csrf_token"]
        form = {"csrf_token": token, "token": made.output.strip().partition("#")[2]}
        return visitor, visitor.post("/login/link/use", data=form)

    visitor, answer = follow()
    assert answer.location == "/login/factor"
    assert not visitor.signed_in()
    assert send_code(visitor, code_app.now()).status_code == 303
    visitor, answer = follow("--without-second-factor")
    assert answer.location == "/admin/"
    assert visitor.signed_in()
    assert visitor.read(FACTORS).one("button", class_="link danger", type="submit")  # so they can remove a lost one
    found = {entry.event for entry in audit.page(about=staff).entries}
    assert {AuditEvent.SIGN_IN_LINK_MADE, AuditEvent.FULL_SIGN_IN_LINK_MADE} <= found
    assert sign_in_links.find("x") is None


def test_a_code_app_is_added_with_its_first_code_and_removed(app: Flask, staff: User) -> None:
    visitor = at_localhost(app)
    visitor.sign_in(staff.email, PASSWORD)

    def post(address: str, **form: str) -> Page:
        token = visitor.read("/admin/settings").fields["csrf_token"]
        answer = visitor.post(f"{FACTORS}/{address}", data={"csrf_token": token, **form})
        return Page(answer) if answer.status_code != 303 else visitor.read(FACTORS)

    page = post("app")
    secret = page.one(id="secret").words
    assert page.one("svg")
    assert not totp.is_set_up(staff)
    wrong = post("app/confirm", code="12345")
    assert (wrong.status, wrong.one(id="secret").words) == (422, secret)  # the same QR code, to try again
    page = post("app/confirm", code=pyotp.TOTP(secret).now())
    codes = page.one(id="codes").words.split()
    assert len(codes) == 10
    assert "The code app is added." in page.one(role="status").words
    assert secret not in visitor.get(FACTORS).text
    assert secret not in post("app").one("main").words  # a second one must not replace it
    again = post("recovery-codes").one(id="codes").words.split()
    assert not set(again) & set(codes)
    post("app/remove")
    assert not second_factor.is_set_up(staff)
    assert recovery_codes.left(staff) == 0  # they replace a second factor, so they go with the last one
    found = [entry.event for entry in audit.page(about=staff).entries]
    assert [event for event in found if event.startswith("totp")] == ["totp-removed", "totp-added"]
    assert at_localhost(app).sign_in(staff.email, PASSWORD).location == "/admin/"


def test_a_code_app_outlives_a_change_of_the_master_secret(app: Flask, staff: User) -> None:
    code_app, old = with_app(staff), app.extensions["settings"]
    app.extensions["settings"] = replace(old, secret_key="a new secret for tests", secret_key_previous=old.secret_key)
    assert totp.use(staff, code_app.now())
    assert sum(batch.renewed for batch in encryption.renew()) == 1
    db.session.execute(update(Totp).values(last_step=0))
    app.extensions["settings"] = replace(old, secret_key="a new secret for tests")
    assert totp.use(staff, code_app.now())


def test_a_code_app_of_another_secret_key_is_refused_without_an_error(app: Flask, staff: User) -> None:
    with_app(staff)
    db.session.execute(update(Totp).values(secret="gAAAAA"))
    db.session.commit()
    assert alert_of(send_code(waiting(app, staff), "123456")) == WRONG


@pytest.mark.parametrize("grace", [7])
def test_a_site_can_demand_a_second_factor_after_a_grace_that_it_shows(visit: Visit, staff: User, grace: int) -> None:
    visitor = visit(require_second_factor=True, second_factor_grace_days=grace)
    colleague = make_user("unused@example.org")
    visitor.sign_in(staff.email, PASSWORD)
    page = visitor.read("/admin/")
    assert page.one(id="second-factor-demand").words.startswith("This site demands a second factor from everybody.")
    assert page.one(id="second-factor-demand").raw.count("until")
    since = db.session.scalars(select(User.second_factor_since).order_by(User.id)).all()
    assert None not in since  # the grace of an account that nobody uses has begun, too
    assert colleague.id
    db.session.execute(update(User).values(second_factor_since=utcnow() - timedelta(days=grace)))
    db.session.commit()
    for address in ("/admin/", "/admin/devices", "/admin/messages.csv", "/admin/settings", "/admin/account"):
        assert visitor.get(address).location == FACTORS, address
    token = visitor.read(FACTORS).one("meta", name="csrf-token").attributes["content"]
    headers = {"X-CSRFToken": token}
    assert visitor.get("/push/key", headers=headers).status_code == 403
    assert visitor.post("/admin/messages/move", data={"csrf_token": token, "move": "read"}).location == FACTORS
    secret = Page(visitor.post(f"{FACTORS}/app", data={"csrf_token": token})).one(id="secret").words
    form = {"csrf_token": token, "code": pyotp.TOTP(secret).now()}
    assert visitor.post(f"{FACTORS}/app/confirm", data=form).status_code == 200
    assert visitor.get("/admin/").status_code == 200
    assert not visitor.read("/admin/").all(id="second-factor-demand")
    visitor.post(f"{FACTORS}/app/remove", data={"csrf_token": token})
    assert "Add another one before you remove this one." in visitor.read(FACTORS).alert
    assert totp.is_set_up(staff)


def test_a_site_that_stops_demanding_begins_a_new_grace_the_next_time(app: Flask, staff: User) -> None:
    staff.second_factor_since = utcnow() - timedelta(days=100)
    db.session.commit()
    second_factor.follow_setting(utcnow())
    db.session.commit()
    assert staff.second_factor_since is None


def test_nothing_is_demanded_unless_the_site_says_so(client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD)
    assert not client.read("/admin/").all(id="second-factor-demand")
    assert staff.second_factor_since is None


def test_changing_the_password_needs_a_fresh_proof_where_it_is_one_of_two(app: Flask, staff: User) -> None:
    visitor = at_localhost(app)
    visitor.sign_in(staff.email, PASSWORD)
    token = visitor.read("/admin/account").fields["csrf_token"]
    code_app = with_app(staff)
    db.session.execute(update(Session).values(authenticated_at=utcnow() - timedelta(hours=1)))
    db.session.commit()
    form = {"csrf_token": token, "current": PASSWORD, "new": "battery staple", "again": "battery staple"}
    assert visitor.post("/admin/account/password", data=form).location == "/login/confirm?next=/admin/resume"
    assert visitor.read("/admin/account").one(id="confirm-first")
    assert send_code(visitor, code_app.now(), address="/login/confirm").status_code == 303
    assert visitor.read("/admin/account").one("form", id="password")
    assert visitor.post("/admin/account/password", data=form).location == "/admin/account"
