"""Cursors of the API's lists: opaque to programs, and signed, so that a made-up one is refused."""

from itsdangerous import BadData, URLSafeSerializer
from marshmallow import ValidationError, fields

from feedback_push import secret_keys

LONGEST = 100  # characters


class Cursor(fields.String):
    """A cursor in a query: the id before which a page begins."""

    def _deserialize(self, value: object, *_args: object, **_more: object) -> int:  # type: ignore[override]
        if isinstance(value, str) and len(value) <= LONGEST:
            try:
                before = _signer().loads(value)
            except BadData:
                before = None
            if type(before) is int:
                return before
        raise ValidationError("Not a cursor of this list.")


def to(before: int | None) -> str | None:
    """Return the cursor of the page before an id; None for None, where there is no further page."""
    return None if before is None else str(_signer().dumps(before))


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(secret_keys.oldest_first(), salt="api.cursor")
