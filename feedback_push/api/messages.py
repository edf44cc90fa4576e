"""The messages for programs: list and read them, answer them, and change their state and tags."""

from typing import Any

from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import Row, select

from feedback_push import site_path
from feedback_push.api import authentication, cursors, idempotency
from feedback_push.api.blueprint import ID, blueprint
from feedback_push.api.schemas import (
    MessageChange,
    MessagePage,
    MessageQuery,
    NewReply,
    ReplySchema,
    WholeMessage,
)
from feedback_push.auth import audit
from feedback_push.auth.api_keys import Scope
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.feedback import bulk_actions, conversations, inbox, lists, tags
from feedback_push.feedback.bulk_actions import BulkAction
from feedback_push.feedback.conversations import Full
from feedback_push.feedback.form_models import DEFAULT_KEY
from feedback_push.feedback.forms import LONGEST_REPLY
from feedback_push.feedback.lists import Filter
from feedback_push.feedback.models import Message, MessageState, Reply
from feedback_push.problems import Fault, Problem
from feedback_push.push import outbox

_NOT_SPAM = tuple(state for state in MessageState if state != MessageState.SPAM)
# The actions of the dashboard that lead to a state, from whichever state a message is in.
_STEPS = {
    MessageState.NEW: (BulkAction.NOT_SPAM, BulkAction.INBOX, BulkAction.UNREAD),
    MessageState.READ: (BulkAction.NOT_SPAM, BulkAction.INBOX, BulkAction.READ),
    MessageState.ANSWERED: (BulkAction.NOT_SPAM, BulkAction.ANSWERED),
    MessageState.ARCHIVED: (BulkAction.NOT_SPAM, BulkAction.ARCHIVE),
    MessageState.SPAM: (BulkAction.SPAM,),
}
_LARGEST_REPLY = 12 * LONGEST_REPLY + 8 * 1024  # bytes; JSON writes a character with at most twelve


@blueprint.operation("GET /messages", MessagePage, scope=Scope.READ, query=MessageQuery)
def list_messages(query: dict[str, Any]) -> ResponseReturnValue:
    """List messages, the newest first."""
    limit = query["limit"]
    state = query.get("state")
    shown = Filter(
        list=state if state in lists.NAMES else lists.ALL,
        words=query.get("search", ""),
        since=query.get("since"),
        tag=query.get("tag", ""),
        states=(MessageState(state),) if state else _NOT_SPAM,
    )
    rows = lists.for_program(shown, query.get("cursor"), limit + 1)
    older = rows[limit - 1].id if len(rows) > limit else None
    return {"messages": [_listed(row) for row in rows[:limit]], "next_cursor": cursors.to(older)}


@blueprint.operation(f"GET /messages/<{ID}:message_id>", WholeMessage, scope=Scope.READ, problems=(404,))
def get_message(message_id: int) -> ResponseReturnValue:
    """Read a message with its conversation. It stays unread."""
    return _whole(_found(message_id))


@blueprint.operation(
    f"PATCH /messages/<{ID}:message_id>", WholeMessage, scope=Scope.REPLY, body=MessageChange, problems=(404,)
)
def change_message(body: dict[str, Any], message_id: int) -> ResponseReturnValue:
    """Change the state of a message, or its tags."""
    names = _tag_names(body["tags"]) if "tags" in body else None
    caller = authentication.hold()
    if not inbox.lock(message_id):
        raise _no_message()
    entry_ids = _move(message_id, MessageState(body["state"]), caller) if "state" in body else []
    if names is not None:
        _replace_tags(message_id, names)
    db.session.commit()
    for entry_id in entry_ids:
        outbox.wake(entry_id)
    return _whole(_found(message_id))


@blueprint.operation(
    f"POST /messages/<{ID}:message_id>/replies",
    ReplySchema,
    status=201,
    scope=Scope.REPLY,
    body=NewReply,
    problems=(404, 409),
    size=_LARGEST_REPLY,
)
def add_reply(body: dict[str, Any], message_id: int) -> ResponseReturnValue:
    """Answer a message. Its visitor reads the answer on the private page, and is notified if they asked for that."""
    once = idempotency.of_request(f"key {authentication.caller().key_id}", body)
    if (before := once.result()) is not None:
        return _reply_again(message_id, before)
    caller = authentication.hold()
    message = _found(message_id) if inbox.lock(message_id) else None
    if message is None:
        raise _no_message()
    was_spam = message.state == MessageState.SPAM
    try:
        entry_id = conversations.answer(message, db.session.get_one(User, caller.user_id), body["content"])
    except Full:
        raise Problem(409, _("This conversation has too many replies. Please answer by e-mail.")) from None
    if was_spam:
        audit.record(AuditEvent.MESSAGES_OUT_OF_SPAM, _user(caller), messages=1, key=caller.name)
    newest = select(Reply.id).where(Reply.message_id == message_id).order_by(Reply.id.desc()).limit(1)
    reply_id = db.session.scalars(newest).one()
    if not once.keep(reply_id):
        db.session.rollback()
        return _reply_again(message_id, once.result() or 0)
    db.session.commit()
    if entry_id is not None:
        outbox.wake(entry_id)
    return _reply_again(message_id, reply_id)


def _reply_again(message_id: int, reply_id: int) -> dict[str, Any]:
    reply = conversations.find_reply(_found(message_id), reply_id)
    if reply is None:
        raise _no_message()
    return _reply(reply)


def _move(message_id: int, state: MessageState, caller: authentication.Caller) -> list[int]:
    """Bring a message into a state; return the outbox entries to wake."""
    before = db.session.scalar(select(Message.state).where(Message.id == message_id))
    if before == state:
        return []
    applied = [bulk_actions.apply(step, [message_id], caller.user_id) for step in _STEPS[state]]
    if MessageState.SPAM in (before, state):
        event = AuditEvent.MESSAGES_INTO_SPAM if state == MessageState.SPAM else AuditEvent.MESSAGES_OUT_OF_SPAM
        audit.record(event, _user(caller), messages=1, key=caller.name)
    return [entry_id for each in applied for entry_id in each.entry_ids]


def _tag_names(typed: list[str]) -> list[str]:
    """Return the names of tags as they are stored; raise Problem if one is none."""
    read = [tags.read(name) for name in typed]
    for place, names in enumerate(read):
        if len(names) != 1:
            detail = _("Please enter one name only; a comma ends a tag.")
            raise Problem(422, detail, [Fault("body", f"tags.{place}", detail)])
    return [name for names in read for name in names]


def _replace_tags(message_id: int, names: list[str]) -> None:
    wanted = {tags.key(name) for name in names}
    message = _found(message_id)
    for tag in [tag for tag in message.tags if tag.key not in wanted]:
        tags.take_off(message_id, tag.name)
    try:
        tags.add(message_id, names)
    except tags.TooManyOnMessage:
        detail = _("A message has at most %(max)d tags.", max=tags.MOST_PER_MESSAGE)
        raise Problem(422, detail, [Fault("body", "tags", detail)]) from None
    except tags.TooMany:
        detail = _("There are %(max)d tags already. Remove one first.", max=tags.MOST)
        raise Problem(422, detail, [Fault("body", "tags", detail)]) from None
    db.session.expire(message)


def _found(message_id: int) -> Message:
    message = inbox.find(message_id)
    if message is None:
        raise _no_message()
    return message


def _no_message() -> Problem:
    return Problem(404, _("There is no such message."))


def _user(caller: authentication.Caller) -> User:
    return db.session.get_one(User, caller.user_id)


def _listed(row: Row[Any]) -> dict[str, Any]:
    return {
        **_common(row),
        "content": row.beginning[: lists.LONGEST_FOR_PROGRAM],
        "is_complete": len(row.beginning) <= lists.LONGEST_FOR_PROGRAM,
        "tags": tags.of_row(row),
        "assigned_to": row.assigned_to,
    }


def _whole(message: Message) -> dict[str, Any]:
    conversation = conversations.of(message)
    return {
        **_common(message),
        "content": message.content,
        "is_complete": True,
        "tags": [tag.name for tag in message.tags],
        "assigned_to": message.assignee and message.assignee.email,
        "answers": message.answers or [],
        "replies": [_reply(reply) for reply in conversations.replies(message)],
        "can_be_answered": conversation is not None and conversation.token_hash is not None,
    }


def _common(message: Message | Row[Any]) -> dict[str, Any]:
    return {
        "id": message.id,
        "state": message.state,
        "name": message.submitter_name,
        "email": message.submitter_email,
        "user": message.host_user,
        "form": message.form_key or DEFAULT_KEY,
        **{name: getattr(message, name) for name in ("category", "rating", "page_url", "page_title", "spam_reason")},
        "written_at": message.created_at,
        "read_at": message.read_at,
        "dashboard_url": site_path.absolute_url("admin.message", message_id=message.id),
    }


def _reply(reply: Reply) -> dict[str, Any]:
    return {
        "id": reply.id,
        "author": "site" if reply.is_answer else "visitor",
        "by": reply.user and reply.user.email,
        "content": reply.content,
        "written_at": reply.created_at,
    }
