"""Write a JSON object while one of its lists is read, so that the list is never in memory as a whole."""

import json
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

BUFFER = 64 * 1024  # characters


def pieces(
    before: dict[str, Any], name: str, rows: Iterable[Any], after: dict[str, Any], *, indent: int | None = None
) -> Iterator[str]:
    """Yield the text of an object with the members `before`, the list `name`, and the members `after`.

    Neither `before` nor `after` may be empty.
    """
    new_line = "" if indent is None else "\n" + " " * indent
    yield _members(before, indent) + f",{new_line or ' '}{json.dumps(name)}: ["
    separator = ""
    for row in rows:
        text = json.dumps(row, ensure_ascii=False, indent=indent)
        yield separator + (text if indent is None else "\n" + textwrap.indent(text, " " * 2 * indent))
        separator = ", " if indent is None else ","
    closing = "]" if not separator else f"{new_line}]"
    end = "}" if indent is None else "\n}"
    yield f"{closing},{new_line or ' '}" + _members(after, indent).removeprefix("{").lstrip() + end


def buffered(texts: Iterable[str]) -> Iterator[str]:
    """Join short texts, so that a response does not consist of thousands of tiny parts."""
    held, length = [], 0
    for text in texts:
        held.append(text)
        length += len(text)
        if length >= BUFFER:
            yield "".join(held)
            held, length = [], 0
    if held:
        yield "".join(held)


def _members(values: dict[str, Any], indent: int | None) -> str:
    """Return an object without its last bracket."""
    return json.dumps(values, ensure_ascii=False, indent=indent)[:-1].rstrip("\n")
