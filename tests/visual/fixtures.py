"""Content for the visual tests: something of every kind that a page can show."""

from datetime import timedelta
from typing import Any

from sqlalchemy import update

from feedback_push import event_counts
from feedback_push.alarms import drills, incidents
from feedback_push.alarms.models import Alarm
from feedback_push.auth import audit, invitations, notices, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import Notice, Role, User
from feedback_push.database import db, utcnow
from feedback_push.feedback import assignments, conversations, inbox, note_sending, notes, saved_searches, tags
from feedback_push.feedback.form_models import Presence, RatingScale
from feedback_push.feedback.models import Message, MessageState
from feedback_push.feedback.spam_reasons import SpamReason
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, OutboxEntry
from feedback_push.topics import broadcasts, topics
from feedback_push.topics.broadcasts import Draft
from feedback_push.topics.feed_models import Feed
from feedback_push.topics.feed_reader import Fault
from feedback_push.topics.models import Broadcast, BroadcastState, Topic, Urgency
from feedback_push.topics.results import MARKS, OUTCOMES
from feedback_push.webhooks import deliveries, targets
from feedback_push.webhooks.models import Delivery as WebhookDelivery
from feedback_push.webhooks.models import Event, PauseReason, State, Target, Wanted
from tests.admin.rows import delivery, device
from tests.conftest import make_user
from tests.feedback.messages import message, own_form, receive
from tests.servers import CHECKOUT
from tests.site import Site
from tests.webhooks.receivers import new_target

STAFF = "staff@example.org"
MOST_NOTIFIED = 1  # the id of the message whose history has a delivery of every kind
CONVERSATION = 4  # read, with answers and a reply
ARCHIVED = 5
LONG = 6
SPAM = 7
NOTICE = 1  # the id of a notice to STAFF
NOTE = 1  # the id of a note that was sent
WEBHOOK = 1  # the id of a target with an event of every kind
FORM = "shop"  # the key of a form with fields of every kind
HIDDEN = "beta"  # the slug of a topic that is not public
BROADCASTS = {state: number for number, state in enumerate(BroadcastState, 7)}  # their ids
_REACHED = {
    "fcm.googleapis.com": (812_000, 640_100, 51_234, 20_000, 12, 345, 0),
    "updates.push.services.mozilla.com": (201_000, 160_000, 9_876, 3_210, 0, 10, 0),
    "web.push.apple.com": (198_000, 0, 0, 0, 0, 0, 0),
}
RESULTS = {
    "counted_at": "2026-11-27T12:00:00+00:00",
    "services": {host: dict(zip(OUTCOMES, numbers, strict=True)) for host, numbers in _REACHED.items()},
    "timeline": [
        [mark, min(1_211_000, mark * 4_000), min(800_100, mark * 2_000), min(61_110, mark * 5)] for mark in MARKS
    ],
}
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
        targets_ = _webhooks()
        messages = [receive(submitter_name=name, submitter_email=email, content=text) for name, email, text in _WRITTEN]
        spam = message(submitter_name="Rank higher today", content="Ten thousand links for your site. " * 9)
        inbox.receive(spam, SpamReason.NO_PROOF)
        visitors = [receive(submitter_name=f"Visitor {n}", content="Hello " * (n + 1)) for n in range(60)]
        _sort_away(messages)
        _file(messages[MOST_NOTIFIED - 1], staff)
        _converse(messages[CONVERSATION - 1], staff)
        receive(submitter_name="Somebody deleted", content="Sent by mistake.", deleted_at=utcnow() - timedelta(hours=2))
        _sign_in_elsewhere(staff)
        _invite(staff)
        _tell(messages[MOST_NOTIFIED - 1], staff)
        _announce(staff)
        _ask()
        _write_notes([*visitors[:52], messages[0]], staff)
        _events(*targets_)
        _alarm(staff)
        _count()


def _count() -> None:
    """Count a month of messages; on some days none came, and on one there were many."""
    today = utcnow().date()
    for age in range(1, 30):
        day = today - timedelta(days=age)
        messages = 1_234_567 if age == 12 else (age * 37_123) % 700_000
        counts = {("message", day, ""): messages, ("sent", day, ""): 3 * messages}
        if age % 9:
            event_counts.add_to_days({**counts, ("shown", day, "2"): messages, ("shown", day, "14400"): messages})
    db.session.commit()


def _webhooks() -> tuple[Target, Target]:
    """Add the target WEBHOOK, and one that was paused because it is gone."""
    one = new_target(url="https://hooks.example.org/incoming/secret", name="Tickets of the support team")
    other = new_target(url=f"https://{'a-long-name.' * 9}example.org/", name="Donaudampfschifffahrtselektrizität")
    targets.pause(other, PauseReason.GONE, utcnow())
    other.wanted, other.takes_alarms = Wanted.UNSEEN, True
    db.session.commit()
    return one, other


def _events(one: Target, other: Target) -> None:
    """Leave an event of each kind and state for one target, and a message for both."""
    now, later = utcnow(), utcnow() + timedelta(hours=2)
    deliveries.add(one, Event.ALARM, {})
    deliveries.add(one, Event.OVER, {})
    deliveries.add_test(one)
    db.session.flush()
    newest = list(db.session.query(WebhookDelivery).filter_by(target_id=one.id).order_by(WebhookDelivery.id.desc()))
    changes: list[dict[Any, Any]] = [
        {"state": State.FAILED, "due_at": None, "error": "status", "status": 404, "detail": "no such hook"},
        {"state": State.SENT, "due_at": None, "sent_at": now, "status": 200, "detail": '{"ok": true}'},
        {"due_at": later, "error": "timeout", "attempts": 3},
        {"state": State.CANCELLED, "due_at": None, "error": "seen"},
    ]
    for row, change in zip(newest, changes, strict=False):
        db.session.query(WebhookDelivery).filter_by(id=row.id).update(change)
    db.session.query(WebhookDelivery).filter_by(message_id=MOST_NOTIFIED, target_id=one.id).update(changes[1])
    waiting = {"message_id": MOST_NOTIFIED, "event": Event.UNSEEN, "webhook_id": "x", "due_at": later}
    db.session.query(WebhookDelivery).filter_by(message_id=MOST_NOTIFIED, target_id=other.id).delete()
    db.session.add(WebhookDelivery(target_id=other.id, **waiting))
    one.failing_since = now - timedelta(hours=3)
    db.session.commit()


def _alarm(staff: User) -> None:
    """Leave an incident, and a drill that has reached only one administrator."""
    begun = utcnow() - timedelta(hours=1)
    drill = drills.start(staff.email, begun)
    assert drill
    drills.send_due(begun)
    drills.note_opened(drill, staff)
    drill.judged_at = utcnow()
    db.session.flush()
    emails = [user.email for user in drills.unreached(drill)]
    incidents.update_all(Alarm.DRILL, {"": {"emails": emails}}, utcnow())
    db.session.commit()


def _ask() -> None:
    names = {"name_field": Presence.OPTIONAL, "rating": RatingScale.STARS}
    words = {"en": {"title": "How was your order?"}, "de": {"title": "Wie war Ihre Bestellung?"}}
    questions = [{"id": "1", "labels": {"en": "What did you expect?"}, "required": True, "long": True}]
    own_form(FORM, words=words, questions=questions, categories=[{"en": "Bug"}, {"en": _LONG[:120]}], **names)
    own_form("thumbs", name=_LONG[:60], rating=RatingScale.THUMBS, closed_at=utcnow())
    answered = {"form_key": FORM, "category": "Bug", "rating": "4", "page_url": "https://shop.example/cart"}
    db.session.execute(update(Message).where(Message.id == MOST_NOTIFIED).values(answered))


def _announce(staff: User) -> None:
    icon = {"icon": (CHECKOUT / "static" / "icons" / "icon.svg").read_bytes(), "icon_type": "image/svg+xml"}
    tricks = topics.add(slug="tricks", name="New tricks", description=f"One at a time. {_LONG[:300]}", **icon)
    topics.add(slug="goodies", name="Donaudampfschifffahrtselektrizitätenhauptbetriebswerk", description="Wort" * 60)
    topics.add(slug="arabic", name="أخبار", description="مرحبا، هذه رسالة طويلة من اليمين إلى اليسار.")
    topics.add(slug=HIDDEN, name="For testers", is_public=False)
    now = utcnow()
    for days in (75, 60, 45, 31, 14, 2):
        when = now - timedelta(days=days)
        sent = {"started_at": when, "finished_at": when, "created_at": when}
        db.session.add(Broadcast(topic=tricks, title="A new trick", body="It works in every browser.", **sent))
    _feed(topics.find_all([HIDDEN])[0])
    db.session.commit()
    _broadcast(staff)


def _feed(topic: Topic) -> None:
    """Give a topic a feed that worked once, has moved and has a problem."""
    address, now = "https://example.org/news/of/this/year?" + "a-long-query=" * 9, utcnow()
    db.session.add(
        Feed(
            topic=topic,
            url=address,
            is_automatic=False,
            next_read_at=now + timedelta(days=30),
            last_read_at=now,
            last_success_at=now - timedelta(days=2),
            failures=3,
            last_status=200,
            last_error=Fault.WEB_PAGE,
            moved_to=f"{address}x",
        )
    )


def _broadcast(staff: User) -> None:
    """Add a broadcast of each state to the hidden topic, with the ids of BROADCASTS."""
    topic = topics.find_all([HIDDEN])[0]
    address = "https://example.org/news/of/this/month?" + "a-long-query=" * 9
    draft = Draft(
        _LONG[:95], f"{_LONG[:300]}\n\nA second paragraph.", address, "https://example.org/picture.png", Urgency.HIGH
    )
    made = {state: broadcasts.add(topic, draft, user_id=staff.id) for state in BROADCASTS}
    assert {state: broadcast.id for state, broadcast in made.items()} == BROADCASTS
    made[BroadcastState.SCHEDULED].send_at = utcnow() + timedelta(days=30)
    for state in (BroadcastState.SENDING, BroadcastState.PAUSED, BroadcastState.ENDED):
        broadcasts.start(made[state])
        made[state].followers = 12_345
    broadcasts.pause(made[BroadcastState.PAUSED])
    broadcasts.end(made[BroadcastState.ENDED])
    done = made[BroadcastState.DONE]
    done.started_at = done.finished_at = utcnow() - timedelta(days=1)
    done.followers, done.results = 1_234_567, RESULTS
    db.session.query(OutboxEntry).update({"fanned_out_at": utcnow()})
    db.session.commit()


def _write_notes(to: list[Message], staff: User) -> None:
    """Send a note to these messages, of which every third has no private link, and leave a draft."""
    for number, message_ in enumerate(to[:-1]):
        if number % 3:
            conversations.begin(message_)
    conversation = conversations.of(to[1])
    assert conversation
    phone = device(None, name="Firefox on Android")
    conversations.follow(conversation, phone.id, with_text=False)
    sent = notes.draft(staff, [message_.id for message_ in to], {"list": "all", "q": "Hello", "from": "2026-11-01"})
    notes.write(sent, "The export works again, see https://example.org/news.", marks_answered=False)
    notes.send(sent)
    db.session.commit()
    note_sending.run()
    [reply] = conversations.replies(to[1])
    seen = {"accepted_at": utcnow(), "shown_at": utcnow()}
    db.session.add(Delivery(outbox_id=reply.outbox_id, subscription_id=phone.id, state=DeliveryState.ACCEPTED, **seen))
    db.session.execute(update(OutboxEntry).values(fanned_out_at=utcnow()))
    notes.draft(staff, [to[1].id], {})
    db.session.commit()


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


def _invite(staff: User) -> None:
    """Name accounts, leave an invitation open, and tell the account of a sign-in that somebody has looked at."""
    member = make_user("member@example.org", Role.MEMBER)
    member.name, staff.name = "A name of sixty characters, which is as long as a name can be"[:60], "Grace Hopper"
    invitations.make(f"{'somebody-with-a-long-address' * 3}@example.org", Role.MEMBER, staff)
    for told in db.session.query(Notice):
        notices.mark_seen(told)
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
