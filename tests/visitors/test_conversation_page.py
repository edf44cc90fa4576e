"""feedback_push/visitors/conversation_page.py: the private page, as a browser without JavaScript uses it."""

import gzip
import json

import pytest
from flask import Flask
from sqlalchemy import func, select

from feedback_push.auth.models import User
from feedback_push.database import Base, db, utcnow
from feedback_push.feedback import conversations, inbox
from feedback_push.feedback.daily_counts import Count
from feedback_push.feedback.models import DailyCount, Message, MessageState, Reply
from feedback_push.push import followers, outbox, results
from feedback_push.push.models import Delivery, OutboxEntry
from feedback_push.visitors import conversation_page
from feedback_push.webpush.gateway import Result
from tests.feedback.messages import receive
from tests.push.devices import visitors
from tests.push.notes import claim, fan_out
from tests.test_static_files import loaded_with
from tests.visitors.conversations import begun, conversation_of, made_up
from tests.visits import Visit, Visitor


def test_the_page_shows_the_message_who_read_it_and_the_answers_with_links(client: Visitor, staff: User) -> None:
    message, token = begun(content="Hello <b>there</b>, see https://example.org/a")
    page = client.read(f"/conversations/{token}")
    assert page.one(class_="message-text").raw == "Hello <b>there</b>, see https://example.org/a"
    assert page.one("a", href="https://example.org/a").attributes["rel"] == "noopener noreferrer nofollow ugc"
    assert page.one(id="read").words == "Nobody has read it yet."
    inbox.mark_read(message)
    conversations.answer(message, staff, "Thank you, www.example.org \u202e<script>")
    db.session.commit()
    page = client.read(f"/conversations/{token}")
    assert page.one(id="read").words.startswith("Somebody has read it.")
    answer = page.one("li", id="latest")
    assert answer.words.startswith("Feedback Push")
    assert "Thank you, www.example.org \u202e<script>" in answer.raw
    assert page.all("a", href="http://www.example.org")
    assert staff.email not in answer.raw


def test_a_new_text_notifies_the_administrators_and_reopens_the_message(client: Visitor, staff: User) -> None:
    message, token = begun()
    conversations.answer(message, staff, "Thank you")
    db.session.commit()
    answer = client.send(f"/conversations/{token}", content="And another thing")
    assert (answer.status_code, answer.location) == (303, f"/conversations/{token}#latest")
    assert "And another thing" in client.read(f"/conversations/{token}").one("li", id="latest").words
    db.session.rollback()
    entry = db.session.query(OutboxEntry).filter_by(kind="reply").one()
    shown = json.loads(entry.payload)["notification"]
    assert [shown["title"], shown["body"]] == ["Ada:", "And another thing"]
    assert shown["navigate"].endswith(f"/admin/messages/{message.id}")
    assert db.session.get_one(Message, message.id).state == MessageState.NEW


def test_what_is_written_to_spam_notifies_nobody(client: Visitor) -> None:
    message, token = begun()
    message.state = MessageState.SPAM
    db.session.commit()
    client.send(f"/conversations/{token}", content="Buy this")
    db.session.rollback()
    assert db.session.query(OutboxEntry).filter_by(kind="reply").all() == []
    assert db.session.get_one(Message, message.id).state == MessageState.SPAM


def test_beyond_a_days_notifications_a_text_arrives_without_one_and_is_counted(visit: Visit) -> None:
    visitor = visit(ratelimit_enabled=True, notification_daily_limit=1)
    with visitor.application.app_context():
        message, token = begun()
        message_id = message.id
        for content in ("first", "second"):
            assert visitor.send(f"/conversations/{token}", content=content).status_code == 303
        db.session.rollback()
        replies = conversations.replies(db.session.get_one(Message, message_id))
        assert [(reply.content, reply.outbox_id is not None) for reply in replies] == [
            ("first", True),
            ("second", False),
        ]
        counted = db.session.query(DailyCount).one()
        assert (counted.name, counted.count) == (Count.NOT_NOTIFIED, 1)


def test_a_text_that_cannot_be_taken_stays_in_the_form(client: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    _, token = begun()
    address = f"/conversations/{token}"
    for content, status in ((" \u200b", 422), ("x" * 20_001, 422)):
        answer = client.send(address, content=content)
        assert answer.status_code == status
        assert db.session.query(Reply).all() == []
    refused = client.post(address, data={"content": "typed", "csrf_token": "made up"})
    assert refused.status_code == 400
    assert ">\r\ntyped</textarea>" in refused.text
    monkeypatch.setattr(conversations, "MOST_REPLIES", 1)
    assert client.send(address, content="first").status_code == 303
    full = client.send(address, content="second")
    assert full.status_code == 422
    assert ">\r\nsecond</textarea>" in full.text
    assert "cannot take more" in full.text


def test_an_unknown_an_ended_an_erased_and_an_old_link_get_the_same_answer(client: Visitor) -> None:
    ended, renewed, erased, deleted = (begun()[1] for _ in range(4))
    client.send(f"/conversations/{ended}")
    for token, action in ((ended, "end"), (renewed, "renew"), (erased, "erase")):
        fields = client.read(f"/conversations/{token}").fields
        done = client.post(f"/conversations/{token}/{action}", data={**fields, "confirmed": "yes"})
        assert done.status_code in (200, 303)
    conversations_message = conversations.find(deleted)
    assert conversations_message
    conversations_message.message.deleted_at = utcnow()
    db.session.commit()
    token = client.read("/feedback/").fields["csrf_token"]
    unknown = [*made_up(1), "x", "é" * 43, "a" * 2000, "%00" * 43]
    answers = set()
    for one in (ended, renewed, erased, deleted, *unknown):
        answers.add((client.get(f"/conversations/{one}").status_code, client.get(f"/conversations/{one}").text))
        for action in ("", "/export", "/erase", "/end", "/renew"):
            data = {"csrf_token": token, "content": "x", "confirmed": "yes"}
            assert client.post(f"/conversations/{one}{action}", data=data).status_code == 404, (one, action)
    [(status, text)] = {(status, _without_nonces(text)) for status, text in answers}
    assert status == 404
    assert "There is no page at this address." in text


def _without_nonces(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "nonce" not in line)


def test_who_tries_many_tokens_has_to_wait_and_a_known_link_works_all_the_same(visit: Visit) -> None:
    visitor = visit(ratelimit_enabled=True)
    with visitor.application.app_context():
        _, token = begun()
        tried = made_up(conversation_page.UNKNOWN.for_network + 1)
    statuses = [visitor.get(f"/conversations/{one}").status_code for one in tried]
    assert [statuses[0], statuses[-2], statuses[-1]] == [404, 404, 429]
    assert visitor.get(f"/conversations/{token}").status_code == 200


def test_private_pages_are_kept_and_found_nowhere_and_are_no_referrer(client: Visitor) -> None:
    _, token = begun()
    fields = client.read(f"/conversations/{token}").fields
    answers = [
        client.get(f"/conversations/{token}"),
        client.post(f"/conversations/{token}/export", data=fields),
        client.post(f"/conversations/{token}/erase", data=fields),
        client.post(f"/conversations/{token}/end", data={**fields, "confirmed": "yes"}),
        client.get(f"/conversations/{token}"),
    ]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex"
        if answer.status_code == 200 and answer.mimetype == "text/html":
            assert '<meta name="referrer" content="strict-origin">' in answer.text


def test_reading_and_previewing_the_page_changes_nothing(client: Visitor) -> None:
    _, token = begun()
    before = _stored()
    client.get(f"/conversations/{token}")
    client.head(f"/conversations/{token}")
    for action in ("export", "erase", "end", "renew"):
        assert client.get(f"/conversations/{token}/{action}").status_code == 405
    assert _stored() == before


def _stored() -> list[object]:
    db.session.rollback()
    return [list(db.session.execute(table.select())) for table in db.metadata.sorted_tables]


def test_the_export_is_all_that_is_stored_of_the_conversation(client: Visitor, staff: User) -> None:
    message, token = begun(submitter_email="ada@example.org")
    conversations.answer(message, staff, "Thank you")
    db.session.commit()
    client.send(f"/conversations/{token}", content="Again")
    fields = client.read(f"/conversations/{token}").fields
    answer = client.post(f"/conversations/{token}/export", data=fields)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="feedback.json"'
    found = json.loads(answer.text)
    assert [found["content"], found["name"], found["email"]] == ["Hello", "Ada", "ada@example.org"]
    assert [(each["from"], each["content"]) for each in found["replies"]] == [
        ("site", "Thank you"),
        ("visitor", "Again"),
    ]
    assert staff.email not in answer.text
    assert token not in answer.text


def test_a_message_is_erased_after_one_confirmation_with_all_that_repeats_it(
    any_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, staff = Visitor(any_app), User(email="staff@example.org", password_hash="")
    db.session.add(staff)
    message, token = begun(content="my secret wish")
    _, other = begun(content="another")
    message_id = message.id
    one, both = visitors(2)
    for conversation, device in (
        (conversations.find(token), one),
        (conversations.find(token), both),
        (conversations.find(other), both),
    ):
        assert conversation
        conversations.follow(conversation, device, with_text=False)
    entry_id = conversations.answer(message, staff, "the answer to it")
    db.session.commit()
    client.send(f"/conversations/{token}", content="my secret again")
    assert entry_id
    fan_out(entry_id)
    fields = client.read(f"/conversations/{token}").fields
    asked = client.post(f"/conversations/{token}/erase", data=fields)
    assert "Nobody can undo this." in asked.text
    assert db.session.get(Message, message_id)
    monkeypatch.setattr(outbox, "MOST_DELIVERIES", 1)  # so that it takes more than one transaction
    gone = client.post(f"/conversations/{token}/erase", data={**fields, "confirmed": "yes"})
    assert "Your message is erased" in gone.text
    left = json.dumps(_stored(), default=str)
    assert not [text for text in ("secret", "the answer to it") if text in left]
    assert "another" in left
    assert followers.followed_by(both)
    assert db.session.scalars(select(Delivery.id)).all() == []


def test_a_message_that_is_erased_in_mid_delivery_leaves_nothing_and_breaks_nothing(
    client: Visitor, staff: User
) -> None:
    message, token = begun()
    found = conversations.find(token)
    assert found
    conversations.follow(found, visitors(1)[0], with_text=False)
    entry_id = conversations.answer(message, staff, "Thank you")
    db.session.commit()
    assert entry_id
    fan_out(entry_id)
    [claimed] = claim()
    fields = client.read(f"/conversations/{token}").fields
    assert client.post(f"/conversations/{token}/erase", data={**fields, "confirmed": "yes"}).status_code == 200
    results.record([Result(claimed, 201, None)], utcnow())
    db.session.commit()
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 0


def test_an_ended_link_leaves_the_message_and_its_answers_with_the_administrators(client: Visitor, staff: User) -> None:
    message, token = begun()
    message_id = message.id
    found = conversations.find(token)
    assert found
    conversations.follow(found, visitors(1)[0], with_text=False)
    db.session.commit()
    fields = client.read(f"/conversations/{token}").fields
    assert "End this link?" in client.post(f"/conversations/{token}/end", data=fields).text
    assert client.get(f"/conversations/{token}").status_code == 200
    client.post(f"/conversations/{token}/end", data={**fields, "confirmed": "yes"})
    message = db.session.get_one(Message, message_id)
    assert conversations.answer(message, staff, "Too late") is None
    db.session.commit()
    assert conversation_of(message_id).audience_id is None
    assert db.session.query(Reply).one().content == "Too late"


def test_a_new_link_replaces_the_old_one_and_no_device_of_the_old_one_gets_it(client: Visitor, staff: User) -> None:
    message, token = begun()
    found = conversations.find(token)
    assert found
    conversations.follow(found, visitors(1)[0], with_text=False)
    db.session.commit()
    answer = client.post(f"/conversations/{token}/renew", data=client.read(f"/conversations/{token}").fields)
    new = answer.location.rpartition("/")[2]
    assert new != token
    assert client.get(answer.location).status_code == 200
    assert conversations.answer(db.session.get_one(Message, message.id), staff, "Hello") is None


def test_no_private_link_is_stored_in_the_clear_or_follows_from_another(any_app: Flask) -> None:
    message, token = begun()
    staff = User(email="staff@example.org", password_hash="")
    db.session.add(staff)
    found = conversations.find(token)
    assert found
    conversations.follow(found, visitors(1)[0], with_text=True)
    conversations.answer(message, staff, "Hello")
    db.session.commit()
    assert token not in json.dumps(_stored(), default=str)
    tokens = {begun()[1] for _ in range(3)}
    assert len({one[:4] for one in tokens} | {token[:4]}) == 4


def test_the_private_page_is_small_on_the_wire(client: Visitor, staff: User) -> None:
    message, token = begun(content="A message of usual length. " * 10)
    for _ in range(5):
        conversations.answer(message, staff, "An answer of usual length. " * 10)
    db.session.commit()
    address = f"/conversations/{token}"
    sizes = {one: len(answer.data) for one, answer in loaded_with(client, address).items()}
    sizes[address] = len(gzip.compress(client.get(address).data))
    assert sum(sizes.values()) + 500 * len(sizes) < 30_000, sizes  # with the headers of each


def test_messages_from_before_have_no_link_and_can_be_answered(app: Flask, staff: User) -> None:
    message = receive()
    assert conversations.of(message) is None
    assert conversations.answer(message, staff, "Hello") is None
    db.session.commit()
    assert db.session.get_one(Message, message.id).state == MessageState.ANSWERED
    assert "feedback_conversation" in Base.metadata.tables
