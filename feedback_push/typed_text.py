"""Read typed text: forms that accept only text fields of a limited length, and filters that make text storable."""

import re
from typing import Any

import regex
from flask import request
from flask_babel import format_decimal
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import Field, Form, PasswordField, StringField
from wtforms.fields.core import UnboundField
from wtforms.validators import DataRequired, Length, StopValidation

# Characters of a field without a Length validator.
_LONGEST_TEXT = 1_000
_LONGEST_VALUE = 100  # for numbers, times and choices; WTForms' NumberRange fails on 400 digits
_TOO_LONG = _("Please use at most %(max)s characters.")
_CUT = _("Only the beginning is shown here; go back to see the whole text.")
# PostgreSQL cannot store NUL, and no database can store a lone surrogate. Neither can be typed on purpose.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

# Every character except spaces, controls, and characters that Unicode allows a font to hide: joiners, bidi controls,
# variation selectors, Hangul fillers and tags. Braille's empty cell and the interlinear marks are also invisible.
_VISIBLE = regex.compile(r"(?V1)[^\p{White_Space}\p{Cc}\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffb]")


class TypedForm(FlaskForm):  # type: ignore[misc]
    """The parent of every form; its fields are texts sent by a page's form, never files or JSON values.

    A field accepts as many characters as its Length validator allows; a line end counts as one. A longer value is cut
    before any filter or validator sees it, and validation of its field then stops: filters and validators may take far
    more time than the length suggests.
    """

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        """The source of the fields' values, and a length check that runs before their validators."""

        def bind_field(self, form: Form, unbound_field: UnboundField, options: dict[str, Any]) -> Field:
            """Make every field check its length first."""
            field = super().bind_field(form, unbound_field, options)
            field.validators = [_end_where_too_long, *field.validators]
            return field

        def wrap_formdata(self, form: FlaskForm, formdata: Any) -> Any:
            """Return only the form's data; the library would also accept uploads, and JSON with values of any type."""
            if isinstance(formdata, MultiDict):
                return form.bounded(formdata)
            return form.bounded(request.form) if formdata is not None and form.is_submitted() else None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.too_long: set[str] = set()
        super().__init__(*args, **kwargs)
        for name in self.too_long:
            self[name].errors = [_error_message(self[name])]  # also for a form that is shown again without validation

    def bounded(self, sent: MultiDict[str, str]) -> MultiDict[str, str]:
        """Return the values of the form's own fields, each cut to its field's limit."""
        kept: MultiDict[str, str] = MultiDict()
        for field in self:
            most = _limit(field)[0]
            for value in sent.getlist(field.name):
                if len(value) - value.count("\r\n") > most:
                    self.too_long.add(field.short_name)
                    value = value[:most]  # noqa: PLW2901
                kept.add(field.name, value)
        return kept


class Visible(DataRequired):  # type: ignore[misc]
    """Require a text with at least one visible character."""

    def __call__(self, _form: Form, field: Field) -> None:
        """Raise StopValidation with the message of this validator if there is none."""
        if is_blank(field.data):
            field.errors = []
            raise StopValidation(self.message)


def storable(value: str | None) -> str | None:
    """Return the text with LF line ends and without characters that cannot be stored; for a form field's filters."""
    return _UNSTORABLE.sub("", value).replace("\r\n", "\n") if value else value


def is_blank(text: str | None) -> bool:
    """Return whether the text has no visible character, in time linear in its length."""
    return not text or _VISIBLE.search(text) is None


def trimmed(value: str | None) -> str | None:
    """Return the text without invisible characters at its ends, which pasted text often has."""
    if not value:
        return value
    first, last = _VISIBLE.search(value), _VISIBLE.search(value[::-1])
    return value[first.start() : len(value) - last.start()] if first and last else ""


def _limit(field: Field) -> tuple[int, str]:
    """Return the field's limit in characters, and the message for it."""
    limits = [each for each in field.validators if isinstance(each, Length) and each.max >= 0]
    usual = Length(max=_LONGEST_TEXT if isinstance(field, StringField) else _LONGEST_VALUE)
    longest = min(limits, key=lambda each: each.max, default=usual)
    return longest.max, longest.message or _TOO_LONG


def _error_message(field: Field) -> str:
    most, message = _limit(field)
    text = str(message) % {"max": format_decimal(most)}
    return text if isinstance(field, PasswordField) else f"{text} {_CUT}"


def _end_where_too_long(form: TypedForm, field: Field) -> None:
    if field.short_name in form.too_long:
        field.errors = []
        raise StopValidation(_error_message(field))
