"""Compare the senders: their rates, their ratios, and the targets."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

import psutil

from benchmarks import sample
from benchmarks.report import Table, Target, number
from benchmarks.sample import Sample
from benchmarks.site import KINDS
from feedback_push.config import Settings

LATENCIES = (0, 50, 200)  # ms
TUTORIAL, SESSION, NODE = "webpush(), one by one", "webpush_async, one session", "node web-push, keep-alive"
GATEWAY, CEILING = "our gateway alone", "encryption alone, one core"


@dataclass
class Row:
    """One sender and its samples at each latency."""

    name: str
    in_flight: str
    samples: dict[int, list[Sample]] = field(default_factory=lambda: {latency: [] for latency in LATENCIES})

    def rate(self, latency: int) -> float:
        """Return the median rate in pushes a second."""
        return sample.median_of(self.samples[latency], lambda taken: taken.rate)

    def cores(self, latency: int) -> float:
        """Return the number of busy cores of the machine."""
        return sample.median_of(self.samples[latency], lambda taken: taken.machine_cpu / taken.seconds)

    def service_cores(self, latency: int) -> float:
        """Return the number of cores that the push service used."""
        return sample.median_of(self.samples[latency], lambda taken: taken.service_cpu / taken.seconds)

    def every(self) -> list[Sample]:
        """Return the samples of all latencies."""
        return [taken for samples in self.samples.values() for taken in samples]


def whole(kind: str, workers: int) -> str:
    """Return the name of a row for the whole project."""
    return f"whole, {kind}, {workers} worker{'s' if workers > 1 else ''}"


def table(rows: Sequence[Row], skipped: list[str]) -> Table:
    """Return the comparison, with each sender's ratio to tutorial code."""
    by_name = {row.name: row for row in rows}
    columns = [heading for latency in LATENCIES for heading in (f"{latency} ms/s", "x")]
    return Table(
        name="sending",
        title="Pushes a second by the push service's latency, and as a multiple of tutorial code",
        columns=("sender", "in flight", *columns, "CPU ms/push", "lost", "doubled"),
        rows=[_cells(row, by_name[TUTORIAL]) for row in rows],
        notes=[*skipped, *_limits(by_name)],
        targets=list(_targets(by_name)),
        data={row.name: {f"{ms} ms": list(map(asdict, taken)) for ms, taken in row.samples.items()} for row in rows},
    )


def bars(found: Table) -> dict[str, dict[str, float]]:
    """Return the rates for the plot."""
    return {
        f"Pushes a second, push service answering after {latency} ms": {
            row[0]: float(row[2 + 2 * place].replace(",", "")) for row in found.rows
        }
        for place, latency in enumerate(LATENCIES)
    }


def _cells(row: Row, tutorial: Row) -> tuple[str, ...]:
    rates = [(row.rate(latency), tutorial.rate(latency)) for latency in LATENCIES]
    cpu = sample.median_of(row.samples[50], lambda taken: 1000 * taken.cpu / taken.pushes)
    lost, doubled = (sum(getattr(taken, what) for taken in row.every()) for what in ("lost", "doubled"))
    pairs = [cell for rate, base in rates for cell in (number(rate), number(rate / base))]
    return row.name, row.in_flight, *pairs, number(cpu), str(lost), str(doubled)


def _limits(rows: dict[str, Row]) -> Iterator[str]:
    cores = psutil.cpu_count() or 1
    for kind in KINDS:
        row = rows[whole(kind, 2)]
        for latency in LATENCIES:
            busy, service = row.cores(latency), row.service_cores(latency)
            if busy > 0.93 * cores:
                yield (
                    f"{row.name} at {latency} ms: the machine is the limit, {busy:.2f} of its {cores} cores are busy, "
                    f"{service:.2f} with the push service."
                )
    most = Settings.push_concurrency
    limit = f"{most} at 50 ms are {most * 20:,} a second"
    yield f"Nobody sends faster than what is in flight divided by the latency: {limit}."


def _targets(rows: dict[str, Row]) -> Iterator[Target]:
    tutorial, gateway, ceiling = rows[TUTORIAL], rows[GATEWAY], rows[CEILING]
    for kind in KINDS:
        one, two = rows[whole(kind, 1)], rows[whole(kind, 2)]
        yield _ratio(one, tutorial, 50, 100)
        yield _ratio(one, tutorial, 0, 12)
        if NODE in rows:
            yield _ratio(one, rows[NODE], 50, 2)
        yield _ratio(one, ceiling, 50, 0.4)
        yield _ratio(two, one, 0, 1.6)
        yield _ratio(two, one, 50, 1.6)
    yield _ratio(gateway, ceiling, 50, 0.5)


def _ratio(row: Row, other: Row, latency: int, bound: float) -> Target:
    text = f"{row.name} to {other.name} at {latency} ms"
    return Target(text, row.rate(latency) / other.rate(latency), "at least", bound, "x")
