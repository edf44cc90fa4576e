"""The findings of an external tool."""

from typing import NamedTuple


class Findings(NamedTuple):
    """The lines to print, and whether every target is met."""

    lines: list[str]
    good: bool
