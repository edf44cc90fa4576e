"""api/forms.py: a page of another site shows a form and sends its messages, without a key or a cookie."""

import hmac
import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from feedback_push.api import host_users
from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.feedback import conversations, personal_data, proof_of_work, site_forms
from feedback_push.feedback.models import Message, MessageState
from feedback_push.push.models import OutboxEntry
from tests.api.page import GOOD, SHOP, SHOP_FORM, OtherPage
from tests.api.program import Program, problem
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import own_form
from tests.visits import Visit, Visitor


@pytest.fixture
def page(app: Flask) -> OtherPage:
    own_form(**SHOP_FORM)
    return OtherPage(app)


@pytest.fixture
def defended(visit: Visit) -> Any:
    app = visit(form_defence=True).application
    with app.app_context():
        own_form(**SHOP_FORM)
        yield app


def stored() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Message)) or 0


def test_a_form_describes_itself_in_the_readers_language(page: OtherPage) -> None:
    form = page.fetch("GET", "shop", {"Accept-Language": "de"}).get_json()
    assert (form["title"], form["language"], form["is_open"], form["key"]) == ("Sag uns was", "de", True, "shop")
    found = {each["name"]: (each["kind"], each["required"], len(each["choices"])) for each in form["fields"]}
    assert found == {
        "content": ("long-text", True, 0),
        "name": ("text", False, 0),
        "email": ("email", False, 0),
        "category": ("choice", False, 2),
        "rating": ("stars", False, 5),
        "answers.q1": ("text", True, 0),
    }
    [category] = [each for each in form["fields"] if each["name"] == "category"]
    assert category["choices"][0] == {"value": "Bug", "label": "Fehler"}
    assert form["proof"]["challenge_url"] == "http://127.0.0.1:8000/api/v1/forms/shop/challenge"
    assert OtherPage(page._browser.application, None).fetch("GET", "default").get_json()["fields"][1]["required"]  # noqa: SLF001
    assert problem(page.fetch("GET", "nothing"), 404) == []


def test_a_message_arrives_like_one_of_the_forms_own_page(any_app: Flask) -> None:
    own_form(**SHOP_FORM)
    page = OtherPage(any_app)
    more = {
        "name": "Ada",
        "email": "ada@example.org",
        "category": "Bug",
        "rating": 4,
        "page_url": f"{SHOP}/cart?token=secret#top",
        "page_title": "Your cart",
    }
    answer = page.post({**GOOD, **more})
    assert answer.status_code == 201
    message = db.session.scalars(select(Message)).one()
    assert (message.state, message.form_key, message.submitter_name) == (MessageState.NEW, "shop", "Ada")
    conversation = conversations.find(answer.get_json()["conversation_url"].rpartition("/")[2])
    assert conversation
    assert conversation.message_id == message.id
    assert db.session.get_one(OutboxEntry, message.outbox_id)
    read = Program(any_app).read(f"/messages/{message.id}")
    assert [read[name] for name in ("form", "category", "rating", "page_url", "page_title")] == [
        *("shop", "Bug", "4", f"{SHOP}/cart", "Your cart")
    ]
    assert read["answers"] == [{"question": "Which version?", "answer": "2.0"}]


def test_only_pages_of_the_forms_origins_are_answered(page: OtherPage, app: Flask) -> None:
    headers = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    preflight = page.fetch("OPTIONS", "shop/messages", headers)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == SHOP
    assert "Content-Type" in preflight.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in preflight.headers
    answers = [page.fetch("GET", "shop"), page.fetch("GET", "shop/challenge"), page.post(GOOD), page.post({})]
    assert [answer.status_code for answer in answers] == [200, 200, 201, 422]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "Origin" in answer.vary
    too_large = page.fetch("POST", "shop/messages", data=b"x" * 10_000_000, content_type="application/json")
    assert problem(too_large, 413) == []
    assert too_large.headers["Access-Control-Allow-Origin"] == SHOP
    for origin in (
        "null",
        "https://shop.example.org.evil.example",
        "http://shop.example.org",
        f"{SHOP}:8443",
        "",
        "x" * 5000,
    ):
        other = OtherPage(app, origin)
        for method, address in (("OPTIONS", "shop/messages"), ("GET", "shop"), ("GET", "shop/challenge")):
            answer = other.fetch(method, address, headers)
            assert problem(answer, 403) == ["header Origin"], (origin, method)
            assert "Access-Control-Allow-Origin" not in answer.headers
        assert problem(other.post(GOOD), 403) == ["header Origin"]
    assert stored() == 1
    for own in (None, "http://127.0.0.1:8000"):  # a program, and a page of this site
        assert OtherPage(app, own).post(GOOD).status_code == 201
    # The rest of the site stays closed to other origins.
    key = {"Authorization": f"Bearer {Program(app).key}", "Origin": SHOP}
    for address in ("/api/v1/messages", "/api/v1/openapi.json", "/feedback/"):
        answer = Visitor(app).get(address, headers=key)
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_a_message_needs_a_proof_that_nobody_has_used(defended: Flask) -> None:
    page = OtherPage(defended)
    assert page.fetch("GET", "shop").get_json()["proof"]["required"]
    for sent in ({}, {"proof": ""}, {"proof": "x"}, {"proof": "e30="}, {"proof": "x" * 4000}):
        assert problem(page.post({**GOOD, **sent}), 422) == ["body proof"]
    proof = page.proof()
    assert problem(page.post({"content": "", "proof": proof}), 422) == ["body content", "body answers.q1"]
    assert page.post({**GOOD, "proof": proof}).status_code == 201  # a wrong field has not used it up
    replayed = page.post({**GOOD, "proof": proof})
    assert problem(replayed, 422) == ["body proof"]
    assert "used before" in replayed.get_json()["detail"]
    assert stored() == 1
    assert db.session.scalars(select(Message.state)).one() == MessageState.NEW


def test_a_message_that_is_sent_again_after_a_lost_answer_is_stored_once(defended: Flask) -> None:
    page = OtherPage(defended)
    first = page.post({**GOOD, "proof": page.proof()}, Idempotency_Key="4f5e0d1c-9a55-4f5e")
    for proof in (page.proof(), ""):
        again = page.post({**GOOD, "proof": proof}, Idempotency_Key="4f5e0d1c-9a55-4f5e")
        assert (again.status_code, again.get_json()) == (201, first.get_json())
    other = page.post({**GOOD, "content": "Another"}, Idempotency_Key="4f5e0d1c-9a55-4f5e")
    assert problem(other, 422) == ["header Idempotency-Key"]
    assert stored() == 1
    rows = str(list(db.session.execute(text("SELECT * FROM api_idempotent_request"))))
    assert first.get_json()["conversation_url"].rpartition("/")[2] not in rows
    assert "4f5e0d1c" not in rows


def test_a_user_of_the_host_is_proven_by_the_hosts_server(page: OtherPage, app: Flask) -> None:
    form = site_forms.find("shop")
    assert form
    secret = host_users.secret(form)

    def user(id_: str, key: str = secret) -> dict[str, Any]:
        return {**GOOD, "user": {"id": id_, "hmac": hmac.new(key.encode(), id_.encode(), "sha256").hexdigest()}}

    assert page.post({**user("ada-7 ä"), "email": "ada@example.org"}).status_code == 201
    assert [each["host_user"] for each in personal_data.messages("ada@example.org")] == ["ada-7 ä"]
    message = db.session.scalars(select(Message)).one()
    assert (message.host_user, Program(app).read(f"/messages/{message.id}")["user"]) == ("ada-7 ä", "ada-7 ä")
    own_form("other", origins=[SHOP])
    others = site_forms.find("other")
    assert others
    wrong = user("ada-7", host_users.secret(others))
    assert problem(page.post(wrong), 422) == ["body user.hmac"]
    wrong["user"]["hmac"] = user("bob")["user"]["hmac"]
    assert problem(page.post(wrong), 422) == ["body user.hmac"]
    for odd, field in (
        ({"id": "ada"}, "user.hmac"),
        ({"id": "ada", "hmac": "x" * 64}, "user.hmac"),
        ({"id": 7, "hmac": "0" * 64}, "user.id"),
        ({"id": "a", "hmac": "0" * 64, "admin": True}, "user.admin"),
        ("ada", "user"),
    ):
        assert problem(page.post({**GOOD, "user": odd}), 422)[0] == f"body {field}"
    assert stored() == 1


def test_what_is_malformed_is_named_and_stores_nothing(page: OtherPage) -> None:
    wrong: list[tuple[Any, str]] = [
        ({**GOOD, "content": " \u200b"}, "content"),
        ({**GOOD, "content": ["x"]}, "content"),
        ({**GOOD, "content": "x" * 200_001}, "content"),
        ({"answers": {"q1": "x"}}, "content"),
        ({"content": "x"}, "answers.q1"),
        ({**GOOD, "answers": {"q1": "x", "q2": "y"}}, "answers.q2"),
        ({**GOOD, "answers": {str(number): "x" for number in range(6)}}, "answers"),
        ({**GOOD, "answers": {"q1": "x" * 5001}}, "answers.q1"),
        ({**GOOD, "answers": [["q1", "x"]]}, "answers"),
        ({**GOOD, "answers": {"q1": 7}}, "answers.q1"),
        ({**GOOD, "email": "nobody"}, "email"),
        ({**GOOD, "category": "Fehler"}, "category"),
        ({**GOOD, "rating": 6}, "rating"),
        ({**GOOD, "rating": True}, "rating"),
        ({**GOOD, "rating": "up"}, "rating"),
        ({**GOOD, "rating": 4.5}, "rating"),
        ({**GOOD, "page_url": "javascript:alert(1)"}, "page_url"),
        ({**GOOD, "viewport": "390"}, "viewport"),
        ({**GOOD, "language": "de_AT"}, "language"),
        ({**GOOD, "submitter_name": "Ada"}, "submitter_name"),
        ({**GOOD, "spam_reason": None}, "spam_reason"),
        ([GOOD], ""),
    ]
    for body, field in wrong:
        assert problem(page.post(body), 422) == [f"body {field}".strip()], field
    for raw in (b"", b'{"content": "\xff"}', b"[" * 60_000, b'{"content": "x", "rating": ' + b"9" * 5000 + b"}"):
        assert problem(page.fetch("POST", "shop/messages", data=raw, content_type="application/json"), 400) == ["body"]
    parts = b'{"content": "' + b"x,[{" * 20_000 + b'", "x": [' + b"{}," * 2000 + b"{}]}"
    assert problem(page.fetch("POST", "shop/messages", data=parts, content_type="application/json"), 413) == []
    assert page.post({**GOOD, "content": "x,[{" * 50_000}).status_code == 201
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = page.fetch("POST", "shop/messages", data=json.dumps(GOOD), content_type=kind)
        assert problem(answer, 415) == [], kind
    assert stored() == 1


def test_a_closed_form_and_a_full_one_take_nothing(page: OtherPage, visit: Visit) -> None:
    own_form("closed", origins=[SHOP], closed_at=utcnow())
    assert page.fetch("GET", "closed").get_json()["is_open"] is False
    assert problem(page.post(GOOD, "closed"), 410) == []
    app = visit(ratelimit_enabled=True, site_url="http://full.example.org").application
    own_form("full", origins=[SHOP], form_hourly=2)
    other = OtherPage(app)
    statuses = [other.post({"content": "x"}, "full").status_code for _ in range(3)]
    assert statuses == [201, 201, 429]
    assert stored() == 2


def test_no_cookie_of_a_signed_in_browser_counts(page: OtherPage, app: Flask, settings: Settings) -> None:
    staff = make_user("staff@example.org")
    page._browser.sign_in(staff.email, PASSWORD, remember="y")  # noqa: SLF001
    for answer in (page.post(GOOD), page.post({}), page.fetch("GET", "shop"), page.fetch("GET", "nothing")):
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")
    assert db.session.scalars(select(Message.user_id)).all() == [None]


def test_a_proof_cannot_be_made_up(defended: Flask) -> None:
    page = OtherPage(defended)
    assert proof_of_work.check("") == proof_of_work.Proof.MISSING
    challenge = page.fetch("GET", "shop/challenge").get_json()
    challenge["parameters"]["cost"] = 1
    forged = json.dumps({"challenge": challenge, "solution": {"counter": 1, "derivedKey": "00"}})
    assert problem(page.post({**GOOD, "proof": forged}), 422) == ["body proof"]
    assert stored() == 0
