"""The feedback form."""

from wtforms import EmailField, Field, Form, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional, ValidationError

from feedback_push import email_address, typed_text
from feedback_push.typed_text import TypedForm

LONGEST_CONTENT = 200_000


def _email(_: Form, field: Field) -> None:
    if email_address.problem(field.data):
        raise ValidationError("This does not look like an e-mail address.")


class FeedbackForm(TypedForm):
    """A message and its sender; the e-mail address may be left out."""

    content = TextAreaField(
        "Your message",
        [
            DataRequired("Please write a message."),
            Length(max=LONGEST_CONTENT, message="Please use at most %(max)d characters."),
        ],
        filters=[typed_text.storable],
    )
    submitter_name = StringField(
        "Your name",
        [DataRequired("Please give your name."), Length(max=200, message="Please use at most %(max)d characters.")],
        filters=[typed_text.storable],
    )
    submitter_email = EmailField(
        "Your e-mail address",
        [Optional(), Length(max=320, message="Please use at most %(max)d characters."), _email],
        filters=[typed_text.storable],
    )
