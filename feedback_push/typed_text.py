"""What people type, made storable."""

import re

# NUL cannot be stored in PostgreSQL, a lone surrogate nowhere; neither can be typed on purpose.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(value: str | None) -> str | None:
    """The text with line ends as everywhere else, and without what no database takes; for a form field's filters."""
    return _UNSTORABLE.sub("", value).replace("\r\n", "\n") if value else value
