"""Rows of every table of version 0.2.0, as that version has written them."""

import json
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from feedback_push.push.receipts import EMPTY
from feedback_push.webpush import endpoints
from tests.conftest import KEYS
from tests.doubles.push_device import Device

REVISION = "0013"  # the newest migration of that version
TOKEN = "the token in the cookies of a browser"
WAITING = {0: {1}, 1: {1, 2, 3}, 2: {1, 2, 3}}  # by the place of a device: the messages that it has to be notified of
_HASH = (  # of tests.conftest.PASSWORD
    "$argon2id$v=19$m=65536,t=3,p=4$2v/79jqiZU7cs6fJ2CX30w$wc+Qa0yV/MjiXLpY/fFem/zVEZWFSxgZbUOBQX1uQDk"
)
_OWNERS = (1, 1, 2)  # of the devices
_DUE, _SOON = timedelta(seconds=30), timedelta(days=9)


def rows(now: datetime, devices: list[Device]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each table, in the order in which they can be inserted.

    Nobody has been notified of message 1. Of message 2, one device has been notified, one push has failed once, and one
    was claimed by a worker that died. The fan-out of message 3 has reached only the first device.
    """
    return {**_accounts(now), **_devices(now, devices), **_feedback(now), **_deliveries(now, devices)}


def _accounts(now: datetime) -> dict[str, list[dict[str, Any]]]:
    emails = ("owner@example.org", "second@example.org")
    session = {"user_id": 1, "browser": "Firefox on Linux", "remembered": True, "created_at": now, "last_seen_at": now}
    return {
        "auth_user": [
            {"id": number, "email": email, "password_hash": _HASH, "created_at": now, "language": "en"}
            for number, email in enumerate(emails, 1)
        ],
        "auth_session": [
            {**session, "id": 1, "token_hash": sha256(TOKEN.encode()).hexdigest(), "expires_at": now + _SOON}
        ],
        "auth_sign_in_link": [{"user_id": 2, "token_hash": "b" * 64, "expires_at": now + timedelta(minutes=9)}],
        "auth_audit": [
            {"at": now, "user_id": 1, "email": emails[0], "event": "signed-in", "detail": {}, "address_hash": "c" * 32,
             "browser": "Firefox on Linux", "count": 1}
        ],
    }  # fmt: skip


def _devices(now: datetime, devices: list[Device]) -> dict[str, list[dict[str, Any]]]:
    common = {"vapid_public_key": KEYS.public_key, "name": "Browser", "failures": 0, "added_at": now, "language": "en"}
    return {
        "push_subscription": [
            {
                **common, "id": number, "user_id": user, "endpoint": device.endpoint, "p256dh": device.p256dh,
                "auth": device.auth, "state": "live", "service": endpoints.service(device.endpoint),
                "session_id": 1 if number == 1 else None,
            }
            for number, (user, device) in enumerate(zip(_OWNERS, devices, strict=True), 1)
        ],
        "push_preference": [{"user_id": 2, "shows": "name", "burst_count": 0, "burst_seconds": 60}],
        "push_muted_kind": [{"user_id": 2, "kind": "security"}],
        "push_vapid_key": [{"id": 1, "public_key": "B" * 87, "created_at": now, "retired_at": now}],
        "push_held_origin": [
            {"origin": "https://push.example.org", "held_until": now + timedelta(days=1), "status": 403, "detail": ""}
        ],
        "push_outbox": [_entry(number, now) for number in (1, 2, 3)],
    }  # fmt: skip


def _entry(message: int, now: datetime) -> dict[str, Any]:
    payload = {
        "web_push": 8030,
        "notification": {
            "title": "Ada:", "body": f"Message {message}", "navigate": f"http://127.0.0.1:8000/admin/messages/{message}",
            "tag": f"message-{message}", "dir": "auto", "data": EMPTY,
        },
    }  # fmt: skip
    return {
        "id": message, "payload": json.dumps(payload, separators=(",", ":")), "topic": f"message-{message}",
        "urgency": "high",
        "created_at": now, "expires_at": now + timedelta(days=1), "last_subscription_id": {1: 0, 2: 3, 3: 1}[message],
        "fanned_out_at": now if message == 2 else None, "kind": "feedback", "counts": 1,
    }  # fmt: skip


def _feedback(now: datetime) -> dict[str, list[dict[str, Any]]]:
    states = ("new", "new", "new", "read", "answered", "archived", "spam")
    return {
        "feedback_message": [
            {
                "id": number, "content": f"Grüße {number}", "submitter_name": "Ada",
                "submitter_email": "Ada@example.org", "person": "ada@example.org",
                "created_at": now, "state": state, "size": 9, "user_id": None,
                "spam_reason": "no-proof" if state == "spam" else None, "outbox_id": number if number <= 3 else None,
                "search_text": f"ada ada@example.org gruße {number}",
            }
            for number, state in enumerate(states, 1)
        ],
        "feedback_tag": [{"id": 1, "name": "Bug", "key": "bug"}],
        "feedback_message_tag": [{"message_id": 1, "tag_id": 1}],
        "feedback_assignment": [{"message_id": 1, "user_id": 2}],
        "feedback_saved_search": [
            {"id": 1, "user_id": 1, "name": "Bugs", "query": {"tag": "bug"}, "created_at": now}
        ],
        "feedback_daily_count": [{"name": "not-notified", "day": now.date(), "count": 4}],
        "feedback_undo": [
            {"id": 1, "session_id": 1, "before": [[4, "new", None]], "expires_at": now + timedelta(hours=1)}
        ],
    }  # fmt: skip


def _deliveries(now: datetime, devices: list[Device]) -> dict[str, list[dict[str, Any]]]:
    sent = {"state": "accepted", "accepted_at": now, "attempts": 1, "status": 201}
    failed = {"state": "waiting", "due_at": now - _DUE, "attempts": 1, "error": "unavailable", "status": 503}
    claimed = {"state": "waiting", "due_at": now - _DUE, "attempts": 1, "claim": "d" * 32}
    places = ((2, 1, sent), (2, 2, failed), (2, 3, claimed), (3, 1, sent))
    nothing = dict.fromkeys(("due_at", "accepted_at", "error", "status", "claim"))
    return {
        "push_delivery": [
            {
                **nothing, **state, "id": number, "outbox_id": entry, "subscription_id": device, "reduced": False,
                "shows": "name" if device == 3 else "all", "service": endpoints.service(devices[device - 1].endpoint),
            }
            for number, (entry, device, state) in enumerate(places, 1)
        ]
    }  # fmt: skip
