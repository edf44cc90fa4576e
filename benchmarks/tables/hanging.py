"""Measure pushes to three push services alone, and beside a fourth one that hangs."""

from dataclasses import asdict
from functools import partial
from statistics import median

from benchmarks import rows, sample, site, workers
from benchmarks.report import Table, Target, number
from benchmarks.sample import Sample
from benchmarks.stage import Stage

_LATENCY = 50  # ms
_NEVER = 3_600_000  # ms
_SLOWER = 1.1


def measure(stage: Stage) -> Table:
    """Alternate between three push services alone and beside one that hangs, each time with a new worker."""
    found: dict[str, list[Sample]] = {"three": [], "three, and one that hangs": []}
    for _ in range(stage.scale.rounds):
        for name, samples in found.items():
            samples.append(_measure(stage, hanging="hangs" in name))
    times = {name: median(taken.seconds for taken in samples) for name, samples in found.items()}
    alone, beside = times.values()
    return Table(
        name="hanging",
        title=f"Time to the last result of three push services, {stage.scale.hanging:,} devices each, SQLite, 1 worker",
        columns=("push services", "seconds", "lost", "doubled"),
        rows=[_row(name, samples, times[name]) for name, samples in found.items()],
        targets=[Target("three beside one that hangs to three alone", beside / alone, "at most", _SLOWER, "x")],
        data={name: list(map(asdict, samples)) for name, samples in found.items()},
    )


def _measure(stage: Stage, *, hanging: bool) -> Sample:
    *answering, silent = stage.service.authorities
    number = stage.scale.hanging
    with site.made(stage, "SQLite") as made, workers.running(stage, made, 1) as started, made.app.app_context():
        run = stage.service.new_run(_LATENCY, answering[0])
        rows.replace_devices(run.prefix, 0, made.settings.vapid_public_key)
        if hanging:
            rows.add_devices(stage.service.new_run(_NEVER, silent).prefix, number, made.settings.vapid_public_key)
        for place, authority in enumerate(answering):
            prefix = f"{run.prefix.replace(answering[0], authority)}{place}-"
            rows.add_devices(prefix, number, made.settings.vapid_public_key)
        send = partial(workers.push_and_wait, started, accepted=number * len(answering))
        return sample.take(run, started.members, number * len(answering), send)


def _row(name: str, samples: list[Sample], seconds: float) -> tuple[str, ...]:
    lost, doubled = (sum(getattr(taken, what) for taken in samples) for what in ("lost", "doubled"))
    return name, number(seconds), str(lost), str(doubled)
