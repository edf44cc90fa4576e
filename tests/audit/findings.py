"""What a tool has found."""

from typing import NamedTuple


class Findings(NamedTuple):
    """What to print, and whether every aim is reached."""

    lines: list[str]
    good: bool
