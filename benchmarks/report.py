"""Reports: tables as text, targets that are reached or not, and both as JSON."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Target:
    """A target that this project sets itself."""

    text: str
    value: float
    kind: Literal["at least", "at most"]
    bound: float
    unit: str

    @property
    def reached(self) -> bool:
        """Return whether the measured value reaches the target."""
        return self.value >= self.bound if self.kind == "at least" else self.value <= self.bound

    def __str__(self) -> str:
        word = "reached    " if self.reached else "NOT REACHED"
        return f"{word}  {self.text}: {number(self.value)} {self.unit} ({self.kind} {self.bound:g} {self.unit})"


@dataclass
class Table:
    """The results of one measurement; `data` holds the single samples."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    data: Any = None

    def lines(self) -> Iterator[str]:
        """Return the table as text."""
        cells = [self.columns, *self.rows]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.columns))]
        yield ""
        yield self.title
        for row in cells:
            first, *others = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
            yield "  ".join(["", first, *(cell.strip().rjust(len(cell)) for cell in others)])
        yield from (f"  {note}" for note in self.notes)
        yield from (f"  {target}" for target in self.targets)

    def as_json(self) -> dict[str, Any]:
        """Return the table as data for JSON."""
        return {
            "title": self.title,
            "columns": self.columns,
            "rows": self.rows,
            "notes": self.notes,
            "targets": [vars(target) | {"reached": target.reached} for target in self.targets],
            "samples": self.data,
        }


def number(value: float) -> str:
    """Format a number with three significant digits, because such a measurement is no more exact."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
