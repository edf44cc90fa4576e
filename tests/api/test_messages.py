"""api/messages.py: programs list, read, answer and move messages."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from feedback_push.auth import audit
from feedback_push.database import db, utcnow
from feedback_push.feedback import conversations, tags
from feedback_push.feedback.models import Message, MessageState, Reply
from feedback_push.push.models import OutboxEntry
from tests.api.program import EMAIL, Program, problem
from tests.feedback.messages import receive
from tests.push.devices import visitors
from tests.visitors.conversations import begun


@pytest.fixture
def program(app: Flask) -> Program:
    return Program(app)


def ids(page: dict[str, Any]) -> list[int]:
    return [message["id"] for message in page["messages"]]


def test_pages_of_a_list_follow_each_other_by_cursor_while_messages_arrive(program: Program) -> None:
    old = [receive(content=f"Message {number}").id for number in range(7)]
    page = program.read("/messages?limit=3")
    found = ids(page)
    receive(content="One more, in the meantime")
    while page["next_cursor"]:
        page = program.read(f"/messages?limit=3&cursor={page['next_cursor']}")
        found += ids(page)
    assert found == old[::-1]


def test_a_list_is_filtered_by_state_tag_words_and_time(any_app: Flask) -> None:
    program = Program(any_app)
    states = {state: receive(content=f"A {state} message", state=state).id for state in MessageState}
    early = receive(content="Early", created_at=utcnow() - timedelta(days=3)).id
    tags.add(states[MessageState.READ], ["Bug"])
    db.session.commit()
    others = [id_ for state, id_ in reversed(states.items()) if state != MessageState.SPAM]
    assert ids(program.read("/messages")) == [early, *others]
    states[MessageState.NEW] = early
    for state, message_id in states.items():
        assert ids(program.read(f"/messages?state={state}"))[0] == message_id
    assert ids(program.read("/messages?tag=BUG&state=read")) == [states[MessageState.READ]]
    assert ids(program.read("/messages?search=answered+mess")) == [states[MessageState.ANSWERED]]
    since = (utcnow() - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    assert early not in ids(program.read(f"/messages?since={since}"))
    assert len(ids(program.read(f"/messages?since={since}"))) == 4


def test_a_message_is_read_whole_with_its_conversation_and_stays_unread(program: Program, app: Flask) -> None:
    message, _token = begun(content="x" * 3000, submitter_name="Ada")
    listed = program.read("/messages")["messages"][0]
    assert (len(listed["content"]), listed["is_complete"], listed["name"]) == (2000, False, "Ada")
    whole = program.read(f"/messages/{message.id}")
    assert (whole["content"], whole["is_complete"], whole["replies"]) == ("x" * 3000, True, [])
    assert (whole["state"], whole["read_at"], whole["can_be_answered"]) == ("new", None, True)
    assert whole["dashboard_url"] == f"http://127.0.0.1:8000/admin/messages/{message.id}"
    for address in ("/messages/4711", f"/messages/{2**63 - 1}"):
        assert problem(program.call("GET", address), 404) == []


def test_an_answer_reaches_the_visitor_as_one_of_the_dashboard_does(any_app: Flask) -> None:
    program = Program(any_app)
    message, token = begun(content="Hello")
    conversation = conversations.find(token)
    assert conversation
    conversations.follow(conversation, visitors(1)[0], with_text=False)
    db.session.commit()
    answer = program.call("POST", f"/messages/{message.id}/replies", {"content": "Thank you"})
    assert answer.status_code == 201
    assert [answer.get_json()[name] for name in ("author", "by", "content")] == ["site", EMAIL, "Thank you"]
    assert [reply.content for reply in conversations.replies(conversation.message)] == ["Thank you"]
    whole = program.read(f"/messages/{message.id}")
    assert (whole["state"], whole["replies"]) == ("answered", [answer.get_json()])
    assert db.session.scalar(select(OutboxEntry.kind).order_by(OutboxEntry.id.desc()).limit(1)) == "answer"


def test_a_message_goes_from_any_state_to_any_other(program: Program) -> None:
    for before in MessageState:
        for after in MessageState:
            reason = "no-proof" if before == MessageState.SPAM else None
            message = receive(state=before, spam_reason=reason)
            answer = program.call("PATCH", f"/messages/{message.id}", {"state": after.value})
            assert answer.get_json()["state"] == after, (before, after)
            db.session.refresh(message)
            assert message.state == after
            assert bool(message.spam_reason) is (before == after == MessageState.SPAM), (before, after)
    events = [entry.event for entry in audit.page().entries]
    assert (events.count("messages-into-spam"), events.count("messages-out-of-spam")) == (4, 4)
    assert audit.page().entries[0].detail["key"] == "Tickets"


def test_tags_are_replaced_as_a_whole(any_app: Flask) -> None:
    program = Program(any_app)
    message = receive()
    address = f"/messages/{message.id}"
    assert program.call("PATCH", address, {"tags": ["Bug", "urgent"]}).get_json()["tags"] == ["Bug", "urgent"]
    assert program.call("PATCH", address, {"tags": ["bug", "new one"]}).get_json()["tags"] == ["Bug", "new one"]
    assert program.call("PATCH", address, {"state": "archived"}).get_json()["tags"] == ["Bug", "new one"]
    assert tags.names() == ["Bug", "new one"]
    for odd in (["a,b"], ["\u200b"], ["x" * 41], [str(number) for number in range(21)], [7], "Bug", [None]):
        assert problem(program.call("PATCH", address, {"tags": odd, "state": "read"}), 422)[0].startswith("body tags")
    assert program.read(address)["state"] == "archived"
    assert program.call("PATCH", address, {"tags": []}).get_json()["tags"] == []
    assert tags.names() == []


def test_an_answer_is_sent_once_however_often_it_is_asked_for(any_app: Flask) -> None:
    program, other = Program(any_app), Program(any_app)
    message, _token = begun(content="Hello")
    address = f"/messages/{message.id}/replies"
    first = program.call("POST", address, {"content": "Thanks"}, Idempotency_Key="4f5e0d1c-9a55")
    for key in ("4f5e0d1c-9a55", '"4f5e0d1c-9a55"'):
        again = program.call("POST", address, {"content": "Thanks"}, Idempotency_Key=key)
        assert (again.status_code, again.get_json()) == (201, first.get_json())
    assert problem(program.call("POST", address, {"content": "No"}, Idempotency_Key="4f5e0d1c-9a55"), 422) == [
        "header Idempotency-Key"
    ]
    for odd in ("short", "x" * 101, "with a space", "ünï-codé-12"):
        assert problem(program.call("POST", address, {"content": "No"}, Idempotency_Key=odd), 400) == [
            "header Idempotency-Key"
        ]
    assert db.session.scalar(select(func.count()).select_from(Reply)) == 1
    assert other.call("POST", address, {"content": "Thanks"}, Idempotency_Key="4f5e0d1c-9a55").status_code == 201
    assert db.session.scalar(select(func.count()).select_from(Reply)) == 2
    db.session.delete(db.session.get_one(Message, message.id))
    db.session.commit()
    assert problem(program.call("POST", address, {"content": "Thanks"}, Idempotency_Key="4f5e0d1c-9a55"), 404) == []


def test_what_is_malformed_is_named_and_changes_nothing(program: Program) -> None:
    message, _token = begun(content="Hello")
    address, replies = f"/messages/{message.id}", f"/messages/{message.id}/replies"
    wrong: dict[tuple[str, str, str], list[str]] = {
        ("GET", "/messages?state=x", ""): ["query state"],
        ("GET", "/messages?limit=0", ""): ["query limit"],
        ("GET", "/messages?limit=101", ""): ["query limit"],
        ("GET", f"/messages?limit={'9' * 5000}", ""): ["query limit"],
        ("GET", "/messages?cursor=MTI.bWFkZSB1cA", ""): ["query cursor"],
        ("GET", "/messages?since=yesterday", ""): ["query since"],
        ("GET", "/messages?since=2026-01-01T00:00:00", ""): ["query since"],
        ("GET", "/messages?since=0001-01-01T00:00:00%2B14:00", ""): ["query since"],
        ("GET", f"/messages?search={'x' * 201}", ""): ["query search"],
        ("GET", "/messages?page=2", ""): ["query page"],
        ("POST", replies, "{}"): ["body content"],
        ("POST", replies, "[]"): ["body"],
        ("POST", replies, '{"content": "x", "to": "me"}'): ["body to"],
        ("POST", replies, '{"content": " \u200b"}'): ["body content"],
        ("POST", replies, '{"content": ["x"]}'): ["body content"],
        ("POST", replies, '{"content": null}'): ["body content"],
        ("POST", replies, f'{{"content": "{"x" * 20_001}"}}'): ["body content"],
        ("PATCH", address, '{"state": "gone"}'): ["body state"],
        ("PATCH", address, '{"state": true}'): ["body state"],
    }
    for (method, where, body), named in wrong.items():
        more: dict[str, Any] = {"data": body, "content_type": "application/json"} if body else {}
        answer = program.send(method, where, **more)
        assert problem(answer, 422) == named, (where, body)
        assert len(answer.data) < 2000
    for raw in (b"", b"{", b"\xff\xfe", '{"content": "é"}'.encode("latin-1"), b"[" * 50_000, b"9" * 5000):
        answer = program.send("POST", replies, data=raw, content_type="application/json")
        assert problem(answer, 400) == ["body"], raw[:20]
    assert problem(program.send("POST", replies, data={"content": "x"}), 415) == []
    assert problem(program.send("POST", replies, data=b"x" * 10_000_000, content_type="application/json"), 413) == []
    assert problem(program.call("PUT", address, {}), 405) == []
    assert "PATCH" in program.call("PUT", address, {}).headers["Allow"]
    assert problem(program.call("GET", "/nowhere"), 404) == []
    assert program.read(address)["replies"] == []
    assert program.read(address)["state"] == "new"
