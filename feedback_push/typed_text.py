"""What people type: forms that take nothing else, and text made storable."""

import re
from typing import Any

from flask import request
from flask_wtf import FlaskForm

# NUL cannot be stored in PostgreSQL, a lone surrogate nowhere; neither can be typed on purpose.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


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
