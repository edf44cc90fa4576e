"""Payloads: the JSON of a webhook, and the text that an Apprise service shows to people.

JSON carries strangers' texts as they are. A chat service would read them as its own markup, so there every character
that one of them could read so is replaced by one that only looks like it.
"""

import json
from typing import Any, NamedTuple

from flask_babel import force_locale, gettext

from feedback_push.config import current_settings
from feedback_push.feedback.form_models import DEFAULT_KEY
from feedback_push.feedback.models import Message, Reply
from feedback_push.push import notification
from feedback_push.site_path import absolute_url
from feedback_push.webhooks.models import Delivery, Event

LONGEST_TEXT = 500  # characters of a message
# The markup of Markdown, HTML, Slack, Telegram, WhatsApp and IRC, and what begins a mention: @everyone, <!channel>, #.
_LOOKALIKES = str.maketrans(
    {
        "@": "\uff20", "<": "\u2039", ">": "\u203a", "&": "\uff06", "*": "\u2217", "_": "\uff3f", "~": "\u223c",
        "`": "\u02cb", "[": "\uff3b", "]": "\uff3d", "|": "\u2223", "#": "\uff03", "\\": "\uff3c", "!": "\uff01",
        "{": "\uff5b", "}": "\uff5d",
    }
)  # fmt: skip


class Text(NamedTuple):
    """A text for people: its title, and its body, which ends with an address of the dashboard."""

    title: str
    body: str


def as_json(delivery: Delivery) -> bytes:
    """Return the body of a webhook: its type, the time of the event, and its data."""
    payload = {
        "type": delivery.event,
        "timestamp": delivery.created_at.isoformat(timespec="seconds"),
        "data": _data(delivery),
    }
    return json.dumps(payload, default=str).encode()


def as_text(delivery: Delivery) -> Text:
    """Return the text for a service of Apprise, in the language of the target."""
    with force_locale(delivery.target.language):
        if delivery.about:
            return _text_of_written(delivery.reply or delivery.about, delivery.about, Event(delivery.event))
        if delivery.event == Event.TEST:
            return Text(_of_site(gettext("Test")), gettext("This is the test that you asked for."))
    data = delivery.data or {}
    if delivery.event == Event.NOTIFICATION:  # programs repeat what strangers have written
        text = notification.beginning(str(data["text"]), LONGEST_TEXT)
        data = {**data, "title": harmless(str(data["title"])), "text": harmless(text)}
    return Text(str(data.get("title", "")), "\n\n".join(str(data[name]) for name in ("text", "url") if data.get(name)))


def harmless(text: str) -> str:
    """Return a stranger's text without any character that a service could read as markup, or as a mention."""
    return notification.printable(text).translate(_LOOKALIKES)


def _data(delivery: Delivery) -> dict[str, Any]:
    if delivery.reply:
        return _of_reply(delivery.reply)
    return _of_message(delivery.message) if delivery.message else delivery.data or _of_test()


def _of_reply(reply: Reply) -> dict[str, Any]:
    """Return a visitor's reply, with the id of the message that it belongs to."""
    return {
        "id": reply.id,
        "message_id": reply.message_id,
        **_of_visitor(reply.message),
        "content": reply.content,
        "written_at": reply.created_at.isoformat(timespec="seconds"),
        "dashboard_url": absolute_url("admin.message", message_id=reply.message_id),
    }


def _of_visitor(message: Message) -> dict[str, Any]:
    return {
        "form": message.form_key or DEFAULT_KEY,
        "name": message.submitter_name,
        "email": message.submitter_email,
        "user": message.host_user,
    }


def _of_message(message: Message) -> dict[str, Any]:
    """Return a message with the names that the API uses."""
    return {
        "id": message.id,
        **_of_visitor(message),
        "content": message.content,
        **{name: getattr(message, name) for name in ("category", "rating", "page_url", "page_title")},
        "answers": message.answers or [],
        "written_at": message.created_at.isoformat(timespec="seconds"),
        "dashboard_url": absolute_url("admin.message", message_id=message.id),
    }


def _of_test() -> dict[str, Any]:
    return {"text": "This is the test that you asked for.", "url": absolute_url("admin.webhooks")}


def _text_of_written(written: Message | Reply, message: Message, event: Event) -> Text:
    name = harmless(notification.name(message.submitter_name)) or gettext("Anonymous")
    titles = {
        Event.MESSAGE: gettext("New message of %(name)s", name=name),
        Event.UNSEEN: gettext("Nobody has seen the message of %(name)s", name=name),
        Event.REPLY: gettext("New reply of %(name)s", name=name),
        Event.UNSEEN_REPLY: gettext("Nobody has seen the reply of %(name)s", name=name),
    }
    title = titles[event]
    text = harmless(notification.beginning(written.content, LONGEST_TEXT))
    return Text(_of_site(title), f"{text}\n\n{absolute_url('admin.message', message_id=message.id)}")


def _of_site(title: str) -> str:
    return f"{current_settings().site_name}: {title}"
