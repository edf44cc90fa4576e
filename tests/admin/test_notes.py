"""admin/notes.py: a note to the writers of chosen messages is written, previewed with its reach, and sent once."""

import pytest
from sqlalchemy import func, select

from feedback_push.auth.audit_models import AuditEntry
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.feedback import note_sending, tags
from feedback_push.feedback.models import Message, Reply
from feedback_push.feedback.note_models import Note, NoteRecipient
from feedback_push.push.models import Delivery, DeliveryState, OutboxEntry
from tests.admin.rows import device
from tests.conftest import make_user
from tests.feedback.messages import receive
from tests.feedback.test_notes import begun, follow
from tests.published import PublishedTasks
from tests.visits import Element, Page, Visitor

TEXT = "The export works again <b>& more</b>"


def post(visitor: Visitor, address: str, **fields: object) -> Page:
    """Send a form of the dashboard and return the page that follows, or the one that refuses it."""
    data = {"csrf_token": visitor.read("/admin/notes").fields["csrf_token"], **fields}
    answer = visitor.post(address, data=data, headers={"Referer": visitor.site})
    return Page(answer) if answer.status_code == 422 else visitor.read(answer.location)


def note() -> Note:
    """Return the newest note as it is now."""
    db.session.rollback()
    return db.session.scalars(select(Note).order_by(Note.id.desc())).first() or pytest.fail("there is no note")


def chosen() -> list[int]:
    return list(db.session.scalars(select(NoteRecipient.message_id).where(NoteRecipient.note_id == note().id)))


def waiting(page: Page) -> list[Element]:
    return page.all("li", data_outcome="waiting")


def previewed(visitor: Visitor, *message_ids: int, **more: str) -> Page:
    post(visitor, "/admin/notes", id=list(message_ids), back="/admin/")
    return post(visitor, f"/admin/notes/{note().id}/write", content=TEXT, **more)


def test_a_note_is_written_previewed_and_sent_to_exactly_those_that_were_counted(
    dashboard: Visitor, staff: User, published: PublishedTasks
) -> None:
    phone = device(None, name="Firefox on Android").id
    first, second, unlinked = begun(phone), begun(), receive(submitter_email="bob@example.org").id
    page = post(dashboard, "/admin/notes", id=[first, second, unlinked, "no id"], back="/admin/")
    assert page.one("h2", id="reach-title").words == "To the writers of 3 messages"
    assert page.one(id="linked").words == "2 can read it on their private pages."
    assert page.one(id="followed").words == "1 of them also gets a notification (1 device, once each)."
    assert page.one(id="unreached").words.endswith("1 of these left an e-mail address.")
    address = f"/admin/notes/{note().id}"
    page = post(dashboard, f"{address}/write", content=" \n")
    assert (page.status, page.one(id="content-error").words) == (422, "Please write a message.")
    page = post(dashboard, f"{address}/write", content="x" * 2001)
    assert page.status == 422
    page = post(dashboard, f"{address}/write", content=TEXT)
    assert page.one(id="preview").words == TEXT
    assert page.one(id="send").words == "Send to 2 writers"
    assert dashboard.read(f"{address}?edit=1").one("textarea").words == TEXT
    assert note().sent_at is None
    begun()  # it arrives meanwhile, and is not for this note
    published.all()
    for _ in range(2):
        page = post(dashboard, f"{address}/send")
        assert page.one("h1").words == "Note to the writers of 3 messages"
    assert published.all() == [("feedback.send_notes", [])]
    assert [entry.detail for entry in db.session.query(AuditEntry).filter_by(event="note-sent")] == [{"messages": 3}]
    assert note_sending.run() is False
    replies = select(Reply.message_id, Reply.content, Reply.user_id).order_by(Reply.id)
    assert sorted(db.session.execute(replies).all()) == [(first, TEXT, staff.id), (second, TEXT, staff.id)]


def test_a_tag_a_search_and_a_selection_lead_to_a_note_and_the_history_says_which(dashboard: Visitor) -> None:
    tagged, found, other = begun(), begun(content="The export fails"), begun()
    tags.add(tagged, ["bug"])
    db.session.commit()
    for start, button, ids, words in (
        ("/admin/?list=all&tag=bug", "?list=all&tag=bug", [tagged], "Tag: bug"),
        ("/admin/?q=export", "?q=export", [found], "Search: export"),
        ("/admin/tags", "?list=all&tag=bug", [tagged], "Tag: bug"),
    ):
        [form] = dashboard.read(start).all("form", action=f"/admin/notes{button}")
        page = post(dashboard, form.attributes["action"])
        assert chosen() == ids
        assert page.one("span", class_="pill").words == words
    assert dashboard.read("/admin/").all("button", formaction="/admin/notes")
    for nowhere in ("/admin/", "/admin/?list=spam&q=export", "/admin/?list=deleted&tag=bug"):
        assert dashboard.read(nowhere).all(id="begin-note") == []
    page = post(dashboard, "/admin/notes", id=[other], back="/admin/")
    assert page.one("span", class_="pill").words == "Selected one by one"
    drafts = dashboard.read("/admin/notes").one("ul", id="drafts")
    assert "Not written yet" in drafts.words
    assert "Search: export" in drafts.words


def test_nothing_selected_and_too_many_are_refused_with_a_reason(
    dashboard: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        begun(content="export")
    monkeypatch.setattr("feedback_push.feedback.notes.MOST", 1)
    for address, reason in (
        ("/admin/notes", "No message was selected."),
        ("/admin/notes?q=nothing", "No message was selected."),
        ("/admin/notes?q=export", "A note goes to at most 1 messages. Please narrow the search."),
    ):
        assert post(dashboard, address, back="/admin/?list=all").all("p", role="status")[0].words == reason
    assert db.session.scalar(select(func.count()).select_from(Note)) == 0


def test_where_nobody_can_be_reached_there_is_nothing_to_send(dashboard: Visitor) -> None:
    page = previewed(dashboard, receive().id)
    assert page.all(id="send") == []
    assert page.one(id="nobody").words == "None of these writers can be reached here."


def test_a_draft_can_be_changed_and_discarded_and_a_sent_note_cannot(dashboard: Visitor) -> None:
    page = previewed(dashboard, begun(), marks_answered="y")
    assert "The messages are then marked as answered." in page.one("body").words
    draft = note().id
    assert (note().content, note().marks_answered) == (TEXT, True)
    post(dashboard, f"/admin/notes/{draft}/write", content="Other")
    assert (note().content, note().marks_answered) == ("Other", False)
    post(dashboard, f"/admin/notes/{draft}/discard")
    assert dashboard.get(f"/admin/notes/{draft}").status_code == 404
    previewed(dashboard, begun())
    sent = note().id
    post(dashboard, f"/admin/notes/{sent}/send")
    post(dashboard, f"/admin/notes/{sent}/write", content="Too late")
    post(dashboard, f"/admin/notes/{sent}/discard")
    assert (note().id, note().content) == (sent, TEXT)


def test_the_page_of_a_note_says_who_was_reached_and_who_saw_it(dashboard: Visitor, staff: User) -> None:
    phones = [device(None, name="Firefox on Android").id for _ in range(3)]
    opened, shown, gone = (begun(phone, submitter_name=name) for phone, name in zip(phones, "ABC", strict=True))
    silent, unlinked = begun(submitter_name="D"), receive(submitter_name="E").id
    also = begun(phones[0], submitter_name="F")  # the newest, so its device is told by this one
    follow(also, device(None, name="Safari on iPhone").id)
    previewed(dashboard, opened, shown, gone, silent, unlinked, also)
    page = post(dashboard, f"/admin/notes/{note().id}/send")
    assert "data-moving" in page.one(id="figures").attributes
    note_sending.run()
    entries = dict(db.session.execute(select(Reply.message_id, Reply.outbox_id)).all())
    now, accepted = utcnow(), {"state": DeliveryState.ACCEPTED, "accepted_at": utcnow()}
    for message_id, phone, values in (
        (also, phones[0], {**accepted, "shown_at": now, "clicked_at": now}),
        (shown, phones[1], {**accepted, "shown_at": now}),
        (gone, phones[2], {"state": DeliveryState.FAILED, "error": "gone", "status": 410}),
    ):
        db.session.add(Delivery(outbox_id=entries[message_id], subscription_id=phone, **values))
    db.session.commit()
    page = dashboard.read(f"/admin/notes/{note().id}")
    rows = [(row.attributes["data-outcome"], row.words) for row in page.elements if "data-outcome" in row.attributes]
    on_page = "On the private page."
    assert rows == [
        ("written", f"F Opened {on_page}"),
        ("no-link", "E Not reached: this message has no private link."),
        ("written", "D On the private page; no device follows it."),
        ("written", f"C Failed {on_page}"),
        ("written", f"B Shown {on_page}"),
        ("written", f"A Summarised {on_page}"),
    ]
    assert page.one("span", class_="counts").words == "Shown 1 Opened 1 Failed 1"
    assert page.one(id="written").words == "On private pages 5"
    fragment = dashboard.read(f"/admin/notes/{note().id}/figures")
    assert "data-moving" not in fragment.one(id="figures").attributes
    listed = dashboard.read("/admin/notes").one("ul", id="notes").words
    assert "On private pages 5 Shown 1 Opened 1 Failed 1" in listed
    db.session.query(OutboxEntry).delete()
    sent = note()
    assert sent.sent_at
    sent.sent_at = sent.sent_at.replace(year=sent.sent_at.year - 1)
    db.session.commit()
    page = dashboard.read(f"/admin/notes/{sent.id}")
    assert "The records of notifications are kept for 90 days." in page.one("body").words
    assert "no device follows it" not in page.one("body").words


def test_a_note_with_more_messages_than_a_page_is_listed_in_pages(dashboard: Visitor) -> None:
    ids = [begun() for _ in range(51)]
    previewed(dashboard, *ids)
    page = post(dashboard, f"/admin/notes/{note().id}/send")
    assert len(waiting(page)) == 50
    older = dashboard.read(page.one("a", rel="next").attributes["href"])
    assert len(waiting(older)) == 1


def test_another_administrator_sees_a_note_once_it_is_sent(dashboard: Visitor, staff: User) -> None:
    previewed(dashboard, begun())
    draft = note().id
    colleague = Visitor(dashboard.application)
    colleague.sign_in(make_user("colleague@example.org").email, "correct horse battery")
    assert colleague.get(f"/admin/notes/{draft}").status_code == 404
    assert "The export" not in colleague.read("/admin/notes").one("body").words
    post(dashboard, f"/admin/notes/{draft}/send")
    assert colleague.get(f"/admin/notes/{draft}").status_code == 200
    assert colleague.read("/admin/notes").one("ul", id="notes")
    assert db.session.query(Message).count() == 1
