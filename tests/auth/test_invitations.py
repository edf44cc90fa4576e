"""auth/invitations.py and the pages of an invitation."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from feedback_push.auth import accounts, audit, invitations, roles
from feedback_push.auth.accounts import AccountError
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import Invitation, Role, User
from feedback_push.database import db, utcnow
from tests.conftest import PASSWORD, make_user
from tests.crossing import cross
from tests.visits import Page, Visitor

EMAIL = "new@example.org"
REFUSED = "This link does not work, or no longer works."


@pytest.fixture
def owner(app: Flask) -> User:
    return make_user("owner@example.org")


def invited(owner: User, email: str = EMAIL, role: Role = Role.MEMBER) -> str:
    """Make an invitation and return its code."""
    address = invitations.make(email, role, owner)
    db.session.commit()
    assert address.startswith("http://127.0.0.1:8000/login/invitation#")
    return address.partition("#")[2]


def opened(visitor: Visitor, code: str) -> Page:
    """Return the page that the link's script gets for the code."""
    return Page(visitor.send("/login/invitation", token=code))


def accepted(visitor: Visitor, code: str, **typed: str) -> Page:
    """Fill in the form of the invitation and send it; the page that is seen then."""
    form = {"name": "", "password": PASSWORD, "again": PASSWORD, **typed}
    fields = {**visitor.read("/login/invitation").fields, "token": code, **form}
    answer = visitor.post("/login/invitation/accept", data=fields)
    return visitor.read("/login") if answer.status_code == 303 else Page(answer)


def test_the_invited_person_chooses_a_name_and_a_password_once(app: Flask, owner: User) -> None:
    code, visitor = invited(owner), Visitor(app)
    for _ in range(2):  # a program that opens links uses nothing up
        page = opened(visitor, code)
        assert (page.status, page.fields["token"], page.one("h1").words) == (200, code, "Your invitation")
        assert EMAIL in page.one("main").words
    page = accepted(visitor, code, name="  Ada \t Lovelace ", role="owner")
    assert page.one(role="status").words == f"Your account is ready. Sign in with {EMAIL} and your new password."
    assert visitor.sign_in(EMAIL, PASSWORD).status_code == 303
    user = accounts.find(EMAIL)
    assert user
    assert (user.name, user.role) == ("Ada Lovelace", Role.MEMBER)
    assert invitations.pending() == []
    assert accepted(Visitor(app), code).alert == REFUSED
    events = [entry.event for entry in audit.page().entries]
    assert {"invitation-made", "account-created", "invitation-accepted", "account-link-refused"} <= set(events)


def test_a_code_that_is_unknown_replaced_revoked_or_too_old_gets_one_answer(app: Flask, owner: User) -> None:
    replaced = invited(owner, "ada@example.org")
    invited(owner, "ada@example.org")
    revoked, old = invited(owner, "bob@example.org"), invited(owner, "carol@example.org")
    for invitation in invitations.pending():
        if invitation.email.startswith("bob"):
            assert invitations.revoke(invitation.id) == "bob@example.org"
    past = update(Invitation).where(Invitation.email == "carol@example.org")
    db.session.execute(past.values(expires_at=utcnow() - timedelta(seconds=1)))
    db.session.commit()
    pages = [Visitor(app).read("/login/invitation")]
    for code in ("x", replaced, revoked, old):
        pages += [opened(Visitor(app), code), accepted(Visitor(app), code)]
    assert {page.alert for page in pages[1:]} == {REFUSED}
    [advice] = {page.one("div", id="next-steps").words for page in pages[1:]}
    assert advice.startswith("An invitation works once, within 7 days. A newer one replaces it")
    assert [user.email for user in accounts.list_all()] == ["owner@example.org"]
    [refused] = [entry for entry in audit.page().entries if entry.event == AuditEvent.ACCOUNT_LINK_REFUSED]
    assert refused.count == 8
    invitations.remove_expired(utcnow())
    assert [each.email for each in db.session.scalars(select(Invitation))] == ["ada@example.org"]


def test_a_bad_password_is_named_and_uses_nothing_up(app: Flask, owner: User) -> None:
    code, visitor = invited(owner), Visitor(app)
    for typed, words in {
        ("short", "short"): "A password needs at least 8 characters.",
        ("new@example.org", "new@example.org"): "part of your e-mail address",
        (PASSWORD, "another"): "This does not match the new password above.",
        ("", ""): "Please enter a new password.",
        ("x" * 1001, "x" * 1001): "Please use at most 1,000 characters.",
    }.items():
        page = accepted(visitor, code, password=typed[0], again=typed[1], name="Ada")
        assert page.status == 422
        assert words in " ".join(error.words for error in page.all("p", class_="error"))
        assert (page.fields["name"], page.fields["password"], page.fields["token"]) == ("Ada", "", code)
    assert accepted(visitor, code, name="x" * 61).status == 422
    assert accepted(visitor, code).one(role="status")


def test_only_a_hash_is_stored_and_it_ends_with_whoever_made_it(app: Flask, owner: User) -> None:
    other = make_user("other@example.org")
    code = invited(owner)
    [row] = db.session.execute(select(Invitation.__table__)).all()
    assert code not in str(tuple(row))
    roles.change(owner, Role.MEMBER)
    db.session.commit()
    assert opened(Visitor(app), code).alert == REFUSED
    code = invited(other)
    roles.change(owner, Role.OWNER)
    accounts.delete(other)
    db.session.commit()
    assert opened(Visitor(app), code).alert == REFUSED


@pytest.mark.usefixtures("any_app")
def test_of_two_people_who_accept_at_once_one_gets_the_account(app: Flask, owner: User) -> None:
    code = invited(owner)

    def accept(name: str) -> str | None:
        user = invitations.accept(code, name=name, password_hash="x")
        db.session.commit()
        return user and user.name

    assert cross(app, lambda: accept("Ada"), "DELETE FROM auth_invitation", lambda: accept("Bob")) == ("Ada", None)
    db.session.rollback()
    assert [user.name for user in accounts.list_all()] == ["", "Ada"]


def test_nobody_is_invited_who_has_an_account_or_no_address_and_their_number_has_an_end(
    app: Flask, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "MOST", 2)
    invited(owner, "ada@example.org")
    invited(owner, "bob@example.org")
    for email in ("owner@example.org", "OWNER@example.org ", "nobody", "x" * 400, "", "carol@example.org"):
        with pytest.raises(AccountError):
            invitations.make(email, Role.OWNER, owner)
    code = db.session.scalars(select(Invitation.email)).all()
    assert sorted(code) == ["ada@example.org", "bob@example.org"]


def test_a_browser_that_is_signed_in_to_another_account_is_asked_to_sign_out(app: Flask, owner: User) -> None:
    code, visitor = invited(owner), Visitor(app)
    visitor.sign_in(owner.email, PASSWORD)
    for page in (opened(visitor, code), accepted(visitor, code)):
        assert page.status == 409
        assert f"This browser is signed in as {owner.email}." in page.one("div", id="next-steps").words
    assert accounts.find(EMAIL) is None
