"""The feedback form."""

from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import EmailField, Field, Form, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional, StopValidation, ValidationError

from feedback_push import email_address, typed_text
from feedback_push.config import current_settings
from feedback_push.typed_text import TypedForm

LONGEST_CONTENT = 200_000
LONGEST_NAME = 200
LONGEST_REPLY = 20_000
LARGEST_REPLY_FORM = 12 * LONGEST_REPLY + 8 * 1024  # bytes; a character takes at most twelve in a form
_TOO_LONG = _("Please use at most %(max)s characters.")


class _Visible(DataRequired):  # type: ignore[misc]
    """Require a text with at least one visible character."""

    def __call__(self, _form: Form, field: Field) -> None:
        if typed_text.is_blank(field.data):
            field.errors = []
            raise StopValidation(self.message)


def _email(_form: Form, field: Field) -> None:
    # Longer addresses get an error from Length.
    if field.data and len(field.data) <= email_address.LONGEST and not email_address.is_plausible(field.data):
        raise ValidationError(_("This does not look like an e-mail address."))


def _without_blanks(value: str | None) -> str | None:
    return "" if typed_text.is_blank(value) else value


class FeedbackForm(TypedForm):
    """A message and its sender. The e-mail address is optional."""

    content = TextAreaField(
        _("Your message"),
        [_Visible(_("Please write a message.")), Length(max=LONGEST_CONTENT, message=_TOO_LONG)],
        filters=[typed_text.storable],
    )
    submitter_name = StringField(
        _("Your name"),
        [_Visible(_("Please enter your name.")), Length(max=LONGEST_NAME, message=_TOO_LONG)],
        filters=[typed_text.storable],
    )
    submitter_email = EmailField(
        _("Your e-mail address"),
        [Optional(), Length(max=email_address.LONGEST, message=_TOO_LONG), _email],
        filters=[typed_text.storable, typed_text.trimmed],
    )

    def shorten(self) -> None:
        """Cut the typed texts to the accepted lengths, for a page that shows them without validation."""
        for field, longest in (
            (self.content, LONGEST_CONTENT),
            (self.submitter_name, LONGEST_NAME),
            (self.submitter_email, email_address.LONGEST),
        ):
            field.data = (field.data or "")[:longest]


class _FormWithOptionalName(FeedbackForm):
    """The same form, for a site that lets visitors leave out their name."""

    submitter_name = StringField(
        _("Your name"),
        [Optional(), Length(max=LONGEST_NAME, message=_TOO_LONG)],
        filters=[typed_text.storable, _without_blanks],
    )


_REPLY: dict[str, Any] = {
    "validators": [_Visible(_("Please write a message.")), Length(max=LONGEST_REPLY, message=_TOO_LONG)],
    "filters": [typed_text.storable],
}


class ReplyForm(TypedForm):
    """A visitor's reply to the answers to their message."""

    content = TextAreaField(_("Your reply"), **_REPLY)


class AnswerForm(TypedForm):
    """An administrator's answer to a message."""

    content = TextAreaField(_("Your answer"), id="answer", **_REPLY)


def feedback_form(**options: Any) -> FeedbackForm:
    """Return the form of this site, filled in from the request; `options` are FlaskForm's."""
    is_optional = current_settings().form_name_optional
    return _FormWithOptionalName(**options) if is_optional else FeedbackForm(**options)
