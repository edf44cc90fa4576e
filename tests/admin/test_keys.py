"""admin/keys.py and auth/api_keys.py: keys are made after a fresh sign-in, shown once, stored as hashes, and ended."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from feedback_push.api import host_users
from feedback_push.auth import accounts, api_keys, audit
from feedback_push.auth.api_keys import Scope
from feedback_push.auth.models import ApiKey, User
from feedback_push.database import db, utcnow
from feedback_push.feedback import personal_data, site_forms
from tests.conftest import make_user
from tests.feedback.messages import own_form, receive
from tests.visits import Page, Visitor

KEY = re.compile(r"fp_[\w-]{43}")


def make(visitor: Visitor, **changed: object) -> Page:
    form = {"name": "Tickets", "scopes": ["read", "notify"], **changed}
    return Page(visitor.send("/admin/keys", **form))


def events() -> list[str]:
    return [audit.label(entry) for entry in audit.page().entries if entry.event.startswith("api-key")]


def test_a_key_is_shown_once_stored_as_a_hash_and_ended(dashboard: Visitor, staff: User) -> None:
    page = make(dashboard)
    token = page.one(id="key").words
    assert KEY.fullmatch(token)
    key = db.session.scalars(select(ApiKey)).one()
    assert (key.user_id, key.name, key.scopes) == (staff.id, "Tickets", "read notify")
    assert token not in str(list(db.session.execute(ApiKey.__table__.select())))
    assert api_keys.find(token) is key
    page = dashboard.read("/admin/keys")
    assert not KEY.search(dashboard.get("/admin/keys").text)
    assert page.one(id="api-keys").words.startswith("Tickets End Read messages · Send notifications")
    assert "never used" in page.one(id="api-keys").words
    assert dashboard.get("/admin/keys").headers["Cache-Control"] == "no-store"
    account = personal_data.account(staff.email)
    assert account
    assert [each["name"] for each in account["api_keys"]] == ["Tickets"]
    dashboard.post(f"/admin/keys/{key.id}/end", data={"csrf_token": page.fields["csrf_token"]})
    assert api_keys.find(token) is None
    assert events() == ["Ended the API key “Tickets”", "Created the API key “Tickets” with the scopes: notify read"]


def test_a_key_needs_a_name_and_known_scopes(dashboard: Visitor) -> None:
    for changed, problem in (
        ({"name": " \u200b"}, "Please enter a name."),
        ({"name": "x" * 61}, "Please use at most 60 characters."),
        ({"scopes": []}, "Please choose at least one."),
        ({"scopes": ["read", "everything"]}, "not a valid choice"),
    ):
        page = make(dashboard, **changed)
        assert page.status == 422, changed
        assert problem in " ".join(each.words for each in page.all("p", class_="error")), changed
    assert db.session.scalars(select(ApiKey)).all() == []


def test_an_administrator_has_a_limited_number_of_keys(
    dashboard: Visitor, staff: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "MOST", 2)
    assert [make(dashboard).status for _ in range(3)] == [200, 200, 422]
    assert len(api_keys.of(staff)) == 2


def test_nobody_ends_another_administrators_key_and_a_deleted_account_has_none(any_app: Flask) -> None:
    staff, colleague = make_user("staff@example.org"), make_user("colleague@example.org")
    token = api_keys.make(staff, "Tickets", [Scope.READ])
    key = api_keys.of(staff)[0]
    assert api_keys.end(key.id, user=colleague) is None
    assert api_keys.find(token) is key
    db.session.commit()
    accounts.delete(staff)
    db.session.commit()
    assert api_keys.find(token) is None


def test_the_last_use_is_recorded_once_a_minute(app: Flask) -> None:
    token = api_keys.make(make_user("staff@example.org"), "Tickets", [Scope.READ])
    key = api_keys.find(token)
    assert key
    assert api_keys.record_use(key)
    db.session.refresh(key)
    assert not api_keys.record_use(key)
    db.session.execute(update(ApiKey).values(last_used_at=utcnow() - timedelta(minutes=2)))
    db.session.refresh(key)
    assert api_keys.record_use(key)
    for odd in ("", "fp_", token[:-1], f"{token}\n", token.replace("fp_", "FP_"), "fp_" + "é" * 43):
        assert api_keys.find(odd) is None


def test_the_secret_of_a_form_is_shown_when_asked_for_and_stays_the_same(dashboard: Visitor, staff: User) -> None:
    own_form("shop")
    form = site_forms.find("shop")
    assert form
    page = dashboard.read("/admin/keys")
    assert host_users.secret(form) not in dashboard.get("/admin/keys").text
    answer = dashboard.post("/admin/keys/forms/shop", data={"csrf_token": page.fields["csrf_token"]})
    assert Page(answer).one(id="form-secret").words == host_users.secret(form)
    message = receive(host_user="ada-7")
    assert dashboard.read(f"/admin/messages/{message.id}").one(id="host-user").words.endswith("as ada-7")
