"""Measure pushes a second: tutorial code, peers, our gateway, the whole project, and encryption alone."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from benchmarks import senders, site, workers
from benchmarks.report import Table
from benchmarks.sample import Sample
from benchmarks.senders import IN_FLIGHT, Sender
from benchmarks.stage import Stage
from benchmarks.tables import comparison
from benchmarks.tables.comparison import CEILING, GATEWAY, LATENCIES, NODE, SESSION, TUTORIAL, Row, whole
from feedback_push.config import Settings

_FEWEST = 10
_WARM_UP = 300
_WORKERS = (1, 2)


def measure(stage: Stage) -> Table:
    """Measure all senders in turns, round by round."""
    commands = {
        TUTORIAL: senders.python("tutorial"),
        SESSION: senders.python("asynchronous"),
        NODE: senders.node(),
        GATEWAY: senders.python("gateway"),
        CEILING: senders.python("encode"),
    }
    skipped = [f"{name}: left out, {command}." for name, command in commands.items() if isinstance(command, str)]
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(senders.running(stage, command))
            for name, command in commands.items()
            if not isinstance(command, str)
        }
        return comparison.table(_rounds(stage, running), skipped)


def _rounds(stage: Stage, running: dict[str, Sender]) -> list[Row]:
    rows = {name: Row(name, _in_flight(name)) for name in running}
    counts = dict(_counts(stage, running))
    for _ in range(stage.scale.rounds):
        for latency in LATENCIES:
            for name, sender in running.items():
                rows[name].samples[latency].append(_send(stage, sender, name, latency, counts[name, latency]))
        _whole_project(stage, rows)
    return list(rows.values())


def _counts(stage: Stage, running: dict[str, Sender]) -> Iterator[tuple[tuple[str, int], int]]:
    """Return the number of pushes that keep each sender busy for the scale's time; this also opens connections."""
    for latency in LATENCIES:
        for name, sender in running.items():
            warm_up = _send(stage, sender, name, latency, _FEWEST if name == TUTORIAL else _WARM_UP)
            yield (name, latency), max(_FEWEST, int(warm_up.rate * stage.scale.seconds))


def _send(stage: Stage, sender: Sender, name: str, latency: int, pushes: int) -> Sample:
    taken = sender.send(stage.service.new_run(latency), pushes)
    return replace(taken, lost=0) if name == CEILING else taken  # which sends nothing


def _whole_project(stage: Stage, rows: dict[str, Row]) -> None:
    for kind in site.KINDS:
        for number in _WORKERS:
            name = whole(kind, number)
            row = rows.setdefault(name, Row(name, str(Settings.push_concurrency * number)))
            with site.made(stage, kind) as made, workers.running(stage, made, number) as started:
                for latency in LATENCIES:
                    run = stage.service.new_run(latency)
                    row.samples[latency].append(workers.push_to_all(started, run, stage.scale.devices))


def _in_flight(name: str) -> str:
    return {TUTORIAL: "1", GATEWAY: str(Settings.push_concurrency), CEILING: "-"}.get(name, str(IN_FLIGHT))
