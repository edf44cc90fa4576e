"""Compare how long a request takes on a small and on a large site that run at the same time."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from benchmarks import sample
from benchmarks.report import Table, Target, number
from benchmarks.site import KINDS, Kind
from benchmarks.stage import Stage

_FLAT = 1.5
_Found = dict[tuple[Kind, int], list[float]]


class Client(Protocol):
    """A client of one site."""

    def reconnect(self) -> None:
        """Open a new connection for this round, because the server has timed out the last one."""

    def request(self) -> None:
        """Make the request that is timed."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A request, and two sizes of the site that answers it; `start` runs a site until the stack ends."""

    name: str
    title: str
    counted: str  # the name of the column with the sizes
    sizes: tuple[int, int]
    requests: int  # in a round
    start: Callable[[Stage, ExitStack, Kind, int], Client]


def measure(stage: Stage, compared: Comparison) -> Table:
    """Ask the sites in turns, on one database after the other."""
    few, many = compared.sizes
    found: _Found = {(kind, size): [] for kind in KINDS for size in compared.sizes}
    for kind in KINDS:
        _ask(stage, compared, kind, found)
    medians = {key: median(times) for key, times in found.items()}
    return Table(
        name=compared.name,
        title=compared.title,
        columns=("database", compared.counted, "requests", "p50 ms", "p99 ms"),
        rows=[_row(*key, times) for key, times in found.items()],
        targets=[
            Target(
                f"{compared.name} at {many:,} {compared.counted} to {few:,}, {kind}",
                medians[kind, many] / medians[kind, few], "at most", _FLAT, "x",
            )
            for kind in KINDS
        ],
        data={f"{kind} {size}": times for (kind, size), times in found.items()},
    )  # fmt: skip


def _ask(stage: Stage, compared: Comparison, kind: Kind, found: _Found) -> None:
    with ExitStack() as stack:
        clients = {size: compared.start(stage, stack, kind, size) for size in compared.sizes}
        for _ in range(stage.scale.rounds):
            for size, client in clients.items():
                client.reconnect()
                for _ in range(compared.requests):
                    started = time.perf_counter()
                    client.request()
                    found[kind, size].append(time.perf_counter() - started)


def _row(kind: Kind, size: int, times: list[float]) -> tuple[str, ...]:
    p50, p99 = median(times), sample.percentile(times, 99)
    return kind, f"{size:,}", f"{len(times):,}", number(1000 * p50), number(1000 * p99)
