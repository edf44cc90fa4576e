"""api/authentication.py: keys and their scopes, limits and ends; no cookie is read or set."""

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select

from feedback_push import counters
from feedback_push.api import authentication
from feedback_push.auth import api_keys
from feedback_push.auth.api_keys import Scope
from feedback_push.auth.models import ApiKey
from feedback_push.database import db
from feedback_push.feedback.models import Reply
from tests.api.program import Program, problem
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import receive
from tests.visits import Visit, Visitor


def test_a_request_without_a_key_or_with_a_wrong_one_learns_nothing(app: Flask) -> None:
    program = Program(app)
    receive(content="A secret")
    key = program.key
    for sent in (
        "",
        "Bearer",
        "Bearer ",
        f"Basic {key}",
        key,
        f"Bearer {key}x",
        f"Bearer {key[:-1]}",
        "Bearer é",
        "x" * 8000,
    ):
        answer = program.send("GET", "/messages", {"Authorization": sent})
        assert problem(answer, 401) == [], sent
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "A secret" not in answer.text
    assert program.send("GET", "/messages", {"Authorization": f"bearer  {key}"}).status_code == 200
    assert program.send("GET", f"/messages?key={key}", {"Authorization": ""}).status_code == 401


def test_a_key_opens_its_scopes_only(app: Flask) -> None:
    message = receive()
    calls: dict[Scope, list[tuple[str, str, Any]]] = {
        Scope.READ: [("GET", "/messages", None), ("GET", f"/messages/{message.id}", None)],
        Scope.REPLY: [
            ("PATCH", f"/messages/{message.id}", {"state": "read"}),
            ("POST", f"/messages/{message.id}/replies", {"content": "x"}),
        ],
        Scope.NOTIFY: [
            ("POST", "/notifications", {"to": "administrators", "title": "x"}),
            ("GET", "/notifications/a2", None),
        ],
    }
    for scope in Scope:
        program = Program(app, scope)
        for other, each in calls.items():
            for method, address, body in each:
                answer = program.call(method, address, body)
                if scope == other:
                    assert answer.status_code in (200, 201), (scope, address)
                else:
                    assert problem(answer, 403) == [], (scope, address)
                    assert f'scope="{other.value}"' in answer.headers["WWW-Authenticate"]


def test_an_ended_key_and_one_of_a_deleted_account_open_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    program, other = Program(app), Program(app)
    message = receive()
    key = db.session.scalars(select(ApiKey).order_by(ApiKey.id)).first()
    assert key
    assert key.last_used_at is None
    assert program.call("GET", "/messages").status_code == 200
    db.session.refresh(key)
    assert key.last_used_at
    # Its owner ends the key after it was let in, and before anything is written.
    lock = api_keys.lock

    def end_and_lock(key_id: int) -> bool:
        db.session.execute(delete(ApiKey).where(ApiKey.id == key_id))
        return lock(key_id)

    monkeypatch.setattr(api_keys, "lock", end_and_lock)
    assert problem(program.call("POST", f"/messages/{message.id}/replies", {"content": "x"}), 401) == []
    monkeypatch.undo()
    assert db.session.scalars(select(Reply)).all() == []
    api_keys.end(key.id, user=program.user)
    db.session.commit()
    assert problem(program.call("GET", "/messages"), 401) == []
    assert other.call("GET", "/messages").status_code == 200
    db.session.delete(program.user)
    db.session.commit()
    assert problem(other.call("GET", "/messages"), 401) == []


def test_each_key_has_its_limit_and_says_how_much_is_left(visit: Visit) -> None:
    app = visit(ratelimit_enabled=True, site_url="http://limits.example.org").application
    with app.app_context():
        program, other = Program(app), Program(app)
        left = []
        for _ in range(3):
            answer = program.call("GET", "/messages")
            assert answer.headers["RateLimit-Policy"] == '"key";q=600;w=60'
            match = re.fullmatch(r'"key";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
            assert match
            left.append(int(match[1]))
        assert left == [599, 598, 597]
        for _ in range(597):
            assert counters.take(authentication.LIMIT, "api-key:1").had_room
        answer = program.call("GET", "/messages")
        assert problem(answer, 429) == []
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert answer.headers["RateLimit"].startswith('"key";r=0;')
        assert other.call("GET", "/messages").status_code == 200


def test_guesses_of_keys_end_and_a_real_key_works_all_the_same(visit: Visit) -> None:
    app = visit(ratelimit_enabled=True, site_url="http://guesses.example.org").application
    with app.app_context():
        program = Program(app)
        wrong = {"Authorization": "Bearer fp_" + "x" * 43}
        statuses = [program.send("GET", "/messages", wrong).status_code for _ in range(62)]
        assert statuses == [401] * 60 + [429] * 2
        assert program.call("GET", "/messages").status_code == 200


def test_no_cookie_is_read_or_set_anywhere_below_api(app: Flask) -> None:
    staff = make_user("staff@example.org")
    browser = Visitor(app)
    browser.sign_in(staff.email, PASSWORD, remember="y")
    assert browser.signed_in()
    program = Program(app)
    with_key = {"Authorization": f"Bearer {program.key}"}
    message = receive()
    for method, address in (
        *(("GET", "/messages"), ("GET", f"/messages/{message.id}"), ("PATCH", f"/messages/{message.id}")),
        *(("POST", "/notifications"), ("GET", "/openapi.json"), ("GET", "/nowhere"), ("DELETE", "/messages")),
        *(("OPTIONS", "/messages"), ("HEAD", "/messages"), ("GET", "/../../api")),
    ):
        for headers in ({}, with_key):
            answer = browser.open(f"/api/v1{address}", method=method, headers=headers)
            assert "Set-Cookie" not in answer.headers, address
            assert "Cookie" not in answer.headers.get("Vary", "")
            if (
                not headers
                and address not in ("/openapi.json", "/nowhere", "/../../api")
                and method not in ("DELETE", "OPTIONS")
            ):
                assert answer.status_code == 401, (method, address)
    assert browser.signed_in()
