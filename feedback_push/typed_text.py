"""What people type: forms that take nothing else and no more than they say, and text made storable."""

import re
from typing import Any

import regex
from flask import request
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import Field, Form, PasswordField, StringField
from wtforms.fields.core import UnboundField
from wtforms.validators import Length, StopValidation

# Characters of a field without a Length validator.
_LONGEST_TEXT = 1_000
_LONGEST_VALUE = 100  # of numbers, times and choices; one with 400 digits is too large for WTForms' NumberRange
_TOO_LONG = _("Please use at most %(max)d characters.")
# NUL cannot be stored in PostgreSQL, a lone surrogate nowhere; neither can be typed on purpose.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

# Every character but blanks, controls and what Unicode lets a font leave out: joiners, bidi controls, variation
# selectors, Hangul fillers, tags. Braille's empty cell and the interlinear marks are blank, too.
_VISIBLE = regex.compile(r"(?V1)[^\p{White_Space}\p{Cc}\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffb]")


class TypedForm(FlaskForm):  # type: ignore[misc]
    """The parent of every form: its fields are texts that a page's form has sent, never files or values of JSON.

    A field takes as many characters as its Length validator says, a line end being one. A longer value is cut before
    any filter or validator sees it, and ends the validation of its field: what they do may take far more time than
    the length suggests.
    """

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        """Where the fields are read from."""

        def bind_field(self, form: Form, unbound_field: UnboundField, options: dict[str, Any]) -> Field:
            """Let every field begin its validation with its length."""
            field = super().bind_field(form, unbound_field, options)
            field.validators = [_end_where_too_long, *field.validators]
            return field

        def wrap_formdata(self, form: FlaskForm, formdata: Any) -> Any:
            """Only the form itself: the library would also take uploaded files, and JSON with values of any type."""
            return form.bounded(request.form) if formdata is not None and form.is_submitted() else None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.too_long: set[str] = set()
        super().__init__(*args, **kwargs)
        for name in self.too_long:
            self[name].errors = [_words(self[name])]  # also where a page comes back before it is validated

    def bounded(self, sent: MultiDict[str, str]) -> MultiDict[str, str]:
        """Return the values of the form's own fields, none longer than its field takes."""
        kept: MultiDict[str, str] = MultiDict()
        for field in self:
            most = _limit(field)[0]
            for value in sent.getlist(field.name):
                if len(value) - value.count("\r\n") > most:
                    self.too_long.add(field.short_name)
                    value = value[:most]  # noqa: PLW2901
                kept.add(field.name, value)
        return kept


def storable(value: str | None) -> str | None:
    """The text with line ends as everywhere else, and without what no database takes; for a form field's filters."""
    return _UNSTORABLE.sub("", value).replace("\r\n", "\n") if value else value


def is_blank(text: str | None) -> bool:
    """Return whether a reader sees nothing of the text; takes time in proportion to its length."""
    return not text or _VISIBLE.search(text) is None


def trimmed(value: str | None) -> str | None:
    """Return the text without what is invisible at its ends, which comes along when text is pasted."""
    if not value:
        return value
    first, last = _VISIBLE.search(value), _VISIBLE.search(value[::-1])
    return value[first.start() : len(value) - last.start()] if first and last else ""


def _limit(field: Field) -> tuple[int, str]:
    """Return how many characters the field takes, and the words that say so."""
    limits = [each for each in field.validators if isinstance(each, Length) and each.max >= 0]
    usual = Length(max=_LONGEST_TEXT if isinstance(field, StringField) else _LONGEST_VALUE)
    longest = min(limits, key=lambda each: each.max, default=usual)
    return longest.max, longest.message or _TOO_LONG


def _words(field: Field) -> str:
    most, message = _limit(field)
    words = str(message) % {"max": most}
    if isinstance(field, PasswordField):
        return words
    return f"{words} {_('Only the beginning is shown here; go back to see the whole text.')}"


def _end_where_too_long(form: TypedForm, field: Field) -> None:
    if field.short_name in form.too_long:
        field.errors = []
        raise StopValidation(_words(field))
