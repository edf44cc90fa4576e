"""Content for the visual tests: something of every kind that a page can show."""

from datetime import timedelta

from sqlalchemy import update

from feedback_push.auth import audit, sessions
from feedback_push.auth.models import AuditEvent, User
from feedback_push.database import db, utcnow
from feedback_push.feedback import assignments, conversations, inbox, saved_searches, tags
from feedback_push.feedback.models import Message, MessageState
from feedback_push.feedback.spam_reasons import SpamReason
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, OutboxEntry
from tests.admin.rows import delivery, device
from tests.conftest import make_user
from tests.feedback.messages import message, receive
from tests.site import Site

STAFF = "staff@example.org"
MOST_NOTIFIED = 1  # the id of the message whose history has a delivery of every kind
CONVERSATION = 4  # read, with answers and a reply
ARCHIVED = 5
LONG = 6
SPAM = 7
_LONG = "Words upon words, and none of them is too many to be read by somebody with time. " * 12
_WRITTEN = (
    ("Ada Lovelace", "ada@example.org", "The export button does nothing in Firefox.\n\nSee https://example.org/a?b=c."),
    ("شيرين", "", "مرحبا، هذه رسالة طويلة من اليمين إلى اليسار."),
    ("A name of a considerable length that somebody might yet have, with a title", "", "Short."),
    ("Zoë 👩‍👩‍👧‍👦", "zoe@example.org", "I love it! 🎉🎉🎉"),
    ("Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft", "", "Wort" * 60),
    ("Bob", "bob@example.org", _LONG),
)


def fill(site: Site) -> None:
    """Fill the site's database."""
    with site.database():
        staff = make_user(STAFF)
        messages = [receive(submitter_name=name, submitter_email=email, content=text) for name, email, text in _WRITTEN]
        spam = message(submitter_name="Rank higher today", content="Ten thousand links for your site. " * 9)
        inbox.receive(spam, SpamReason.NO_PROOF)
        for number in range(60):
            receive(submitter_name=f"Visitor {number}", content="Hello " * (number + 1))
        _sort_away(messages)
        _file(messages[MOST_NOTIFIED - 1], staff)
        _converse(messages[CONVERSATION - 1], staff)
        receive(submitter_name="Somebody deleted", content="Sent by mistake.", deleted_at=utcnow() - timedelta(hours=2))
        _sign_in_elsewhere(staff)
        _tell(messages[MOST_NOTIFIED - 1], staff)


def _file(filed: Message, staff: User) -> None:
    receive(submitter_name="Ada", submitter_email="ada@example.org", content="And the import as well.")
    tags.add(filed.id, ["bug", "Firefox", "a tag as long as a tag may be or nearly", "שאלה"])
    assignments.assign(filed.id, staff.id)
    saved_searches.save(staff, "Bugs of this month", {"list": "all", "tag": "bug", "from": "2026-11-01"})
    db.session.commit()


def _converse(about: Message, staff: User) -> None:
    conversations.begin(about)
    conversation = conversations.of(about)
    assert conversation
    phone = device(None, name="Firefox on Android")
    conversations.follow(conversation, phone.id, with_text=False)
    conversations.answer(about, staff, "Thank you, Zoë!\n\nThe export works again, see https://example.org/news.")
    conversations.write_again(conversation, "It does. But the import stops at row 12.", notify=True)
    conversations.answer(about, make_user("colleague@example.org"), "Fixed as well.")
    first, _, last = conversations.replies(about)
    db.session.execute(update(Message).where(Message.id == about.id).values(state=MessageState.READ))
    db.session.execute(update(OutboxEntry).values(fanned_out_at=utcnow()))
    now, accepted = utcnow(), {"state": DeliveryState.ACCEPTED, "subscription_id": phone.id}
    for reply, seen in ((first, {"shown_at": now, "clicked_at": now}), (last, {})):
        db.session.add(Delivery(outbox_id=reply.outbox_id, accepted_at=now, **accepted, **seen))
    db.session.commit()


def _sign_in_elsewhere(staff: User) -> None:
    for name in ("Safari on iPhone", "Samsung Internet on Android"):
        sessions.begin(staff, browser=name, remembered=True)
    for _ in range(12):
        audit.count(AuditEvent.SIGN_IN_FAILED, staff)
    audit.record(AuditEvent.DEVICE_RENAMED, staff, before="Firefox on Linux", device="The laptop in the meeting room")
    db.session.commit()


def _sort_away(messages: list[Message]) -> None:
    states = (MessageState.NEW, MessageState.READ, MessageState.ARCHIVED, MessageState.SPAM)
    for sorted_away, state in zip(messages[2:], states, strict=True):
        db.session.execute(update(Message).where(Message.id == sorted_away.id).values(state=state))
    db.session.commit()


def _tell(told: Message, staff: User) -> None:
    now = utcnow()
    firefox = device(staff, name="Firefox on Linux", last_accepted_at=now - timedelta(hours=3))
    phone = device(staff, name="Safari on iPhone", failures=9)
    stale = device(staff, name="Edge on Windows", state=DeviceState.STALE)
    gone = device(staff, name="Opera on Mac", state=DeviceState.GONE, gone_at=now)
    later, why = now + timedelta(hours=1), {"error": "throttled", "status": 429, "detail": "Too many requests"}
    accepted = {"state": DeliveryState.ACCEPTED, "attempts": 1, "accepted_at": now - timedelta(hours=3), "status": 201}
    for name, more in (
        ("Firefox on Android", {"shown_at": now - timedelta(hours=3), "clicked_at": now - timedelta(hours=1)}),
        ("Chrome on Android", {"shown_at": now - timedelta(hours=3)}),
    ):
        then = {"last_accepted_at": more["shown_at"], "last_shown_at": more["shown_at"]}
        delivery(told, device(staff, name=name, **then), **accepted, **more)
    delivery(told, firefox, **accepted)
    apple = f"https://web.push.apple.com/{'Q' * 40}"
    delivery(told, device(make_user("ada@example.org"), name="Safari on Mac", endpoint=apple), **accepted)
    quiet = device(staff, name="The phone beside the bed")
    delivery(told, quiet, state=DeliveryState.HELD, held_until=now + timedelta(hours=8))
    device(staff, name="The laptop of the office, second floor, left", paused_at=now)
    delivery(told, phone, state=DeliveryState.WAITING, attempts=3, due_at=later, **why)
    delivery(told, stale, state=DeliveryState.FAILED, error="key-mismatch", status=403)
    delivery(told, gone, state=DeliveryState.FAILED, error="gone", status=410, detail="subscription has expired")
