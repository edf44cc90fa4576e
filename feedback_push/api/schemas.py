"""The fields that the API reads and answers with; each reads a bounded text before anything looks at it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import INCLUDE, RAISE, Schema, ValidationError, fields
from marshmallow.validate import Length, OneOf, Range

from feedback_push import ids, typed_text
from feedback_push.api.cursors import Cursor
from feedback_push.feedback import lists, tags
from feedback_push.feedback.forms import LONGEST_REPLY
from feedback_push.feedback.models import MessageState
from feedback_push.push.history import Stage
from feedback_push.topics.models import LONGEST_SLUG, BroadcastState

ADMINISTRATORS = "administrators"
LONGEST_SEARCH = 200
LONGEST_TITLE = 100
LONGEST_BODY = 500
LONGEST_URL = 1_000
MOST_MESSAGES = 100
_STATES = [state.value for state in MessageState]


class Text(fields.String):
    """A text of a limited length, without characters that cannot be stored; with a visible one, unless `blank`."""

    def __init__(self, longest: int, *, blank: bool = False, **more: Any) -> None:
        super().__init__(validate=Length(min=0 if blank else 1, max=longest), **more)
        self._longest, self._may_be_blank = longest, blank

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> Any:
        if isinstance(value, str) and len(value) > self._longest:
            raise ValidationError(f"Longer than maximum length {self._longest}.")
        text = typed_text.storable(super()._deserialize(value, attr, data, **more))
        if not self._may_be_blank and typed_text.is_blank(text):
            raise ValidationError("Has no visible character.")
        return text


class Moment(fields.AwareDateTime):
    """A time with its offset from UTC, as RFC 3339 writes it."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> datetime:
        if not isinstance(value, str) or len(value) > 40:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        moment: datetime = super()._deserialize(value, attr, data, **more)
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            raise ValidationError("Not a time that this site can compare with.") from None


class Arguments(Schema):
    """The arguments of an operation; one that it does not know is refused."""

    class Meta:
        """Marshmallow's options."""

        unknown = RAISE


class Answer(Schema):
    """The fields of an answer; a later release may add some."""

    class Meta:
        """Marshmallow's options."""

        unknown = INCLUDE


class MessageQuery(Arguments):
    """The messages that a program asks for."""

    state = fields.String(
        validate=OneOf(_STATES), metadata={"description": "Without it, every message that is not in spam."}
    )
    tag = Text(tags.LONGEST)
    search = Text(LONGEST_SEARCH, metadata={"description": "Words, all of which the message has."})
    since = Moment(metadata={"description": "The earliest time at which the message was written."})
    limit = fields.Integer(load_default=20, validate=Range(1, MOST_MESSAGES))
    cursor = Cursor(metadata={"description": "The `next_cursor` of the page before."})


class ReplySchema(Answer):
    """A text after a message: an answer, or what its visitor wrote again."""

    id = fields.Integer(required=True)
    author = fields.String(
        required=True, validate=OneOf(["site", "visitor"]), metadata={"description": "The one who wrote it."}
    )
    by = fields.String(
        required=True, allow_none=True, metadata={"description": "The e-mail address of the administrator."}
    )
    content = fields.String(required=True)
    written_at = fields.DateTime(required=True, format="iso")


class ListedMessage(Answer):
    """A message in a list, with the beginning of its text."""

    id = fields.Integer(required=True)
    state = fields.String(required=True, validate=OneOf(_STATES))
    content = fields.String(
        required=True,
        metadata={"description": f"In a list, the first {lists.LONGEST_FOR_PROGRAM} characters."},
    )
    is_complete = fields.Boolean(required=True, metadata={"description": "Whether `content` is the whole text."})
    name = fields.String(required=True)
    email = fields.String(required=True)
    user = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The id of the user who was proven to be signed in on the site with the form."},
    )
    form = fields.String(required=True, metadata={"description": "The key of its form."})
    category = fields.String(required=True, allow_none=True)
    rating = fields.String(required=True, allow_none=True)
    page_url = fields.String(required=True, allow_none=True)
    page_title = fields.String(required=True, allow_none=True)
    written_at = fields.DateTime(required=True, format="iso")
    read_at = fields.DateTime(required=True, format="iso", allow_none=True)
    tags = fields.List(fields.String(), required=True)
    assigned_to = fields.String(required=True, allow_none=True)
    spam_reason = fields.String(required=True, allow_none=True)
    dashboard_url = fields.String(required=True)


class MessagePage(Answer):
    """A page of messages, the newest first."""

    messages = fields.List(fields.Nested(ListedMessage), required=True)
    next_cursor = fields.String(
        required=True, allow_none=True, metadata={"description": "For the next page; null on the last one."}
    )


class AnsweredQuestion(Answer):
    """A question of the form's own, and the visitor's answer."""

    question = fields.String(required=True)
    answer = fields.String(required=True)


class WholeMessage(ListedMessage):
    """A message with its whole text and the conversation about it."""

    answers = fields.List(fields.Nested(AnsweredQuestion), required=True)
    replies = fields.List(fields.Nested(ReplySchema), required=True)
    can_be_answered = fields.Boolean(
        required=True, metadata={"description": "Whether its visitor has a private link that shows an answer."}
    )


class MessageChange(Arguments):
    """The new state or the new tags of a message, or both."""

    state = fields.String(validate=OneOf(_STATES))
    tags = fields.List(
        Text(tags.LONGEST),
        validate=Length(max=tags.MOST_PER_MESSAGE),
        metadata={"description": "All tags of the message; the others are taken off."},
    )


class NewReply(Arguments):
    """An answer to a visitor."""

    content = Text(LONGEST_REPLY, required=True)


class Recipient(fields.Field[Any]):
    """The recipients of a notification: `"administrators"`, or `{"topic": slug}`."""

    def _deserialize(self, value: Any, *_args: Any, **_more: Any) -> Any:
        if value == ADMINISTRATORS:
            return value
        slug = value.get("topic") if isinstance(value, dict) and len(value) == 1 else None
        if isinstance(slug, str) and len(slug) <= LONGEST_SLUG:
            return {"topic": slug}
        raise ValidationError('Expected "administrators" or {"topic": "…"}.')


_RECIPIENTS = {
    "oneOf": [
        {"type": "string", "enum": [ADMINISTRATORS]},
        {
            "type": "object",
            "properties": {"topic": {"type": "string", "maxLength": LONGEST_SLUG}},
            "required": ["topic"],
            "additionalProperties": False,
        },
    ]
}


class NewNotification(Arguments):
    """A notification to send."""

    to = Recipient(required=True, metadata=_RECIPIENTS)
    title = Text(LONGEST_TITLE, required=True)
    body = Text(LONGEST_BODY, blank=True, load_default="")
    url = Text(
        LONGEST_URL,
        metadata={
            "description": "The page that a click opens. For administrators, a page of this site; without it, the "
            "dashboard. For a topic, any page; without it, the page of the topics."
        },
    )


class SentDevice(Answer):
    """A device to which a notification was sent."""

    name = fields.String(required=True)
    administrator = fields.String(required=True, allow_none=True)
    stage = fields.String(required=True, validate=OneOf([stage.value for stage in Stage]))
    accepted_at = fields.DateTime(required=True, format="iso", allow_none=True)
    shown_at = fields.DateTime(required=True, format="iso", allow_none=True)
    opened_at = fields.DateTime(required=True, format="iso", allow_none=True)


class Counts(Answer):
    """The number of devices to which a notification was sent, which have shown it, and on which it was opened."""

    devices = fields.Integer(required=True, validate=Range(0, ids.LARGEST))
    accepted = fields.Integer(required=True, metadata={"description": "Accepted by the device's push service."})
    shown = fields.Integer(required=True)
    opened = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    summarised = fields.Integer(required=True, metadata={"description": "Sent as part of a summary."})
    waiting = fields.Integer(required=True)


class NotificationStatus(Answer):
    """A notification, and how far it has come."""

    id = fields.String(required=True)
    to = fields.Raw(required=True, metadata=_RECIPIENTS)
    created_at = fields.DateTime(required=True, format="iso")
    state = fields.String(
        required=True,
        validate=OneOf([state.value for state in BroadcastState]),
        metadata={"description": "`done` if nothing will change any more soon."},
    )
    send_at = fields.DateTime(
        required=True,
        format="iso",
        allow_none=True,
        metadata={"description": "When it starts, if the topic's limit delays it."},
    )
    counts = fields.Nested(Counts, required=True)
    devices = fields.List(
        fields.Nested(SentDevice), required=True, metadata={"description": "At most 100, of administrators only."}
    )
