"""Draw a bar chart as SVG, with one panel for each group."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

_LABELS, _BARS, _NUMBERS = 210, 420, 70  # widths
_LINE, _GAP = 22, 46  # heights
_STYLE = "text{font:13px sans-serif;fill:#222}.title{font-weight:bold}rect{fill:#3a6ea5}"


def write(path: Path, panels: Mapping[str, Mapping[str, float]]) -> None:
    """Draw each panel's values as bars with their numbers; each panel has its own scale."""
    parts: list[str] = []
    top = 0
    for title, bars in panels.items():
        parts.append(f'<text class="title" x="8" y="{top + 28}">{escape(title)}</text>')
        top += _GAP
        longest = max(bars.values(), default=1.0)
        for name, value in bars.items():
            parts.append(_bar(name, value, value / longest, top))
            top += _LINE
    size = f'width="{_LABELS + _BARS + _NUMBERS}" height="{top + 12}"'
    background = '<rect width="100%" height="100%" style="fill:#fff"/>'
    body = "\n".join([f"<style>{_STYLE}</style>", background, *parts])
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{body}\n</svg>\n')


def _bar(name: str, value: float, share: float, top: int) -> str:
    width = round(_BARS * share)
    return (
        f'<text x="{_LABELS - 8}" y="{top + 15}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{_LABELS}" y="{top + 3}" width="{max(1, width)}" height="{_LINE - 6}"/>'
        f'<text x="{_LABELS + width + 6}" y="{top + 15}">{value:,.0f}</text>'
    )
