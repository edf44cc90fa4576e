"""The conversation on a message's page: the replies in order, how an answer reaches the visitor, and the reply box."""

from typing import NamedTuple
from urllib.parse import quote

from flask import get_flashed_messages
from flask_babel import gettext
from flask_login import current_user

from feedback_push import bidi
from feedback_push.admin import history, labels
from feedback_push.admin.history import Page
from feedback_push.feedback import conversations
from feedback_push.feedback.forms import AnswerForm
from feedback_push.feedback.models import Answered, Conversation, Message, Reply
from feedback_push.push import followers, notification

SENT = "reply-sent"  # the category under which a sent answer's message is flashed
LONGEST_MAILTO = 1_900  # characters; some mail programs cut an address at 2,083
_LONGEST_QUOTE = 1_000  # characters, most of which become three in the address


class Part(NamedTuple):
    """A reply with its author's name and the history of its notification."""

    reply: Reply
    author: str
    history: Page


class Shown(NamedTuple):
    """A conversation as the template shows it."""

    parts: list[Part]
    reach: str  # a text that says how the visitor gets an answer
    is_reachable: bool  # False if the visitor cannot read an answer here
    answered: Answered | None
    mailto: str | None
    is_sent: bool  # the reply box on this page was just sent, so its draft is obsolete


def of(message: Message) -> Shown:
    """Return the conversation of a message."""
    conversation = conversations.of(message)
    reachable = conversation is not None and conversation.token_hash is not None
    return Shown(
        [_part(reply, message, conversation) for reply in conversations.replies(message)],
        _reach(conversation),
        reachable,
        conversations.answered(message),
        mailto(message) if message.submitter_email else None,
        _is_sent(message.id),
    )


def _is_sent(message_id: int) -> bool:
    sent: list[object] = list(get_flashed_messages(category_filter=[SENT]))
    return message_id in sent


def new_form() -> AnswerForm:
    """Return an empty reply box, whatever the request has sent."""
    return AnswerForm(formdata=None)


def mailto(message: Message) -> str:
    """Return the address that answers a message by e-mail, with the beginning of the message quoted (RFC 6068)."""
    mailbox, _, domain = message.submitter_email.rpartition("@")
    subject = gettext("Your feedback")
    address = f"mailto:{_encoded(mailbox)}@{_encoded(domain)}?subject={_encoded(subject)}"
    length = _LONGEST_QUOTE
    while length > 8:
        body = _encoded(_quoted(notification.excerpt(notification.printable(message.content.strip()), length)))
        if len(address) + len("&body=") + len(body) <= LONGEST_MAILTO:
            return f"{address}&body={body}"
        length //= 2
    return address


def _quoted(text: str) -> str:
    lines = [f"> {line}" for line in text.splitlines()]
    return "\r\n".join(["", "", *lines])


def _encoded(text: str) -> str:
    return quote(text, safe="")


def _part(reply: Reply, message: Message, conversation: Conversation | None) -> Part:
    return Part(reply, _author(reply, message), history.of_reply(reply, conversation))


def _author(reply: Reply, message: Message) -> str:
    if not reply.is_answer:
        return labels.sender(message.submitter_name)
    if reply.user is None:
        return str(gettext("A former administrator"))
    return str(gettext("Me")) if reply.user_id == current_user.id else bidi.isolated(reply.user.display_name)


def _reach(conversation: Conversation | None) -> str:
    if conversation is None:
        return str(gettext("There is no private link to this message: the visitor cannot read an answer here."))
    if conversation.token_hash is None:
        return str(gettext("The visitor has ended the private link and cannot read an answer here."))
    if conversation.audience_id is not None and followers.count(conversation.audience_id):
        return str(gettext("The visitor gets a notification of your answer."))
    return str(gettext("The visitor reads your answer with their private link; no device gets a notification."))
