"""The fields of the public part of the API: the description of a form, and a message for it."""

from typing import Any

from marshmallow import ValidationError, fields
from marshmallow.validate import Length, OneOf, Regexp

from feedback_push import email_address
from feedback_push.api.schemas import Answer, Arguments, Text
from feedback_push.feedback.form_models import (
    LANGUAGE,
    LONGEST_LABEL,
    LONGEST_LANGUAGE,
    LONGEST_TITLE,
    LONGEST_VIEWPORT,
    MOST_QUESTIONS,
    VIEWPORT,
)
from feedback_push.feedback.forms import LONGEST_ANSWER, LONGEST_CONTENT, LONGEST_NAME
from feedback_push.language import LANGUAGES

LONGEST_PROOF = 4_000
LONGEST_USER = 200
LONGEST_PAGE_URL = 8_000  # with its query, which is cut unless the form keeps it
_RATINGS = ["down", "up", "1", "2", "3", "4", "5"]


class Rating(fields.Field[str]):
    """A rating: from 1 to 5, or `up` or `down`."""

    def _deserialize(self, value: Any, *_args: Any, **_more: Any) -> str:
        text = str(value) if type(value) is int and 0 < value < 10 else value
        if not isinstance(text, str) or text not in _RATINGS:
            raise ValidationError("Not a rating.")
        return text


class HostUser(Arguments):
    """A user of the site on which the form stands."""

    id = Text(LONGEST_USER, required=True)
    hmac = fields.String(
        required=True,
        validate=[Length(equal=64), Regexp("^[0-9A-Fa-f]+$")],
        metadata={"description": "The HMAC-SHA-256 of `id` under the form's secret, in hexadecimal digits."},
    )


class Answers(fields.Dict):
    """The answers to a form's own questions, by their ids."""

    _text = Text(LONGEST_ANSWER, blank=True)

    def __init__(self, **more: Any) -> None:
        super().__init__(keys=fields.String(), values=self._text, **more)

    def _deserialize(self, value: Any, *_args: Any, **_more: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.make_error("invalid")
        if len(value) > MOST_QUESTIONS:
            raise ValidationError(f"A form has at most {MOST_QUESTIONS} questions.")
        found, errors = {}, {}
        for question, text in value.items():
            try:
                found[question] = self._text.deserialize(text)
            except ValidationError as error:
                errors[question] = error.messages
        if errors:
            raise ValidationError(errors)
        return found


class NewMessage(Arguments):
    """A message for a form; the form's description says which fields it has and which it needs."""

    content = Text(LONGEST_CONTENT, blank=True, required=True)
    name = Text(LONGEST_NAME, blank=True)
    email = Text(email_address.LONGEST, blank=True)
    category = Text(LONGEST_LABEL, blank=True)
    rating = Rating(
        metadata={"oneOf": [{"type": "string", "enum": _RATINGS}, {"type": "integer", "minimum": 1, "maximum": 5}]}
    )
    answers = Answers(metadata={"description": "The answers to the form's own questions, by their ids."})
    page_url = Text(LONGEST_PAGE_URL, blank=True, metadata={"description": "The page with the form."})
    page_title = Text(4 * LONGEST_TITLE, blank=True)
    viewport = fields.String(
        validate=[Length(max=LONGEST_VIEWPORT), Regexp(f"^{VIEWPORT}$")],
        metadata={"description": "The size of the window in CSS pixels, such as 390x844."},
    )
    language = fields.String(
        validate=[Length(max=LONGEST_LANGUAGE), Regexp(f"^{LANGUAGE}$")],
        metadata={"description": "The language of the browser, such as de-AT."},
    )
    proof = Text(
        LONGEST_PROOF,
        blank=True,
        metadata={"description": "The solution of a challenge, in ALTCHA's format. Required if the form says so."},
    )
    user = fields.Nested(HostUser)


class Sent(Answer):
    """A message that was stored."""

    conversation_url = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The private page of the message, for its visitor alone; null if they have ended it."},
    )


class Choice(Answer):
    """A value to choose, and its label."""

    value = fields.String(required=True)
    label = fields.String(required=True)


class FormField(Answer):
    """A field of a form."""

    name = fields.String(required=True, metadata={"description": "For a question of the form's own, `answers.<id>`."})
    kind = fields.String(required=True, validate=OneOf(["text", "long-text", "email", "choice", "stars", "thumbs"]))
    label = fields.String(required=True)
    required = fields.Boolean(required=True)
    max_length = fields.Integer(required=True)
    choices = fields.List(fields.Nested(Choice), required=True)


class Proof(Answer):
    """The proof of work that a message needs."""

    required = fields.Boolean(required=True)
    challenge_url = fields.String(required=True)
    algorithm = fields.String(required=True)


class FormDescription(Answer):
    """A form in the reader's language (Accept-Language)."""

    key = fields.String(required=True)
    is_open = fields.Boolean(required=True)
    language = fields.String(required=True, validate=OneOf([*LANGUAGES]))
    languages = fields.List(fields.String(), required=True)
    title = fields.String(required=True)
    intro = fields.String(required=True)
    button = fields.String(required=True)
    thanks = fields.String(required=True)
    thanks_url = fields.String(required=True, metadata={"description": "Where the visitor goes then; empty: nowhere."})
    fields_ = fields.List(fields.Nested(FormField), required=True, data_key="fields", attribute="fields")
    keeps_query = fields.Boolean(
        required=True, metadata={"description": "Whether the query of the page's address is stored."}
    )
    texts = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "The other texts of the widget; they may change."},
    )
    proof = fields.Nested(Proof, required=True)


class Challenge(Answer):
    """A challenge, in ALTCHA's format."""

    parameters = fields.Dict(required=True)
    signature = fields.String(required=True)
