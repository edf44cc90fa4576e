"""Measure the limit of the push service itself, to show that it does not limit the other measurements."""

from statistics import median

from benchmarks.push_service import flood
from benchmarks.push_service.flood import Ceiling
from benchmarks.report import Table, number
from benchmarks.stage import Stage

LATENCIES = (0, 50, 200)  # ms


def measure(stage: Stage) -> Table:
    """Flood the push service at each latency."""
    found: dict[int, list[Ceiling]] = {latency: [] for latency in LATENCIES}
    for _ in range(stage.scale.rounds):
        for latency, ceilings in found.items():
            ceilings.append(flood.measure(stage.service.new_run(latency), stage.scale.flood))
    return Table(
        name="service",
        title=f"The push service's own ceiling: requests that cost nothing over {flood.CONNECTIONS} connections",
        columns=("latency", "pushes/s", "its CPU us/push", "possible on one core/s"),
        rows=[_row(latency, ceilings) for latency, ceilings in found.items()],
        notes=[f"At a latency no more than {flood.CONNECTIONS} pushes can be in flight, which limits the rate."],
        data={f"{latency} ms": [vars(ceiling) for ceiling in ceilings] for latency, ceilings in found.items()},
    )


def _row(latency: int, ceilings: list[Ceiling]) -> tuple[str, ...]:
    cpu = median(ceiling.cpu for ceiling in ceilings)
    rate = median(ceiling.rate for ceiling in ceilings)
    return f"{latency} ms", number(rate), number(cpu * 1e6), number(1 / cpu)
