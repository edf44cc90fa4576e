"""docs/security-asvs.md: requirements of the standard that no other test proves."""

from flask import Flask
from sqlalchemy import select

from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.feedback import spam
from feedback_push.feedback.models import Message, MessageState
from feedback_push.push import receipts
from tests.conftest import PASSWORD
from tests.visits import Visitor

DASHBOARD = ["/admin/", "/admin/devices", "/admin/settings", "/admin/account", "/admin/audit"]


def test_every_text_says_in_which_encoding_it_is(client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD)
    for address in (*DASHBOARD, "/feedback/", "/nowhere", "/static/site.css", "/theme.css", "/admin/sw.js", "/healthz"):
        kind = client.get(address).headers["Content-Type"]
        assert kind.endswith("; charset=utf-8") or kind == "application/json", (address, kind)


def test_every_page_of_the_dashboard_has_the_button_that_signs_out(client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD)
    for address in DASHBOARD:
        assert client.read(address).one("form", action="/logout"), address


def test_password_fields_hide_what_is_typed_and_welcome_password_managers(client: Visitor, staff: User) -> None:
    known = {
        "password": "current-password",
        "current": "current-password",
        "new": "new-password",
        "again": "new-password",
    }
    pages = [client.read("/login")]
    client.sign_in(staff.email, PASSWORD)
    pages.append(client.read("/admin/account"))
    fields = [field for page in pages for field in page.all("input") if field.attributes.get("name") in known]
    assert [field.attributes["name"] for field in fields] == list(known)
    for field in fields:
        name = field.attributes["name"]
        assert (field.attributes["type"], field.attributes["autocomplete"]) == ("password", known[name])
        assert not [attribute for attribute in field.attributes if attribute.startswith("on")]


def test_nothing_but_the_public_files_is_served(client: Visitor) -> None:
    for address in ("/static/", "/static/admin/", "/.git/config", "/.env", "/instance/secrets.env", "/static/../.env",
                    "/static/%2e%2e/wsgi.py", "/wsgi.py", "/debug", "/console", "/docs", "/metrics"):  # fmt: skip
        assert client.get(address).status_code == 404, address
    assert client.open("/feedback/", method="TRACE").status_code == 405


def test_a_field_that_is_not_in_the_form_sets_nothing(client: Visitor, staff: User) -> None:
    more = {
        "id": "77",
        "state": "archived",
        "spam_reason": "x",
        "user_id": str(staff.id),
        "person": "x",
        "outbox_id": "7",
    }
    assert client.send("/feedback/", content="Hello", submitter_name="Ada", **more).status_code == 303
    message = db.session.scalars(select(Message)).one()
    assert (message.state, message.spam_reason, message.user_id, message.person) == (MessageState.NEW, None, None, None)
    assert message.id != 77


def test_a_query_does_not_count_as_form_data(client: Visitor, staff: User) -> None:
    token = client.read("/feedback/").fields["csrf_token"]
    address = "/feedback/?content=Hello&submitter_name=Ada"
    assert client.post(address, data={"csrf_token": token}).status_code == 422
    assert client.post(f"{address}&csrf_token={token}", data={"content": "x", "submitter_name": "x"}).status_code == 400
    answer = client.post(f"/login?email={staff.email}&password={PASSWORD}", data={"csrf_token": token})
    assert (answer.status_code, client.signed_in()) == (422, False)
    # Of two values for one field the first counts, everywhere.
    assert client.post("/feedback/", data={"csrf_token": [token, "x"], "content": ["a", ""], "submitter_name": "b"})
    assert db.session.scalars(select(Message.content)).all() == ["a"]


def test_no_token_is_worth_anything_in_the_place_of_another(app: Flask, client: Visitor) -> None:
    csrf_token = client.read("/feedback/").fields["csrf_token"]
    key = receipts.signing_key(app.extensions["settings"].secret_key)
    with app.test_request_context():
        stamp, receipt = spam.opened(), receipts.token(1, key)
    assert None not in (spam._read(stamp), receipts.read(receipt, key))  # noqa: SLF001 - as the form's traps read it
    for token in (csrf_token, receipt):
        assert spam._read(token) is None  # noqa: SLF001
    for token in (csrf_token, stamp):
        assert receipts.read(token, key) is None
    for token in (stamp, receipt):
        answer = client.post("/feedback/", data={"content": "x", "submitter_name": "x", "csrf_token": token})
        assert answer.status_code == 400
