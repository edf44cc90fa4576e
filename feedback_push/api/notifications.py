"""Notifications for programs: send one to the administrators or to a topic, and read who has seen and opened it."""

import re
import secrets
from typing import Any
from urllib.parse import urlsplit

from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select

from feedback_push import ids, site_path
from feedback_push.api import authentication, idempotency
from feedback_push.api.blueprint import blueprint
from feedback_push.api.schemas import ADMINISTRATORS, NewNotification, NotificationStatus
from feedback_push.auth import audit
from feedback_push.auth.api_keys import Scope
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import User
from feedback_push.config import current_settings
from feedback_push.database import db
from feedback_push.problems import Fault, Problem
from feedback_push.push import history, notification, outbox
from feedback_push.push.history import History, Stage
from feedback_push.push.models import Delivery, OutboxEntry
from feedback_push.push.notification import Notification
from feedback_push.topics import broadcasts, counts, results, topics
from feedback_push.topics.broadcasts import Draft
from feedback_push.topics.models import Broadcast, BroadcastState, Topic
from feedback_push.webhooks import deliveries as webhooks

# A notification's id for programs: `a` and the id of an outbox entry, or `t` and the id of a broadcast to a topic.
_ID = re.compile(r"([at])([0-9]{1,19})")
_WAITING = (Stage.QUEUED, Stage.SENDING, Stage.RETRYING, Stage.HELD, Stage.PAUSED)
_FEW = 20_000  # devices, whose deliveries are counted for every reader
_FAILED = (Stage.FAILED, Stage.EXPIRED, Stage.CANCELLED)


@blueprint.operation(
    "POST /notifications", NotificationStatus, status=201, scope=Scope.NOTIFY, body=NewNotification, problems=(404,)
)
def send_notification(body: dict[str, Any]) -> ResponseReturnValue:
    """Send a notification to all administrators who want those of programs, or to everybody who follows a topic.

    Only the key of an owner sends to a topic.
    """
    is_for_topic = body["to"] != ADMINISTRATORS
    url = _any_address(body.get("url", "")) if is_for_topic else _own_address(body.get("url"))
    once = idempotency.of_request(f"key {authentication.caller().key_id}", body)
    if (before := once.result()) is not None:
        return _status("t" if is_for_topic else "a", before)
    caller = authentication.hold()
    user = db.session.get_one(User, caller.user_id)
    if is_for_topic and not user.is_owner:  # a key can do no more than its account
        raise Problem(403, _("Only an owner of this site may send to the followers of a topic."))
    made = _broadcast(body, url, caller) if is_for_topic else _entry(body, url, caller.name)
    entry_id = made.outbox_id if isinstance(made, Broadcast) else made.id
    audit.record(AuditEvent.NOTIFICATION_SENT, user, title=body["title"], key=caller.name)
    made_id = made.id
    if not once.keep(made_id):
        db.session.rollback()
        return _status("t" if is_for_topic else "a", once.result() or 0)
    db.session.commit()
    if entry_id is not None:
        outbox.wake(entry_id)
    return _status("t" if is_for_topic else "a", made_id)


@blueprint.operation("GET /notifications/<notification_id>", NotificationStatus, scope=Scope.NOTIFY, problems=(404,))
def get_notification(notification_id: str) -> ResponseReturnValue:
    """Read to how many devices a notification of a program was sent, which have shown it, and where it was opened."""
    match = _ID.fullmatch(notification_id)
    if match is None or int(match[2]) > ids.LARGEST:
        raise _no_notification()
    return _status(match[1], int(match[2]))


def _entry(body: dict[str, Any], url: str, key_name: str) -> OutboxEntry:
    note = Notification(
        title=notification.name(body["title"]),
        body=notification.beginning(body["body"]),
        navigate=url,
        tag=f"api-{secrets.token_hex(8)}",
    )
    entry = outbox.enqueue(note, kind=notification.API.code)
    db.session.flush()
    webhooks.add_notification(
        {"id": f"a{entry.id}", "title": body["title"], "text": body["body"], "url": url, "sent_by": key_name}
    )
    return entry


def _broadcast(body: dict[str, Any], url: str, caller: authentication.Caller) -> Broadcast:
    slug = body["to"]["topic"]
    topic = topics.find(slug) if topics.is_slug(slug) else None
    if topic is None:
        detail = _("There is no such topic.")
        raise Problem(404, detail, [Fault("body", "to.topic", detail)])
    broadcast = broadcasts.add(topic, Draft(body["title"], body["body"], url), user_id=caller.user_id)
    broadcasts.start(broadcast)
    return broadcast


def _own_address(url: str | None) -> str:
    """Return the address that a click opens; raise Problem if it is not on this site."""
    if url is None:
        return site_path.absolute_url("admin.inbox")
    if not _is_plain(url) or not f"{url}/".startswith(f"{current_settings().site_origin}/"):
        raise _wrong_address(_("Expected an address of this site: the dashboard opens no others."))
    return url


def _any_address(url: str) -> str:
    try:
        parts = urlsplit(url if _is_plain(url) else "x")
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        is_web = False
    if url and not is_web:
        raise _wrong_address(_("Expected an address that begins with https:// or http://."))
    return url


def _is_plain(url: str) -> bool:
    # A browser reads `\` as `/`, and leaves out control characters.
    return url.isascii() and url.isprintable() and "\\" not in url and " " not in url


def _wrong_address(detail: str) -> Problem:
    return Problem(422, detail, [Fault("body", "url", detail)])


def _no_notification() -> Problem:
    return Problem(404, _("There is no such notification of a program, or it is not kept any more."))


def _status(kind: str, number: int) -> dict[str, Any]:
    if kind == "t":
        broadcast = broadcasts.find(number)
        if broadcast is None:
            raise _no_notification()
        return _of_broadcast(broadcast)
    this = (OutboxEntry.id == number, OutboxEntry.kind == notification.API.code)
    entry = db.session.scalar(select(OutboxEntry).where(*this))
    if entry is None:
        raise _no_notification()
    loaded = history.load(entry, db.session.get_one(User, authentication.caller().user_id))
    return {
        "id": f"a{entry.id}",
        "to": ADMINISTRATORS,
        "created_at": entry.created_at,
        "state": BroadcastState.SENDING if loaded.moving else BroadcastState.DONE,
        "send_at": None,
        "counts": _counts(loaded.counts),
        "devices": [_device(delivery, loaded) for delivery in loaded.deliveries],
    }


def _of_broadcast(broadcast: Broadcast) -> dict[str, Any]:
    topic: Topic = broadcast.topic
    found = _counts_of_broadcast(broadcast)
    return {
        "id": f"t{broadcast.id}",
        "to": {"topic": topic.slug},
        "created_at": broadcast.created_at,
        "state": broadcast.state,
        "send_at": broadcast.send_at,
        "counts": {**found, "devices": max(broadcast.followers, found["devices"])},
        "devices": [],
    }


def _counts_of_broadcast(broadcast: Broadcast) -> dict[str, int]:
    """Return the counts of a broadcast; those that were stored, once its deliveries are removed."""
    if broadcast.outbox_id is None:
        services = (broadcast.results or {}).get("services", {}).values()
        total = {name: sum(service.get(name, 0) for service in services) for name in results.OUTCOMES}
        failed = total["gone"] + total["failed"] + total["expired"]
        seen = {"shown": total["shown"], "opened": total["opened"], "summarised": 0, "waiting": 0}
        return {
            "devices": total["sent"] + failed + total["unsent"],
            "accepted": total["sent"],
            "failed": failed,
            **seen,
        }
    its_own = Delivery.outbox_id == broadcast.outbox_id
    if broadcast.followers <= _FEW:
        return _counts(history.counts(its_own))
    return _counts(counts.kept(("api", broadcast.id), lambda: history.counts(its_own))[0])


def _counts(found: dict[Stage, int]) -> dict[str, int]:
    shown = found.get(Stage.SHOWN, 0) + found.get(Stage.CLICKED, 0)
    return {
        "devices": sum(found.values()),
        "accepted": shown + found.get(Stage.ACCEPTED, 0),
        "shown": shown,
        "opened": found.get(Stage.CLICKED, 0),
        "failed": sum(found.get(stage, 0) for stage in _FAILED),
        "summarised": found.get(Stage.SUMMARISED, 0),
        "waiting": sum(found.get(stage, 0) for stage in _WAITING),
    }


def _device(delivery: Delivery, loaded: History) -> dict[str, Any]:
    user = delivery.subscription.user
    # A summary stands for the notifications that it counts.
    sent = loaded.summaries.get((delivery.summary_id or 0, delivery.subscription_id), delivery)
    return {
        "name": delivery.subscription.name,
        "administrator": user and user.email,
        "stage": history.stage(delivery),
        "accepted_at": sent.accepted_at,
        "shown_at": sent.shown_at,
        "opened_at": sent.clicked_at,
    }
