"""Visitors who have written a message, with their private links and devices."""

from typing import Any

from sqlalchemy import select

from feedback_push import private_links
from feedback_push.database import db
from feedback_push.feedback import conversations
from feedback_push.feedback.models import Conversation, Message
from feedback_push.push import followers
from feedback_push.push.models import Subscription
from tests.doubles.push_device import Device
from tests.feedback.messages import receive
from tests.visits import Visitor


def begun(**more: Any) -> tuple[Message, str]:
    """Commit a message with its conversation; return it with the token of its private link."""
    message = receive(**more)
    token = conversations.begin(message)
    db.session.commit()
    return message, token


def conversation_of(message_id: int) -> Conversation:
    """Return the conversation of a message as it is now."""
    db.session.rollback()
    return db.session.scalars(select(Conversation).where(Conversation.message_id == message_id)).one()


def follow(visitor: Visitor, device: Device, *tokens: str, **more: Any) -> int:
    """Turn on notifications as the card's script does; return the status."""
    body = {"subscription": device.as_json(), "conversations": list(tokens), **more}
    return visitor.post("/visitor/push/subscribe", json=body).status_code


def devices() -> dict[str, int]:
    """Return the endpoints of all devices with the number of audiences that each follows."""
    db.session.rollback()
    return {device.endpoint: len(followers.followed_by(device.id)) for device in db.session.query(Subscription).all()}


def made_up(count: int) -> list[str]:
    """Return tokens that no site has given out."""
    return [private_links.token(10_000_000 + number, 99) for number in range(count)]
