"""admin/fresh_authentication.py: what must not be done at an open screen asks again who is there, then goes on."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from feedback_push.auth import audit, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import ApiKey, Session, User
from feedback_push.database import db, utcnow
from feedback_push.feedback import site_forms
from tests.conftest import PASSWORD
from tests.feedback.messages import own_form, receive
from tests.topics.followed import new_topic
from tests.visits import Page, Visit, Visitor

ASKS = "/login/confirm?next="


def grow_old(by: timedelta = sessions.FRESH) -> None:
    """Move the last proof of identity of every session into the past."""
    db.session.execute(update(Session).values(authenticated_at=utcnow() - by))
    db.session.commit()


def post(visitor: Visitor, address: str, **form: object) -> TestResponse:
    token = visitor.read("/admin/settings").fields["csrf_token"]
    return visitor.post(address, data={"csrf_token": token, **form})


def test_an_export_asks_first_and_goes_on_with_the_same_choice(dashboard: Visitor, staff: User) -> None:
    receive(content="An exported text")
    for kind in ("csv", "xlsx", "json"):
        grow_old()
        asked = dashboard.get(f"/admin/messages.{kind}?list=new&q=exported")
        assert (asked.status_code, asked.location) == (303, f"{ASKS}/admin/resume")
        page = dashboard.read(asked.location or "")
        assert page.one(id="interrupted").words == f"Confirm that it is you to continue: Export as {kind.upper()}"
        assert page.one("h1").words == "Confirm that it is you"
        answer = dashboard.post(asked.location or "", data={**page.fields, "password": PASSWORD})
        assert (answer.status_code, answer.location) == (303, "/admin/resume")
        page = dashboard.read(answer.location or "")
        form = page.one("form", action=f"/admin/messages.{kind}")
        assert form.attributes["method"] == "get"
        sent = {each.attributes["name"]: each.attributes["value"] for each in page.all("input", type="hidden")}
        assert (sent["list"], sent["q"]) == ("new", "exported")
        file = dashboard.get(f"/admin/messages.{kind}", query_string={"list": "new", "q": "exported"})
        assert file.status_code == 200
        assert "attachment" in file.headers["Content-Disposition"]
    events = [entry.event for entry in audit.page(about=staff).entries]
    assert events.count(AuditEvent.CONFIRMED) == events.count(AuditEvent.MESSAGES_EXPORTED) == 3


def test_keys_and_deletion_for_good_and_a_link_for_a_phone_ask_first(dashboard: Visitor) -> None:
    form, topic = own_form().key, new_topic().slug
    before = len(site_forms.list_all())
    for address, fields, label in (
        ("/admin/keys", {"name": "Tickets", "scopes": "read"}, "Create an API key"),
        ("/admin/keys/1/end", {}, "End the API key"),
        (f"/admin/keys/forms/{form}", {}, "Show the secret"),
        (f"/admin/forms/{form}/delete", {}, "Delete the form"),
        (f"/admin/topics/{topic}/delete", {}, "Delete the topic and its history"),
        ("/admin/devices", {}, "Show QR code"),
    ):
        grow_old()
        asked = post(dashboard, address, **fields)
        assert (asked.status_code, asked.location) == (303, f"{ASKS}/admin/resume"), address
        assert label in dashboard.read(asked.location or "").one(id="interrupted").words
    assert db.session.scalars(select(ApiKey)).all() == []
    assert len(site_forms.list_all()) == before
    done = {
        AuditEvent.FORM_SECRET_SHOWN,
        AuditEvent.FORM_DELETED,
        AuditEvent.TOPIC_REMOVED,
        AuditEvent.SIGN_IN_LINK_MADE,
    }
    assert not done & {entry.event for entry in audit.page().entries}


def test_a_form_goes_on_with_what_was_typed(dashboard: Visitor) -> None:
    grow_old()
    asked = post(dashboard, "/admin/keys", name="Tickets", scopes=["read", "notify"])
    dashboard.send(asked.location or "", password=PASSWORD)
    fields = dashboard.read("/admin/resume").all("input", type="hidden")
    sent: dict[str, list[str]] = {}
    for each in fields:
        sent.setdefault(each.attributes["name"], []).append(each.attributes["value"])
    made = Page(dashboard.post("/admin/keys", data={**sent, "csrf_token": sent["csrf_token"][-1]}))
    assert made.one(id="key").words.startswith("fp_")
    assert db.session.scalars(select(ApiKey.name)).all() == ["Tickets"]


def test_the_secret_of_a_form_is_shown_after_a_fresh_sign_in_and_recorded(dashboard: Visitor) -> None:
    form = own_form()
    assert Page(post(dashboard, f"/admin/keys/forms/{form.key}")).one(id="form-secret").words
    [entry] = [entry for entry in audit.page().entries if entry.event == AuditEvent.FORM_SECRET_SHOWN]
    assert audit.label(entry) == f"Showed the secret of the form “{form.name}”"


def test_a_proof_lasts_ten_minutes(dashboard: Visitor) -> None:
    grow_old(sessions.FRESH - timedelta(seconds=30))
    assert dashboard.get("/admin/messages.json").status_code == 200
    grow_old(sessions.FRESH + timedelta(seconds=1))
    assert dashboard.get("/admin/messages.json").status_code == 303
    db.session.execute(update(Session).values(authenticated_at=None))  # a session from before the upgrade
    db.session.commit()
    assert dashboard.get("/admin/messages.json").status_code == 303


def test_a_wrong_password_confirms_nothing_and_is_recorded(dashboard: Visitor, staff: User) -> None:
    grow_old()
    page = Page(dashboard.send("/login/confirm", password="wrong password"))
    assert (page.status, page.alert) == (422, "This is not your current password.")
    assert dashboard.get("/admin/messages.json").status_code == 303
    [entry] = [entry for entry in audit.page(about=staff).entries if entry.event == AuditEvent.CONFIRMATION_FAILED]
    assert entry.count == 1


def test_many_wrong_passwords_have_to_wait(visit: Visit, staff: User) -> None:
    visitor = visit(ratelimit_enabled=True)
    visitor.sign_in(staff.email, PASSWORD)
    token = visitor.read("/login/confirm").fields["csrf_token"]
    answers = (visitor.post("/login/confirm", data={"csrf_token": token, "password": "wrong"}) for _ in range(40))
    refused = next(answer for answer in answers if answer.status_code == 429)  # the first waits are short
    assert int(refused.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("wanted", ["https://evil.example", "//evil.example", "/admin/devices"])
def test_confirming_leads_only_to_a_page_of_this_site(dashboard: Visitor, wanted: str) -> None:
    answer = dashboard.send(f"/login/confirm?next={wanted}", password=PASSWORD)
    assert answer.location == (wanted if wanted == "/admin/devices" else "/admin/")
