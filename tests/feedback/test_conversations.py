"""feedback/conversations.py: private links, answers, visitors' replies, and the devices that are told of answers."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import func, select

from feedback_push import private_links
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.feedback import bulk_actions, conversation_data, conversations, lists, personal_data, purge
from feedback_push.feedback.bulk_actions import BulkAction
from feedback_push.feedback.conversations import Full
from feedback_push.feedback.models import Conversation, Message, MessageState, Reply
from feedback_push.push.models import (
    Audience,
    Delivery,
    Follower,
    MutedKind,
    OutboxEntry,
    Preference,
    PreviewLevel,
    Subscription,
)
from tests.feedback.messages import receive
from tests.push.devices import owner, unreachable_devices, visitors
from tests.push.notes import fan_out


def begin(**more: object) -> tuple[Message, str]:
    """Commit a message with a private link, and return both."""
    message = receive(**more)
    token = conversations.begin(message)
    db.session.commit()
    return message, token


def found(token: str) -> Conversation:
    conversation = conversations.find(token)
    assert conversation
    return conversation


def payload(entry_id: int | None) -> dict[str, object]:
    entry = db.session.get(OutboxEntry, entry_id)
    assert entry
    notification: dict[str, object] = json.loads(entry.payload)["notification"]
    return {**notification, "navigate": private_links.finished(str(notification["navigate"]))}


def rows(*models: type) -> list[int]:
    return [db.session.scalar(select(func.count()).select_from(model)) or 0 for model in models]


@pytest.mark.usefixtures("app")
def test_only_the_private_link_itself_finds_a_conversation_and_only_its_hash_is_stored() -> None:
    message, token = begin()
    other, another = begin()
    assert found(token).message == message
    assert found(another).message == other
    assert len({token, another}) == 2
    assert [conversations.find(wrong) for wrong in ("", token[:-1], token + "A", "A" * 43, token.swapcase())] == [
        None
    ] * 5
    stored = db.session.scalars(select(Conversation.token_hash)).all()
    assert not {token, another} & set(stored)
    message.deleted_at = utcnow()
    db.session.commit()
    assert conversations.find(token) is None


def test_an_answer_is_stored_notifies_the_followers_and_moves_the_message(any_app: Flask) -> None:
    user = owner()
    message, token = begin()
    conversations.follow(found(token), visitors(1)[0], with_text=False)
    db.session.commit()
    entry_id = conversations.answer(message, user, "It works again: Žąsis")
    db.session.commit()
    assert entry_id is not None
    fan_out(entry_id)
    [delivery] = db.session.query(Delivery).all()
    assert delivery.shows == PreviewLevel.NOTHING
    assert payload(entry_id)["navigate"] == f"{any_app.extensions['settings'].site_url}/conversations/{token}"
    [reply] = conversations.replies(message)
    assert (reply.is_answer, reply.user, reply.content) == (True, user, "It works again: Žąsis")
    db.session.refresh(message)
    assert message.state == MessageState.ANSWERED
    assert message.read_at
    noted = conversations.answered(message)
    assert noted
    assert noted.user == user
    assert [row.id for row in lists.page(lists.Filter(list="answered", words="zasis again")).messages] == [message.id]


@pytest.mark.usefixtures("app")
def test_without_a_follower_or_a_link_an_answer_is_stored_and_nothing_is_sent() -> None:
    user = owner()
    of_before = receive(state=MessageState.SPAM, spam_reason="marked")
    assert conversations.answer(of_before, user, "Sorry") is None
    message, token = begin()
    assert conversations.answer(message, user, "Hello") is None
    conversations.end_link(found(token))
    assert conversations.answer(message, user, "Hello again") is None
    db.session.commit()
    assert (of_before.state, of_before.spam_reason) == (MessageState.ANSWERED, None)
    assert len(conversations.replies(message)) == 2


@pytest.mark.usefixtures("app")
def test_the_text_of_an_answer_leaves_the_site_only_if_the_operator_allows_it_and_the_visitor_chose_it(
    app: Flask,
) -> None:
    user = owner()
    message, token = begin()
    device = visitors(1)[0]
    settings = app.extensions["settings"]
    for allowed in (False, True):
        app.extensions["settings"] = replace(settings, notification_answer_text=allowed)
        conversations.follow(found(token), device, with_text=True)
        shows = db.session.scalars(select(Follower.shows)).one()
        body = payload(conversations.answer(message, user, "Hello"))["body"]
        assert (shows, "Hello" in str(body)) == ((PreviewLevel.ALL, True) if allowed else (PreviewLevel.NOTHING, False))
    app.extensions["settings"] = replace(settings, notification_answer_text=False)  # after the visitor's choice
    assert payload(conversations.answer(message, user, "Hello"))["body"] == ""


@pytest.mark.usefixtures("app")
def test_a_visitors_reply_reopens_the_message_and_notifies_the_administrators() -> None:
    user = owner()
    message, token = begin(submitter_name="Ada")
    for state in (MessageState.READ, MessageState.ANSWERED, MessageState.ARCHIVED):
        message.state = state
        db.session.commit()
        entry_id = conversations.write_again(found(token), "Still broken", notify=True)
        db.session.commit()
        assert message.state == MessageState.NEW
        entry = db.session.get(OutboxEntry, entry_id)
        assert entry
        assert (entry.kind, entry.audience_id) == ("reply", None)
        sent = payload(entry_id)
        assert str(sent["navigate"]).endswith(f"/admin/messages/{message.id}")
        assert "Still broken" in str(sent["body"])
        assert sent["app_badge"] == 1  # it counts the message that this reply has reopened
        assert [action["action"] for action in sent["actions"]] == ["answer"]  # type: ignore[attr-defined]
    [row] = lists.page(lists.Filter(words="broken")).messages
    assert (row.id, row.last_is_answer) == (message.id, False)
    conversations.answer(message, user, "Now?")
    db.session.commit()
    [row] = lists.page(lists.Filter(list="answered")).messages
    assert row.last_is_answer is True


@pytest.mark.usefixtures("app")
def test_a_reply_to_spam_or_beyond_the_limit_of_notifications_notifies_nobody() -> None:
    message, token = begin()
    assert conversations.write_again(found(token), "Hello", notify=False) is None
    message.state = MessageState.SPAM
    db.session.commit()
    assert conversations.write_again(found(token), "Hello", notify=True) is None
    db.session.commit()
    assert message.state == MessageState.SPAM


def test_reply_notifications_follow_the_administrators_preferences(app: Flask) -> None:
    muting, discreet, asleep = (owner(f"{name}@example.org") for name in ("muting", "discreet", "asleep"))
    for user in (muting, discreet, asleep):
        unreachable_devices(user, 1)
    db.session.add(MutedKind(user_id=muting.id, kind="reply"))
    usual = {"burst_count": 0, "burst_seconds": 60}
    db.session.add(Preference(user_id=discreet.id, shows=PreviewLevel.NOTHING, **usual))
    hour = datetime.now(UTC).hour
    quiet = {"quiet_from": f"{(hour - 1) % 24:02}:00", "quiet_until": f"{(hour + 2) % 24:02}:00"}
    db.session.add(Preference(user_id=asleep.id, shows=PreviewLevel.ALL, **usual, **quiet))
    _message, token = begin()
    entry_id = conversations.write_again(found(token), "Hello", notify=True)
    db.session.commit()
    assert entry_id is not None
    fan_out(entry_id)
    sent = select(Subscription.user_id, Delivery.shows, Delivery.state).join(Delivery.subscription)
    assert db.session.execute(sent.order_by(Subscription.user_id)).all() == [
        (discreet.id, "nothing", "waiting"),
        (asleep.id, "all", "held"),
    ]


@pytest.mark.usefixtures("app")
def test_a_full_conversation_takes_no_more_replies_and_no_more_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    user = owner()
    monkeypatch.setattr(conversations, "MOST_REPLIES", 2)
    monkeypatch.setattr(conversations, "MOST_FOLLOWERS", 1)
    message, token = begin()
    first, second = visitors(2)
    conversations.follow(found(token), first, with_text=False)
    conversations.follow(found(token), first, with_text=False)  # the same device again
    with pytest.raises(Full):
        conversations.follow(found(token), second, with_text=False)
    conversations.answer(message, user, "One")
    conversations.write_again(found(token), "Two", notify=True)
    with pytest.raises(Full):
        conversations.answer(message, user, "Three")
    with pytest.raises(Full):
        conversations.write_again(found(token), "Three", notify=True)
    assert [reply.content for reply in conversations.replies(message)] == ["One", "Two"]


@pytest.mark.usefixtures("app")
def test_a_renewed_link_ends_the_old_one_and_notifies_none_of_the_devices_of_whoever_had_it() -> None:
    user = owner()
    message, token = begin()
    conversations.follow(found(token), visitors(1)[0], with_text=False)
    db.session.commit()
    renewed = conversations.renew_link(found(token))
    db.session.commit()
    assert conversations.find(token) is None
    assert found(renewed).message == message
    assert conversations.token_of(found(renewed)) == renewed
    assert conversations.answer(message, user, "Hello") is None  # or the new link would reach the old one's holder
    conversations.follow(found(renewed), visitors(1)[0], with_text=False)
    assert str(payload(conversations.answer(message, user, "Hello"))["navigate"]).endswith(renewed)


@pytest.mark.usefixtures("app")
def test_after_a_change_of_the_sites_secret_a_kept_link_works_and_a_notification_opens_the_site(app: Flask) -> None:
    message, token = begin()
    conversations.follow(found(token), visitors(1)[0], with_text=False)
    settings = app.extensions["settings"]
    app.extensions["settings"] = replace(settings, secret_key="another secret key, long enough for anything")
    assert conversations.token_of(found(token)) is None
    assert payload(conversations.answer(message, owner(), "Hello"))["navigate"] == f"{settings.site_url}/"


def test_an_ended_or_erased_conversation_leaves_no_device_notification_or_word(any_app: Flask) -> None:
    user = owner()
    messages = [begin(content=f"Hello {name}") for name in ("ended", "erased")]
    for (message, token), device in zip(messages, visitors(2), strict=True):
        conversations.follow(found(token), device, with_text=False)
        entry_id = conversations.answer(message, user, "Yes")
        db.session.commit()
        assert entry_id is not None
        fan_out(entry_id)
        conversations.write_again(found(token), "Thanks", notify=True)
        db.session.commit()
    (ended, ending), (_erased, erasing) = messages
    conversations.end_link(found(ending))
    db.session.commit()
    assert conversations.find(ending) is None
    assert rows(Message, Reply, Audience, Follower, Subscription, Delivery) == [2, 4, 1, 1, 1, 1]
    conversation_data.erase(found(erasing))
    db.session.commit()
    assert rows(Message, Reply, Conversation, Audience, Follower, Subscription, Delivery) == [1, 2, 1, 0, 0, 0, 0]
    assert db.session.query(OutboxEntry).count() == 2  # about the message that stays, and its reply
    assert [reply.content for reply in conversations.replies(ended)] == ["Yes", "Thanks"]
    assert any_app


def test_retention_and_erasing_a_person_remove_their_conversations_whole(any_app: Flask) -> None:
    user = owner()
    for name in ("old", "person"):
        message, token = begin(submitter_email=f"{name}@example.org")
        conversations.follow(found(token), visitors(1)[0], with_text=False)
        entry_id = conversations.answer(message, user, "Yes")
        conversations.write_again(found(token), "Thanks", notify=True)
        db.session.commit()
        assert entry_id is not None
        fan_out(entry_id)
    [exported] = personal_data.messages("person@example.org")
    assert [(reply["from"], reply["by"], reply["content"]) for reply in exported["replies"]] == [
        ("site", user.email, "Yes"),
        ("visitor", None, "Thanks"),
    ]
    account = personal_data.account(user.email)
    assert account
    assert [answer["content"] for answer in account["answers"]] == ["Yes", "Yes"]
    old = db.session.query(Message).filter_by(submitter_email="old@example.org").one()
    old.deleted_at = datetime(2020, 1, 1, tzinfo=UTC)
    db.session.commit()
    purge.remove_deleted(utcnow())
    db.session.commit()
    while personal_data.erase_some("person@example.org"):
        db.session.commit()
    kinds = (Message, Reply, Conversation, Audience, Follower, Subscription, Delivery, OutboxEntry)
    assert rows(*kinds) == [0] * len(kinds)
    assert any_app


@pytest.mark.usefixtures("app")
def test_the_visitors_own_export_has_everything_and_names_no_administrator() -> None:
    user = owner()
    message, token = begin(content="Hello", submitter_email="ada@example.org")
    conversations.follow(found(token), visitors(1)[0], with_text=False)
    conversations.answer(message, user, "Yes")
    conversations.write_again(found(token), "Thanks", notify=True)
    db.session.commit()
    exported = json.loads("".join(conversation_data.export(found(token))))
    assert [exported[name] for name in ("content", "email", "devices")] == ["Hello", "ada@example.org", 1]
    assert [(each["from"], each["content"]) for each in exported["replies"]] == [("site", "Yes"), ("visitor", "Thanks")]
    assert user.email not in json.dumps(exported)


def test_a_bulk_action_marks_messages_as_answered_by_its_administrator_and_undo_takes_it_back(any_app: Flask) -> None:
    user = owner()
    states = (MessageState.NEW, MessageState.READ, MessageState.ARCHIVED, MessageState.SPAM)
    messages = [receive(state=state) for state in states]
    applied = bulk_actions.apply(BulkAction.ANSWERED, [message.id for message in messages], user.id)
    db.session.commit()
    assert [message.state for message in messages] == [*[MessageState.ANSWERED] * 3, MessageState.SPAM]
    noted = [conversations.answered(message) for message in messages]
    assert [each.user if each else None for each in noted] == [user, user, user, None]
    bulk_actions.undo(applied.before)
    db.session.commit()
    assert tuple(message.state for message in messages) == states
    assert [conversations.answered(message) for message in messages] == [None] * 4
    assert any_app


@pytest.mark.usefixtures("app")
def test_replies_without_their_administrator_stay() -> None:
    user = owner()
    message, _token = begin()
    conversations.answer(message, user, "Yes")
    db.session.commit()
    db.session.delete(db.session.get(User, user.id))
    db.session.commit()
    [reply] = conversations.replies(message)
    assert (reply.user, reply.content) == (None, "Yes")
    noted = conversations.answered(message)
    assert noted
    assert noted.user is None
