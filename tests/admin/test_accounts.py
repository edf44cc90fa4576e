"""admin/accounts.py: all accounts for owners."""

import re
import time
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from feedback_push.auth import accounts, api_keys, audit, invitations, roles
from feedback_push.auth.api_keys import Scope
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import ApiKey, Invitation, Notice, Role, Session, User
from feedback_push.database import db, utcnow
from feedback_push.push import keys, receipts
from feedback_push.push.in_flight import InFlight
from feedback_push.push.models import Delivery, Subscription
from tests.admin.rows import device
from tests.conftest import PASSWORD, make_user
from tests.crossing import cross
from tests.doubles.push_service import PushService
from tests.feedback.messages import receive
from tests.push.devices import new_device
from tests.push.notes import announce, claim
from tests.visits import Page, Visitor


@pytest.fixture
def member(staff: User) -> User:
    return make_user("ada@example.org", Role.MEMBER)


def press(visitor: Visitor, address: str, **typed: str) -> Page:
    """Press the button of the form with this address, which has to be there; the page that is seen then."""
    page = visitor.read("/admin/accounts")
    assert page.all("form", action=address), address
    answer = visitor.post(address, data={"csrf_token": page.fields["csrf_token"], **typed})
    return visitor.read(answer.location or "") if answer.status_code == 303 else Page(answer)


def row(page: Page, email: str) -> str:
    return page.one("li", data_account=email).words


def test_the_page_says_what_each_account_is_and_did(app: Flask, dashboard: Visitor, staff: User, member: User) -> None:
    assert "No sign-in yet · 0 working devices" in row(dashboard.read("/admin/accounts"), member.email).replace(
        " 0 working", " · 0 working"
    )
    there = Visitor(app)
    there.sign_in(member.email, PASSWORD)
    there.post("/admin/account/name", data={**there.read("/admin/account").fields, "name": "Ada Lovelace"})
    Visitor(app).sign_in(member.email, "a wrong password")  # which is nothing that the account did
    audit.record(AuditEvent.SESSIONS_ENDED, member, sessions=0)  # nor is a command
    device(member)
    device(member, failures=9)
    words = row(dashboard.read("/admin/accounts"), member.email)
    assert words.startswith("Ada Lovelace Member ada@example.org Last sign-in ")
    assert "last seen" in words
    assert "Last action: Changed the name to “Ada Lovelace”" in words
    assert "1 working device · Password" in words
    assert row(dashboard.read("/admin/accounts"), staff.email).startswith("staff@example.org You Owner")


def test_an_invitation_is_shown_once_with_a_copy_button_and_a_qr_code_and_can_be_revoked(
    app: Flask, dashboard: Visitor, staff: User
) -> None:
    page = press(dashboard, "/admin/accounts/invitations", email=" New@Example.org ", role="member")
    code = page.one("code", id="account-link").words.partition("#")[2]
    assert page.one("button", data_copy="account-link")
    assert page.one("svg", class_="segno")
    assert Page(Visitor(app).send("/login/invitation", token=code)).status == 200
    again = dashboard.read("/admin/accounts")
    assert code not in dashboard.get("/admin/accounts").text
    assert "new@example.org Member" in again.one("ul", id="invitations").words
    [invitation] = invitations.pending()
    page = press(dashboard, f"/admin/accounts/invitations/{invitation.id}/revoke")
    assert page.one(role="status").words == "The invitation of new@example.org is revoked."
    assert invitations.pending() == []
    log = [audit.label(entry) for entry in audit.page(size=2).entries]
    assert log == ["Revoked the invitation of new@example.org", "Invited new@example.org: Member"]
    told = db.session.scalars(select(Notice).where(Notice.user_id == staff.id)).one()
    assert (told.event, told.detail) == ("invitation-made", {"account": "new@example.org", "role": "member"})
    for email, role in (("", "member"), ("staff@example.org", "member"), ("x", "owner"), ("y@example.org", "root")):
        assert press(dashboard, "/admin/accounts/invitations", email=email, role=role).status == 422
    assert db.session.scalars(select(Invitation)).all() == []


def test_roles_change_and_the_account_is_told(app: Flask, dashboard: Visitor, staff: User, member: User) -> None:
    address = f"/admin/accounts/{member.id}/role"
    there = Visitor(app)
    there.sign_in(member.email, PASSWORD)
    assert there.get("/admin/accounts").status_code == 403
    page = press(dashboard, address, role="owner")
    assert page.one(role="status").words == "The role of ada@example.org is changed: Owner."
    assert there.get("/admin/accounts").status_code == 200
    assert "Your role was changed" in there.read("/admin/").one("p", id="security-notice").words
    notice = db.session.scalars(select(Notice).where(Notice.user_id == member.id)).one()
    assert notice.detail == {"by": staff.email, "role": "owner"}
    token = dashboard.read("/admin/accounts").fields["csrf_token"]
    assert dashboard.post(address, data={"csrf_token": token, "role": "root"}).status_code == 400
    # An owner steps down while another is left, and the last one stays.
    page = press(dashboard, f"/admin/accounts/{staff.id}/role", role="member")
    assert page.one("h1").words == "Account"
    assert dashboard.get("/admin/accounts").status_code == 403
    page = press(there, address, role="member")
    assert page.alert == "This is the only owner, and a site needs one. First make another account an owner."


def test_a_link_for_a_new_password_works_for_another_account_only(
    app: Flask, dashboard: Visitor, staff: User, member: User
) -> None:
    page = press(dashboard, f"/admin/accounts/{member.id}/reset-link")
    code = page.one("code", id="account-link").words.partition("#")[2]
    assert Page(Visitor(app).send("/login/reset", token=code)).status == 200
    assert not re.search(code, dashboard.get("/admin/accounts").text)
    token = page.fields["csrf_token"]
    for action in ("reset-link", "remove"):
        answer = dashboard.post(f"/admin/accounts/{staff.id}/{action}", data={"csrf_token": token})
        assert answer.status_code == 404
    assert accounts.has_password(staff, PASSWORD)


@pytest.mark.usefixtures("any_app")
def test_a_removed_account_takes_its_sessions_devices_and_keys_along_and_deliveries_under_way(
    app: Flask, dashboard: Visitor, staff: User, member: User, service: PushService
) -> None:
    message, member_email = receive(content="Hello"), member.email
    there = Visitor(app)
    there.sign_in(member.email, PASSWORD)
    token = api_keys.make(member, "Tickets", [Scope.READ])
    phone, mine = new_device(member, service), new_device(staff, service)
    announce()
    batch = claim()
    assert len(batch) == 2
    page = press(dashboard, f"/admin/accounts/{member.id}/remove")
    assert page.one(role="status").words == "The account ada@example.org is removed."
    assert page.all("li", data_account=member_email) == []
    flight = InFlight(receipts.signing_key("x"))
    flight.send(batch, keys.cached().live.values(), time.monotonic())
    while flight:
        flight.record(patient=True)
    flight.close()
    assert (phone.pushes, len(mine.pushes)) == ([], 1)
    assert not there.signed_in()
    assert api_keys.find(token) is None
    assert db.session.scalars(select(ApiKey)).all() == []
    assert [row.user_id for row in db.session.scalars(select(Subscription))] == [staff.id]
    assert len(db.session.scalars(select(Delivery)).all()) == 1
    assert message.content == "Hello"
    assert "Removed the account ada@example.org" in [audit.label(entry) for entry in audit.page(size=3).entries]
    assert press(dashboard, f"/admin/accounts/{staff.id}/role", role="member").alert.startswith(
        "This is the only owner"
    )


@pytest.mark.usefixtures("any_app")
def test_an_owner_who_is_demoted_meanwhile_changes_nothing(
    app: Flask, dashboard: Visitor, staff: User, member: User
) -> None:
    make_user("other@example.org")
    token = dashboard.read("/admin/accounts").fields["csrf_token"]
    staff_id, address = staff.id, f"/admin/accounts/{member.id}/role"

    def demote() -> None:
        roles.change(db.session.get_one(User, staff_id), Role.MEMBER)
        db.session.commit()

    promote = lambda: dashboard.post(address, data={"csrf_token": token, "role": "owner"})  # noqa: E731
    _, answer = cross(app, demote, "UPDATE auth_user", promote)
    assert answer.status_code == 403
    assert "Only an owner of this site may see or do this." in answer.text
    db.session.rollback()
    assert member.role == Role.MEMBER


def test_an_old_session_proves_who_it_is_before_accounts_change(app: Flask, dashboard: Visitor, member: User) -> None:
    token = dashboard.read("/admin/accounts").fields["csrf_token"]
    db.session.execute(update(Session).values(authenticated_at=utcnow() - timedelta(minutes=11)))
    db.session.commit()
    forms = {
        "invitations": {"email": "new@example.org", "role": "owner"},
        f"{member.id}/role": {"role": "owner"},
        f"{member.id}/reset-link": {},
        f"{member.id}/remove": {},
    }
    for address, form in forms.items():
        answer = dashboard.post(f"/admin/accounts/{address}", data={"csrf_token": token, **form})
        assert (answer.location or "").startswith("/login/confirm"), address
    db.session.rollback()
    assert (member.role, invitations.pending()) == (Role.MEMBER, [])
    assert db.session.scalars(select(Notice)).all() == []
