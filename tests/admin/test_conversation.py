"""admin/conversation.py and replies.py: the page of a message as a conversation, and the reply box."""

import json
from urllib.parse import unquote

import pytest

from feedback_push import bidi
from feedback_push.admin import conversation
from feedback_push.auth import audit, sessions
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.feedback import conversations
from feedback_push.feedback.models import Conversation, Message, MessageState, Reply
from feedback_push.push.models import Delivery, DeliveryState, OutboxEntry, Subscription
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import message as new_message
from tests.feedback.messages import receive
from tests.push.devices import visitors
from tests.push.notes import fan_out
from tests.visits import Page, Visitor


@pytest.fixture
def message(staff: User) -> Message:
    """A message with a private link."""
    assert staff
    received = receive(submitter_name="Ada")
    conversations.begin(received)
    db.session.commit()
    return received


def of(message: Message) -> Conversation:
    found = conversations.of(message)
    assert found
    return found


def follow(message: Message, **more: object) -> Subscription:
    device_id = visitors(1)[0]
    conversations.follow(of(message), device_id, with_text=False)
    device = db.session.get(Subscription, device_id)
    assert device
    for name, value in {"name": "Firefox on Android", **more}.items():
        setattr(device, name, value)
    db.session.commit()
    return device


def address(message: Message) -> str:
    return f"/admin/messages/{message.id}"


def send(dashboard: Visitor, message: Message, content: str, **more: str) -> str | None:
    """Send the reply box and return where that leads."""
    token = dashboard.read("/admin/settings").fields["csrf_token"]
    answer = dashboard.post(f"{address(message)}/reply", data={"csrf_token": token, "content": content, **more})
    assert answer.status_code == 303
    return answer.location


def texts(page: Page) -> list[str]:
    return [element.raw.strip() for element in page.all("div", class_="message-text")]


def history_of(dashboard: Visitor, reply: Reply) -> str:
    found = dashboard.read(f"/admin/messages/{reply.message_id}/replies/{reply.id}/history")
    return found.one("section", id=f"history-{reply.id}").words


def test_the_page_shows_the_message_the_answers_and_the_replies_in_order(
    dashboard: Visitor, staff: User, message: Message
) -> None:
    assert send(dashboard, message, "<b>Yes</b>\r\n\r\nsoon") == f"{address(message)}#latest"
    conversations.write_again(of(message), "Thanks", notify=True)
    conversations.answer(message, make_user("colleague@example.org"), "Done")
    db.session.commit()
    page = dashboard.read(address(message))
    assert texts(page) == ["Hello", "<b>Yes</b>\n\nsoon", "Thanks", "Done"]
    assert [heading.words for heading in page.all("h2") if "author" in heading.attributes.get("id", "")] == [
        "Me",
        "Ada",
        "colleague@example.org",
    ]
    assert "Marked as answered by colleague@example.org" in page.one(id="answered").words
    assert page.one("textarea", name="content").raw.strip() == ""


def test_only_what_can_be_an_answer_is_taken_and_the_typed_text_stays(dashboard: Visitor, message: Message) -> None:
    token = dashboard.read("/admin/").fields["csrf_token"]
    for content, problem in (
        ("", "Please write a message."),
        (" \u200b\n", "Please write a message."),
        ("x" * 20_001, "Please use at most 20,000 characters."),
    ):
        answer = dashboard.post(f"{address(message)}/reply", data={"csrf_token": token, "content": content})
        assert answer.status_code == 422
        page = Page(answer)
        assert page.one("p", id="answer-error").words.startswith(problem)
        assert page.one("textarea", id="answer").raw.strip() == content[:20_000].strip()
    assert dashboard.post(f"{address(message)}/reply", data={"csrf_token": token}).status_code == 422
    assert dashboard.post("/admin/messages/4711/reply", data={"csrf_token": token, "content": "x"}).status_code == 404
    assert db.session.query(Reply).count() == 0


def test_a_full_conversation_says_so_and_keeps_the_text(
    dashboard: Visitor, message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "MOST_REPLIES", 1)
    send(dashboard, message, "One")
    token = dashboard.read("/admin/").fields["csrf_token"]
    answer = dashboard.post(f"{address(message)}/reply", data={"csrf_token": token, "content": "Two"})
    assert answer.status_code == 422
    assert "too many replies" in Page(answer).one("p", id="answer-error").words
    assert Page(answer).one("textarea", id="answer").raw.strip() == "Two"


def test_an_answer_leaves_the_draft_obsolete_once_and_only_on_its_page(dashboard: Visitor, message: Message) -> None:
    other = receive()
    send(dashboard, message, "Yes")
    assert "data-sent" in dashboard.read(address(message)).one("form", id="reply").attributes
    assert "data-sent" not in dashboard.read(address(message)).one("form", id="reply").attributes
    send(dashboard, message, "Yes")
    assert "data-sent" not in dashboard.read(address(other)).one("form", id="reply").attributes


def test_the_page_says_how_an_answer_reaches_the_visitor(dashboard: Visitor, message: Message) -> None:
    def hint() -> str:
        return dashboard.read(address(message)).one(id="answer-hint").words

    assert hint() == "The visitor reads your answer with their private link; no device gets a notification."
    follow(message)
    assert hint() == "The visitor gets a notification of your answer."
    conversations.end_link(of(message))
    db.session.commit()
    assert hint() == "The visitor has ended the private link and cannot read an answer here."
    of_before = dashboard.read(address(receive()))
    assert "no private link" in of_before.one(id="answer-hint").words


def test_each_answer_shows_what_became_of_its_notification(dashboard: Visitor, message: Message) -> None:
    phone = follow(message)
    send(dashboard, message, "Yes")
    [reply] = conversations.replies(message)
    assert "Notifications None" in history_of(dashboard, reply)  # a worker has not picked it up
    assert reply.outbox_id is not None
    fan_out(reply.outbox_id)
    [delivery] = db.session.query(Delivery).all()
    for change, expected in (
        (
            {"state": DeliveryState.ACCEPTED, "due_at": None, "accepted_at": utcnow()},
            "Sent Accepted by the push service",
        ),
        ({"shown_at": utcnow()}, "Shown Shown"),
        ({"clicked_at": utcnow()}, "Opened Shown"),
        (
            {"state": DeliveryState.FAILED, "error": "gone", "shown_at": None, "clicked_at": None},
            "Nothing more is sent there until the visitor turns notifications on again.",
        ),
        ({"state": DeliveryState.EXPIRED, "error": None}, "It expired."),
    ):
        for name, value in change.items():
            setattr(delivery, name, value)
        db.session.commit()
        shown = history_of(dashboard, reply)
        assert expected in shown
        assert "A visitor's Firefox on Android" in shown
        assert "administrator" not in shown
    assert phone.endpoint not in dashboard.get(address(message)).text
    page = dashboard.read(address(message))
    named = [part.attributes["aria-labelledby"] for part in page.all("section") if "aria-labelledby" in part.attributes]
    titles = [page.one("h2", id=name).words for name in named]
    assert "Notifications" in titles
    assert len(titles) == len(set(titles))


def test_an_answer_without_a_notification_says_why(dashboard: Visitor, message: Message) -> None:
    of_before = receive()
    for each in (message, of_before):
        send(dashboard, each, "Yes")
    [reply], [another] = conversations.replies(message), conversations.replies(of_before)
    assert "the visitor had no device with notifications" in history_of(dashboard, reply)
    assert "this message has no private link" in history_of(dashboard, another)
    conversations.end_link(of(message))
    db.session.commit()
    assert "the visitor has ended the private link" in history_of(dashboard, reply)
    elsewhere = f"/admin/messages/{message.id}/replies/{another.id}/history"
    assert dashboard.get(elsewhere).status_code == 404


def test_a_reply_reopens_the_message_in_the_list_and_on_its_page(dashboard: Visitor, message: Message) -> None:
    send(dashboard, message, "Yes")
    assert dashboard.read("/admin/").all("li", class_="unread") == []
    assert "Ada" in dashboard.read("/admin/?list=answered").one(id="messages").words
    conversations.write_again(of(message), "Still broken", notify=True)
    db.session.commit()
    row = dashboard.read("/admin/").one("li", class_="unread")
    assert "New reply" in row.words
    page = dashboard.read(address(message))
    assert page.one("article", id="latest").words.startswith("Ada Reply of the visitor")
    assert page.all(id="answered") == []
    assert "New reply" not in dashboard.read("/admin/").one(id="messages").words  # it was read with its page


def test_an_answer_to_spam_is_in_the_audit_log_as_a_move_out_of_spam(dashboard: Visitor, message: Message) -> None:
    message.state = MessageState.SPAM
    db.session.commit()
    send(dashboard, message, "Yes")
    assert audit.page(None).entries[0].event == "messages-out-of-spam"


def test_the_mark_of_an_answer_by_email_can_be_undone(dashboard: Visitor, staff: User) -> None:
    written = receive(submitter_email="ada@example.org")
    page = dashboard.read(address(written))
    button = page.one("button", value="answered")
    assert button.attributes["form"] == page.one("form", id="actions").attributes["id"]
    token = page.fields["csrf_token"]
    dashboard.post("/admin/messages/move", data={"csrf_token": token, "id": written.id, "move": "answered"})
    notice = dashboard.read("/admin/")
    assert notice.one("form", class_="notice undo").words == "1 message marked as answered. Undo"
    shown = dashboard.read(address(written))
    assert f"Marked as answered by {staff.email}" in shown.one(id="answered").words
    assert shown.all("button", value="answered") == []
    undo = notice.one("input", name="undo").attributes["value"]
    dashboard.post("/admin/messages/undo", data={"csrf_token": token, "undo": undo})
    assert dashboard.read(address(written)).all(id="answered") == []


def test_the_mailto_address_quotes_the_message_and_has_a_limited_length() -> None:
    for content in (
        "One\nTwo \U0001f469\u200d\U0001f469\u200d\U0001f467\n",
        "ż" * 200_000,
        "\u202e&subject=x\r\nBcc: y" * 99,
        "🏳️‍🌈" * 999,
    ):
        link = conversation.mailto(new_message(content=content, submitter_email="ada&cc=eve@example.org"))
        assert len(link) <= conversation.LONGEST_MAILTO
        assert link.startswith("mailto:ada%26cc%3Deve@example.org?subject=")
        assert (link.count("?"), link.count("&"), link.count("@")) == (1, 1, 1)
        body = unquote(link.partition("&body=")[2])
        assert body.startswith(f"\r\n\r\n> {content[:3]}")
        assert all(line.startswith(">") for line in body.split("\r\n")[2:])


def test_an_answer_after_the_end_of_the_session_is_sent_after_signing_in(
    dashboard: Visitor, staff: User, message: Message
) -> None:
    token = dashboard.read(address(message)).fields["csrf_token"]
    for content, is_kept in (("Yes", True), ("x" * 5000, False)):
        sessions.end_all(staff)
        db.session.commit()
        data = {"csrf_token": token, "content": content}
        answer = dashboard.post(f"{address(message)}/reply", data=data)
        assert answer.location == "/login?next=/admin/resume"
        dashboard.sign_in(staff.email, PASSWORD)
        page = dashboard.read("/admin/resume")
        assert page.one("h1").words == "Send the answer"
        token = page.fields.get("csrf_token", "")
        if is_kept:
            assert page.fields["content"] == content
        else:
            assert "has kept your text" in page.one(id="interrupted").words
        links = [link.attributes["href"] for link in page.all("a")]
        assert f"{address(message)}#answer" in links


def test_a_notification_about_a_reply_opens_the_page_of_the_message(dashboard: Visitor, message: Message) -> None:
    entry_id = conversations.write_again(of(message), "Hello", notify=True)
    db.session.commit()
    entry = db.session.get(OutboxEntry, entry_id)
    assert entry
    opened = json.loads(entry.payload)["notification"]
    assert texts(dashboard.read(opened["navigate"])) == ["Hello", "Hello"]
    assert dashboard.read(opened["actions"][0]["navigate"]).one("textarea", id="answer")


def test_who_has_answered_is_named_as_they_want_and_not_to_the_visitor(
    dashboard: Visitor, staff: User, message: Message
) -> None:
    send(dashboard, message, "An answer")
    fields = dashboard.read("/admin/account").fields
    name = "Ada \u202eLovelace"
    assert dashboard.post("/admin/account/name", data={**fields, "name": name}).status_code == 303
    other = Visitor(dashboard.application)
    other.sign_in(make_user("other@example.org").email, PASSWORD)
    page = other.read(address(message))
    shown = bidi.isolated(name)
    assert shown in [author.words for author in page.all("bdi")]
    assert page.one("p", id="answered").words.startswith(f"Marked as answered by {shown}")
    assert name in [option.words for option in page.all("option")]
    private = other.get(f"/conversations/{conversations.token_of(of(message))}").text
    assert "An answer" in private
    assert not [each for each in (staff.email, "Lovelace") if each in private]
    assert dashboard.post("/admin/account/name", data={**fields, "name": "x" * 61}).status_code == 422
    dashboard.post("/admin/account/name", data={**fields, "name": "\u200b "})
    assert staff.email in [author.words for author in other.read(address(message)).all("bdi")]
