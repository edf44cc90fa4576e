"""feedback/notes.py and its neighbours: one note to the writers of many messages, once each."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from feedback_push import private_links
from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.feedback import (
    conversation_data,
    conversations,
    lists,
    note_figures,
    note_sending,
    notes,
    personal_data,
    purge,
    tags,
)
from feedback_push.feedback.models import Answered, Conversation, Message, MessageState, Reply
from feedback_push.feedback.note_models import Note, NoteRecipient
from feedback_push.push import followers, history
from feedback_push.push.history import Stage
from feedback_push.push.models import Delivery, OutboxEntry, Priority, Subscription
from tests.feedback.messages import receive
from tests.push.devices import owner, visitors
from tests.push.notes import claim, fan_out

TEXT = "The export works again: Žąsis"


def begun(device: int | None = None, **more: object) -> int:
    """Commit a message with a private link that a device may follow, and return its id."""
    message = receive(**more)
    conversations.begin(message)
    db.session.commit()
    if device is not None:
        follow(message.id, device)
    return message.id


def follow(message_id: int, device: int) -> None:
    conversations.follow(db.session.get_one(Conversation, message_id), device, with_text=True)
    db.session.commit()


def drafted(user: User, *message_ids: int, answered: bool = False) -> Note:
    note = notes.draft(user, message_ids, {})
    assert notes.write(note, TEXT, marks_answered=answered)
    db.session.commit()
    return note


def sent(user: User, *message_ids: int, answered: bool = False) -> Note:
    """Commit a note, and send all of it."""
    note = drafted(user, *message_ids, answered=answered)
    assert notes.send(note)
    db.session.commit()
    while note_sending.send_batch() is not None:
        db.session.commit()
    db.session.commit()
    return note


def answers(message_id: int) -> list[str]:
    theirs = select(Reply.content).where(Reply.message_id == message_id, Reply.is_answer)
    return list(db.session.scalars(theirs))


def entry_of(message_id: int) -> OutboxEntry | None:
    return db.session.scalars(select(Reply).where(Reply.message_id == message_id)).one().outbox_entry


def pushed() -> list[int]:
    """Fan out all entries, and return the devices that something is to be sent to, each as often as it is."""
    for entry_id in db.session.scalars(select(OutboxEntry.id).where(OutboxEntry.audience_id.is_not(None))).all():
        fan_out(entry_id)
    return sorted(claimed.subscription_id for claimed in claim())


def count(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_a_note_reaches_exactly_the_chosen_writers_once_each(any_app: Flask) -> None:
    user, [phone, laptop, other] = owner(), visitors(3)
    first, second, silent = begun(phone), begun(laptop), begun()
    unlinked, ended = receive().id, begun(other)
    conversations.end_link(db.session.get_one(Conversation, ended))
    spam, deleted, unchosen = begun(), begun(), begun()
    db.session.execute(update(Message).where(Message.id == spam).values(state=MessageState.SPAM))
    chosen = [first, second, silent, unlinked, ended, spam, deleted]
    note = drafted(user, *chosen)
    assert notes.count(note) == 6  # not the spam
    reach = note_figures.reach(note)
    assert (reach.messages, reach.linked, reach.followed, reach.devices) == (6, 4, 2, 2)
    db.session.execute(update(Message).where(Message.id == deleted).values(deleted_at=note.created_at))
    assert [notes.send(note), notes.send(note)] == [True, False]
    db.session.commit()
    assert note_sending.send_batch() is not None
    db.session.commit()
    assert note_sending.send_batch() is None
    assert {id_: answers(id_) for id_ in (*chosen, unchosen) if answers(id_)} == {
        id_: [TEXT] for id_ in (first, second, silent)
    }
    assert pushed() == [phone, laptop]
    figures = note_figures.figures(note)
    assert figures.outcomes == {"written": 3, "no-link": 1, "ended": 1, "deleted": 1}
    assert (figures.messages, figures.devices, figures.silent) == (6, {Stage.QUEUED: 2}, 1)
    assert note.finished_at
    found, older = note_figures.recipients(note)
    assert [(each.message.id, each.outcome, each.stage) for each in found] == [
        (deleted, "deleted", None),
        (ended, "ended", None),
        (unlinked, "no-link", None),
        (silent, "written", None),
        (second, "written", Stage.SENDING),
        (first, "written", Stage.SENDING),
    ]
    assert older is None


def test_its_push_leads_to_the_private_link_and_overtakes_no_alarm(any_app: Flask) -> None:
    user, [phone] = owner(), visitors(1)
    message_id = begun(phone)
    sent(user, message_id)
    entry = entry_of(message_id)
    assert entry
    payload = json.loads(entry.payload)["notification"]
    assert private_links.finished(payload["navigate"]).rpartition("/")[2] == private_links.token(message_id, 1)
    assert (entry.kind, entry.priority) == ("answer", Priority.BROADCAST)
    [row] = lists.page(lists.Filter(words="zasis")).messages
    assert row.id == message_id


def test_a_device_that_follows_several_of_the_conversations_gets_one_push_for_the_newest(
    any_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(note_sending, "BATCH", 2)  # the device is told in one batch, and spared in the next
    user, [both, old_only] = owner(), visitors(2)
    oldest, middle = begun(both, submitter_email="ada@example.org"), begun(both, submitter_email="ada@example.org")
    follow(oldest, old_only)
    between, newest = begun(), begun(both)
    note = sent(user, oldest, middle, between, newest)
    assert all(answers(id_) == [TEXT] for id_ in (oldest, middle, between, newest))
    assert pushed() == [both, old_only]
    told, left_out = entry_of(newest), entry_of(middle)
    assert told
    assert left_out
    [spared] = db.session.scalars(select(Delivery).where(Delivery.outbox_id == left_out.id)).all()
    assert (spared.summary_id, history.stage(spared)) == (told.id, Stage.SUMMARISED)
    loaded = history.load(left_out, user)
    assert [(each.outbox_id, each.subscription_id) for each in loaded.summaries.values()] == [(told.id, both)]
    assert note_figures.figures(note).devices == {Stage.QUEUED: 2}


def test_a_crash_between_two_batches_doubles_and_loses_nothing(any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(note_sending, "BATCH", 2)
    user = owner()
    ids = [begun() for _ in range(5)]
    note = drafted(user, *ids)
    notes.send(note)
    db.session.commit()
    note_sending.send_batch()
    db.session.commit()
    note_sending.send_batch()
    db.session.rollback()  # as if the process had died
    assert sum(len(answers(id_)) for id_ in ids) == 2
    assert not note.finished_at
    assert note_sending.run() is False
    assert [answers(id_) for id_ in ids] == [[TEXT]] * 5
    assert note.finished_at


def test_two_workers_at_once_write_it_once_each(any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(note_sending, "BATCH", 2)
    user = owner()
    ids = [begun() for _ in range(12)]
    notes.send(drafted(user, *ids))
    db.session.commit()

    def work(_: int) -> None:
        with any_app.app_context():
            note_sending.run()
            db.session.remove()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, range(2)))
    note_sending.run()
    assert [answers(id_) for id_ in ids] == [[TEXT]] * 12


def test_marking_as_answered_is_an_option_and_names_its_author(any_app: Flask) -> None:
    user = owner()
    left, marked, archived, answered = begun(), begun(), begun(), begun()
    other = owner("other@example.org")
    conversations.answer(db.session.get_one(Message, answered), other, "Before")
    db.session.execute(update(Message).where(Message.id == archived).values(state=MessageState.ARCHIVED))
    db.session.commit()
    sent(user, left)
    unlinked = receive().id
    sent(user, marked, archived, answered, unlinked, answered=True)
    states = dict(db.session.execute(select(Message.id, Message.state)).all())
    assert states == {left: "new", marked: "answered", archived: "answered", answered: "answered", unlinked: "new"}
    by = dict(db.session.execute(select(Answered.message_id, Answered.user_id)).all())
    assert by == {marked: user.id, archived: user.id, answered: other.id}


@pytest.mark.usefixtures("app")
def test_a_search_chooses_every_message_that_it_finds_but_not_more_than_a_note_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = owner()
    ids = [begun(content="The export fails") for _ in range(60)]
    tagged, other = begun(), begun()
    tags.add(tagged, ["export"])
    db.session.commit()
    assert sorted(notes.find_messages(lists.Filter(list="all", words="export"))) == ids
    assert notes.find_messages(lists.Filter(list="all", tag="Export")) == [tagged]
    monkeypatch.setattr(notes, "MOST", 59)
    with pytest.raises(notes.TooMany):
        notes.find_messages(lists.Filter(list="all", words="export"))
    db.session.execute(update(Message).where(Message.id == other).values(state=MessageState.SPAM))
    db.session.commit()
    for nobody in ([], [other], [10_000]):
        with pytest.raises(notes.Nobody):
            notes.draft(user, nobody, {})
        db.session.rollback()


@pytest.mark.usefixtures("app")
def test_a_draft_is_its_authors_alone_and_cannot_be_changed_once_it_is_sent() -> None:
    user, other = owner(), owner("other@example.org")
    note = notes.draft(user, [begun()], {})
    db.session.commit()
    assert not notes.send(note)  # there is no text yet
    assert notes.find(note.id, other) is None
    assert (notes.drafts(user), notes.drafts(other), notes.sent()) == ([note], [], [])
    assert notes.write(note, TEXT, marks_answered=False)
    assert notes.send(note)
    db.session.commit()
    assert (notes.write(note, "Other", marks_answered=True), notes.discard(note)) == (False, False)
    assert (notes.find(note.id, other), note.content) == (note, TEXT)
    assert (notes.drafts(user), notes.sent()) == ([], [note])
    thrown_away = notes.draft(user, [begun()], {})
    assert notes.discard(thrown_away)
    db.session.commit()
    assert (count(Note), count(NoteRecipient)) == (1, 1)


def test_erasing_and_retention_remove_a_note_with_the_last_of_its_messages(any_app: Flask) -> None:
    user, [phone] = owner(), visitors(1)
    by_person, by_visitor, by_age = begun(phone, submitter_email="ada@example.org"), begun(), begun()
    note = sent(user, by_person, by_visitor, by_age)
    sent(user, by_person)
    created_at = note.created_at
    exported = personal_data.account(user.email)
    assert exported
    assert ([each["content"] for each in exported["notes"]], exported["answers"]) == ([TEXT, TEXT], [])
    [message] = list(personal_data.messages("ada@example.org"))
    assert [reply["content"] for reply in message["replies"]] == [TEXT, TEXT]
    assert pushed() == [phone, phone]  # one of each note
    assert personal_data.erase_some("ada@example.org") == 1
    db.session.commit()
    assert (count(OutboxEntry), count(Delivery), count(Subscription)) == (2, 0, 0)  # of the other two messages
    assert [each.id for each in notes.sent()] == [note.id]
    conversation = conversations.of(db.session.get_one(Message, by_visitor))
    assert conversation
    conversation_data.erase(conversation)
    db.session.commit()
    assert note_figures.figures(note).messages == 1
    db.session.execute(update(Message).values(deleted_at=created_at - purge.KEPT * 2))
    db.session.commit()
    purge.remove_deleted(created_at + purge.KEPT)
    notes.remove_old_drafts(created_at)
    db.session.commit()
    assert [count(model) for model in (Note, NoteRecipient, Reply, Message)] == [0, 0, 0, 0]


@pytest.mark.usefixtures("app")
def test_a_forgotten_draft_is_removed_after_a_day_and_a_sent_note_stays() -> None:
    user = owner()
    forgotten, note = drafted(user, begun()), sent(user, begun())
    notes.remove_old_drafts(forgotten.created_at + notes.DRAFT_KEPT * 0.99)
    assert count(Note) == 2
    notes.remove_old_drafts(note.created_at + notes.DRAFT_KEPT * 1.01)
    db.session.commit()
    assert db.session.scalars(select(Note.id)).all() == [note.id]


@pytest.mark.usefixtures("app")
def test_a_note_of_a_deleted_account_is_still_sent_and_a_full_conversation_gets_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = owner()
    full, open_ = begun(), begun()
    conversations.answer(db.session.get_one(Message, full), user, "One")
    monkeypatch.setattr(conversations, "MOST_REPLIES", 1)
    note = drafted(user, full, open_, answered=True)
    notes.send(note)
    db.session.commit()
    db.session.delete(user)
    db.session.commit()
    assert note_sending.run() is False
    assert note_figures.figures(note).outcomes == {"full": 1, "written": 1}
    assert db.session.scalars(select(Reply.user_id).where(Reply.message_id == open_)).all() == [None]


@pytest.mark.usefixtures("app")
def test_only_devices_that_can_be_sent_to_count_as_reachable() -> None:
    user, [paused, gone, live] = owner(), visitors(3)
    ids = [begun(device) for device in (paused, gone, live)]
    db.session.execute(update(Subscription).where(Subscription.id == paused).values(paused_at=func.now()))
    db.session.execute(update(Subscription).where(Subscription.id == gone).values(state="gone"))
    db.session.commit()
    assert followers.reachable([db.session.get_one(Conversation, id_).audience_id or 0 for id_ in ids]) == {
        db.session.get_one(Conversation, ids[2]).audience_id: [live]
    }
    reach = note_figures.reach(drafted(user, *ids))
    assert (reach.linked, reach.followed, reach.devices) == (3, 1, 1)
