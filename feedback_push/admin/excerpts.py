"""The part of a message that a list shows: its beginning, or the part around the first word that a search has found."""

from markupsafe import Markup

from feedback_push import search_text

_LONGEST = 280
_SEEN = 60  # characters that the two lines of a row have room for on a phone
_BEFORE = 30  # characters before the first word found
# A part of a text, and whether the search has found it.
Piece = tuple[str, bool]


def excerpt(beginning: str, typed: str = "") -> list[Piece]:
    """Return at most 280 characters of a text, in pieces, with an ellipsis where it was cut."""
    start = _start(beginning, typed)
    cut = beginning[start : start + _LONGEST]
    dots = ("…" if start else "", "…" if len(beginning) > start + _LONGEST else "")
    return pieces(f"{dots[0]}{cut}{dots[1]}", typed)


def pieces(text: str, typed: str = "") -> list[Piece]:
    """Return the text in pieces; the words that the search has found are pieces of their own."""
    found, at = [], 0
    for start, end in search_text.spans(text, search_text.query(typed)):
        found += [(text[at:start], False), (text[start:end], True)]
        at = end
    return [piece for piece in [*found, (text[at:], False)] if piece[0]]


def marked(parts: list[Piece]) -> Markup:
    """Return the pieces as HTML, with those found in `<mark>` elements."""
    return Markup("").join(Markup("<mark>{}</mark>").format(text) if found else text for text, found in parts)


def _start(beginning: str, typed: str) -> int:
    """Return where the excerpt starts: at the beginning, unless the first word found is too far behind it."""
    spans = search_text.spans(beginning, search_text.query(typed))
    if not spans or spans[0][1] <= _SEEN:
        return 0
    start = spans[0][0] - _BEFORE
    return 1 + max(beginning.find(" ", start, spans[0][0]), start - 1)
