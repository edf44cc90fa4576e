"""Passkeys: made, used, and refused wherever a challenge, an origin, a host, a counter or an account is another one."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from feedback_push import create_app
from feedback_push.auth import accounts, audit, challenges, passkeys, second_factor
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.factor_models import Passkey, RecoveryCode, Totp, UsedChallenge
from feedback_push.auth.models import Session, User
from feedback_push.database import db, utcnow
from feedback_push.feedback import personal_data
from tests.auth.authenticator import PRESENT, Authenticator
from tests.auth.factors import (
    FACTORS,
    add_made,
    add_passkey,
    alert_of,
    at_localhost,
    send_passkey,
    sign_in_with,
    waiting,
    with_app,
)
from tests.conftest import PASSWORD, make_user
from tests.visits import Page, Visit, Visitor

REFUSED = "This passkey did not work. Please try again, or sign in with your e-mail address and password."


@pytest.fixture
def phone(app: Flask, staff: User) -> Authenticator:
    """Return an authenticator with a passkey of the administrator."""
    visitor, authenticator = at_localhost(app), Authenticator()
    visitor.sign_in(staff.email, PASSWORD)
    assert add_passkey(visitor, authenticator).status_code == 200  # with the recovery codes
    return authenticator


def events(user: User) -> list[str]:
    return [entry.event for entry in audit.page(about=user).entries]


def sessions_begun() -> int:
    return len(db.session.scalars(select(Session.id)).all())


def test_a_passkey_signs_in_without_a_password_and_shows_its_last_use(any_app: Flask) -> None:
    staff, authenticator, visitor = make_user("staff@example.org"), Authenticator(), at_localhost(any_app)
    visitor.sign_in(staff.email, PASSWORD)
    made = Page(add_passkey(visitor, authenticator, "Key ring"))
    assert len(made.one(id="codes").words.split()) == 10
    assert "Key ring" in made.one(id="passkeys").words
    assert "Never used." in made.one(id="passkeys").words
    browser = at_localhost(any_app)
    answer = sign_in_with(browser, authenticator)
    assert (answer.status_code, answer.location) == (303, "/admin/")
    assert browser.signed_in()
    assert "Last used" in browser.read(FACTORS).one(id="passkeys").words
    [signed_in] = [entry for entry in audit.page().entries if entry.event == AuditEvent.SIGNED_IN_BY_PASSKEY]
    assert audit.label(signed_in) == "Signed in with the passkey “Key ring”"
    assert browser.get("/admin/messages.json").status_code == 200  # it is a fresh proof, too


def test_after_the_password_the_passkey_is_the_second_factor(app: Flask, staff: User, phone: Authenticator) -> None:
    phone.flags = PRESENT  # as second factor, holding it is enough
    visitor = waiting(app, staff)
    assert not visitor.signed_in()
    options = visitor.get("/login/factor/options").get_json()
    assert len(options["allowCredentials"]) == 1
    answer = send_passkey(visitor, phone.get(options), "/login/factor")
    assert (answer.status_code, answer.location) == (303, "/admin/")
    assert visitor.signed_in()


def test_the_account_of_a_person_names_their_factors_and_goes_with_them(
    app: Flask, staff: User, phone: Authenticator
) -> None:
    with_app(staff)
    make_user("another@example.org")  # for an account must stay
    found = personal_data.account(staff.email)
    assert found
    assert [(key["name"], key["host"]) for key in found["passkeys"]] == [("My phone", "localhost")]
    assert found["code_app"]
    assert found["recovery_codes_left"] == 10
    accounts.delete(staff)
    db.session.commit()
    for table in (Passkey, Totp, RecoveryCode):
        assert list(db.session.scalars(select(table))) == []
    assert alert_of(sign_in_with(at_localhost(app), phone)) == REFUSED


def test_several_passkeys_have_names_and_each_can_be_removed(app: Flask, staff: User, phone: Authenticator) -> None:
    visitor, other = at_localhost(app), Authenticator()
    sign_in_with(visitor, phone)
    options = visitor.get(f"{FACTORS}/passkeys/options").get_json()
    assert len(options["excludeCredentials"]) == 1  # so that a browser makes no second one on the same device
    assert add_made(visitor, other.create(options), "Laptop").status_code == 303
    laptop, first = passkeys.of(staff)
    assert (laptop.name, first.name, laptop.user_handle) == ("Laptop", "My phone", first.user_handle)
    token = visitor.read(FACTORS).one("meta", name="csrf-token").attributes["content"]
    visitor.post(f"{FACTORS}/passkeys/{first.id}/rename", data={"csrf_token": token, "name": " Old  phone "})
    visitor.post(f"{FACTORS}/passkeys/{first.id}/remove", data={"csrf_token": token})
    assert [passkey.name for passkey in passkeys.of(staff)] == ["Laptop"]
    assert alert_of(sign_in_with(at_localhost(app), phone)) == REFUSED
    assert sign_in_with(at_localhost(app), other).status_code == 303
    assert [event for event in events(staff) if event.startswith("passkey")][:2] == [
        "passkey-removed",
        "passkey-renamed",
    ]


def test_nobody_touches_another_administrators_passkey(app: Flask, staff: User, phone: Authenticator) -> None:
    colleague = at_localhost(app)
    colleague.sign_in(make_user("colleague@example.org").email, PASSWORD)
    page = colleague.read(FACTORS)
    assert "My phone" not in page.one("main").words
    token = page.one("meta", name="csrf-token").attributes["content"]
    passkey_id = passkeys.of(staff)[0].id
    for action in ("rename", "remove"):
        form = {"csrf_token": token, "name": "Mine"}
        assert colleague.post(f"{FACTORS}/passkeys/{passkey_id}/{action}", data=form).status_code == 404
    assert [passkey.name for passkey in passkeys.of(staff)] == ["My phone"]


def test_a_replayed_answer_is_refused(app: Flask, phone: Authenticator) -> None:
    phone.step = 0  # as passkeys that several devices share: no counter tells the second time
    visitor = at_localhost(app)
    visitor.get("/login")
    cookie = visitor.get_cookie("session", domain="localhost")
    answer = phone.get(visitor.get("/login/passkey/options").get_json())
    assert send_passkey(visitor, answer).status_code == 303
    thief, before = at_localhost(app), sessions_begun()
    assert cookie
    thief.set_cookie("session", cookie.value, domain="localhost")  # even with the cookie of that browser
    assert alert_of(send_passkey(thief, answer)) == REFUSED
    assert sessions_begun() == before


def test_a_challenge_is_for_one_browser_use_and_account_and_for_ten_minutes(
    app: Flask, staff: User, phone: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = at_localhost(app), at_localhost(app)
    for browser in (own, other):
        browser.get("/login")
    foreign = other.get("/login/passkey/options").get_json()
    made_up = {"challenge": "bWFkZSB1cA"}
    for options in (foreign, made_up):
        assert alert_of(send_passkey(own, phone.get(options))) == REFUSED
    for_factor = waiting(app, staff)
    asked = for_factor.get("/login/factor/options").get_json()
    assert alert_of(send_passkey(for_factor, phone.get(asked))) == REFUSED  # asked for another use
    signed_in = at_localhost(app)
    sign_in_with(signed_in, phone)
    to_add = signed_in.get(f"{FACTORS}/passkeys/options").get_json()
    assert send_passkey(signed_in, phone.get(to_add), "/login/confirm").status_code == 422  # for yet another
    late = own.get("/login/passkey/options").get_json()
    monkeypatch.setattr(challenges, "LASTS", timedelta(seconds=-1))
    assert alert_of(send_passkey(own, phone.get(late))) == REFUSED
    assert not own.signed_in()


def test_another_origin_host_or_frame_is_refused(app: Flask, staff: User, phone: Authenticator) -> None:
    before = sessions_begun()
    for changed in (
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:8001"},
        {"origin": "https://localhost:8000"},
        {"host": "evil.example"},
        {"flags": PRESENT},  # nobody was verified
        {"flags": 0},
        {"handle": Authenticator().id.hex()},
        {"handle": None},
        {"key": Authenticator().key},
        {"id": Authenticator().id},
    ):
        answer = sign_in_with(at_localhost(app), replace(phone, **changed))
        assert (answer.status_code, alert_of(answer)) == (422, REFUSED), changed
    framed = at_localhost(app)
    framed.get("/login")
    options = framed.get("/login/passkey/options").get_json()
    assert alert_of(send_passkey(framed, phone.get(options, crossOrigin=True))) == REFUSED
    assert sessions_begun() == before
    assert db.session.scalars(select(Passkey.last_used_at)).all() == [None]


def test_a_counter_that_goes_back_is_refused_and_recorded(app: Flask, staff: User, phone: Authenticator) -> None:
    phone.count = 7
    assert sign_in_with(at_localhost(app), phone).status_code == 303
    for count in (7, 3):
        clone = replace(phone, count=count, step=0)
        assert alert_of(sign_in_with(at_localhost(app), clone)) == REFUSED
    [first, _] = [entry for entry in audit.page(about=staff).entries if entry.event == AuditEvent.PASSKEY_CLONED]
    assert audit.label(first) == "Refused the passkey “My phone”: its counter went back, so it may be a copy"
    forger = replace(phone, count=0, step=0, key=Authenticator().key)
    sign_in_with(at_localhost(app), forger)  # without the key, nobody makes the log say so
    assert events(staff).count(AuditEvent.PASSKEY_CLONED) == 2
    assert db.session.scalars(select(Passkey.sign_count)).one() == 8


def test_odd_answers_are_just_refused(app: Flask, staff: User, phone: Authenticator) -> None:
    visitor = at_localhost(app)
    visitor.get("/login")
    good = json.loads(phone.get(visitor.get("/login/passkey/options").get_json()))
    odd = [
        "{}",
        "[]",
        "null",
        "nonsense",
        "[" * 8_000,
        '{"id": 1e999}',
        json.dumps(good | {"rawId": "\ud800"}),
        json.dumps(good | {"response": []}),
        json.dumps(good | {"id": "é"}),
        *(json.dumps(good | {"response": good["response"] | {part: "AA"}}) for part in good["response"]),
        *(json.dumps(good | {"response": good["response"] | {part: 7}}) for part in good["response"]),
        json.dumps(good)[:-1],
        "x" * 20_000,
    ]
    for text in odd:
        answer = send_passkey(visitor, text)
        assert answer.status_code == 422, text[:100]
        assert "passkey" in alert_of(answer)
    assert not visitor.signed_in()
    sign_in_with(visitor, phone)
    before = passkeys.of(staff)
    for text in odd:
        assert add_made(visitor, text).status_code == 422, text[:100]
    assert passkeys.of(staff) == before


def test_a_passkey_that_is_made_elsewhere_or_twice_is_not_added(app: Flask, staff: User, phone: Authenticator) -> None:
    visitor = at_localhost(app)
    sign_in_with(visitor, phone)
    for changed in ({"origin": "https://evil.example"}, {"host": "evil.example"}, {"flags": PRESENT}, {"id": phone.id}):
        other = Authenticator(**changed)
        answer = add_passkey(visitor, other)
        assert (answer.status_code, alert_of(answer)) == (
            422,
            "This passkey could not be added. Please try again.",
        ), changed
    made = Authenticator().create(visitor.get(f"{FACTORS}/passkeys/options").get_json())
    assert [add_made(visitor, made).status_code for _ in range(2)] == [303, 422]
    assert len(passkeys.of(staff)) == 2


def test_without_a_fresh_proof_no_passkey_is_added_or_removed(app: Flask, staff: User, phone: Authenticator) -> None:
    visitor = at_localhost(app)
    sign_in_with(visitor, phone)
    token = visitor.read(FACTORS).one("meta", name="csrf-token").attributes["content"]
    made = Authenticator().create(visitor.get(f"{FACTORS}/passkeys/options").get_json())
    db.session.execute(update(Session).values(authenticated_at=utcnow() - timedelta(hours=1)))
    db.session.commit()
    form = {"csrf_token": token, "name": "x", "credential": made}
    for address in ("passkeys", f"passkeys/{passkeys.of(staff)[0].id}/remove", "app", "recovery-codes"):
        answer = visitor.post(f"{FACTORS}/{address}", data=form)
        assert answer.location == "/login/confirm?next=/admin/resume", address
    assert [passkey.name for passkey in passkeys.of(staff)] == ["My phone"]
    options = visitor.get("/login/confirm/options").get_json()
    assert send_passkey(visitor, phone.get(options), "/login/confirm").status_code == 303
    assert visitor.post(f"{FACTORS}/recovery-codes", data=form).status_code == 200


def test_a_changed_host_name_is_announced_before_and_explained_after(
    app: Flask, staff: User, phone: Authenticator
) -> None:
    visitor = at_localhost(app)
    sign_in_with(visitor, phone)
    assert "belong to the host name localhost" in visitor.read(FACTORS).one(id="host-hint").words
    staff_id, email = staff.id, staff.email
    db.session.rollback()
    moved = create_app(replace(app.extensions["settings"], site_url="https://feedback.example.org"))
    with moved.app_context():
        assert passkeys.of_other_hosts() == {"localhost": 1}
        assert not passkeys.exist()
        assert second_factor.is_set_up(db.session.get_one(User, staff_id))
        db.session.remove()
        db.engine.dispose()
    there = Visitor(moved)
    answer = there.sign_in(email, PASSWORD)
    assert answer.location == "/login/factor"  # the password alone is still not enough
    page = there.read("/login/factor")
    assert page.one(id="other-hosts").words.startswith("Your passkeys for localhost do not work here")
    assert "--without-second-factor" in page.one(id="other-ways").words
    assert page.all("button", data_passkey="get") == []


def test_passkeys_belong_to_the_host_of_a_site_under_a_path(visit: Visit, staff: User) -> None:
    visitor = visit(site_url="https://example.org/feedback-app")
    authenticator = Authenticator(origin="https://example.org", host="example.org")
    visitor.sign_in(staff.email, PASSWORD)
    assert add_passkey(visitor, authenticator).status_code == 200
    answer = sign_in_with(Visitor(visitor.application), authenticator)
    assert (answer.status_code, answer.location) == (303, "/feedback-app/admin/")
    page = Visitor(visitor.application).read("/login")
    [button] = page.all("button", data_passkey="get")
    assert button.attributes["formaction"] == "/feedback-app/login/passkey"
    assert button.attributes["data-options"] == "/feedback-app/login/passkey/options"


def test_an_address_without_passkeys_says_where_they_work(app: Flask, staff: User) -> None:
    visitor = Visitor(app)
    visitor.sign_in(staff.email, PASSWORD)
    page = visitor.read(FACTORS)
    assert page.one("a", href=f"http://localhost:8000{FACTORS}")
    assert "An IP address such as 127.0.0.1:8000 cannot have passkeys." in page.one(id="add-passkey").words
    email = staff.email
    for url in ("http://192.0.2.7:8000", "http://feedback.example.org"):
        other = create_app(replace(app.extensions["settings"], site_url=url))
        elsewhere = Visitor(other)
        elsewhere.sign_in(email, PASSWORD)
        assert (
            "Browsers allow passkeys only under a host name with https"
            in elsewhere.read(FACTORS).one(id="add-passkey").words
        )
        with other.app_context():
            db.engine.dispose()


def test_used_challenges_are_forgotten_once_they_have_expired(app: Flask, phone: Authenticator) -> None:
    used = select(UsedChallenge.challenge_hash)
    assert len(db.session.scalars(used).all()) == 1
    challenges.forget_expired(utcnow())
    assert len(db.session.scalars(used).all()) == 1
    challenges.forget_expired(utcnow() + challenges.LASTS + timedelta(seconds=1))
    assert db.session.scalars(used).all() == []
