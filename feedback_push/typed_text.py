"""What people type: forms that take nothing else, and text made storable."""

import re
from typing import Any

import regex
from flask import request
from flask_wtf import FlaskForm

# NUL cannot be stored in PostgreSQL, a lone surrogate nowhere; neither can be typed on purpose.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

# Every character but blanks, controls and what Unicode lets a font leave out: joiners, bidi controls, variation
# selectors, Hangul fillers, tags. Braille's empty cell and the interlinear marks are blank, too.
_VISIBLE = regex.compile(r"(?V1)[^\p{White_Space}\p{Cc}\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffb]")


class TypedForm(FlaskForm):  # type: ignore[misc]
    """The parent of every form: its fields are texts that a page's form has sent, never files or values of JSON."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        """Where the fields are read from."""

        def wrap_formdata(self, form: FlaskForm, formdata: Any) -> Any:
            """Only the form itself: the library would also take uploaded files, and JSON with values of any type."""
            return request.form if formdata is not None and form.is_submitted() else None


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
