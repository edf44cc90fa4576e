"""Measure the time from a visitor's POST to the push at the push service, with one device on an idle site."""

import time
from statistics import median

from benchmarks import launcher, rows, sample, site
from benchmarks.browser import Browser
from benchmarks.push_service import Run
from benchmarks.report import Table, Target, number
from benchmarks.site import Site
from benchmarks.stage import Stage

_BETWEEN = 0.25  # seconds; by then the push has arrived and everything is idle again
_LONGEST = 40
_BROKERS = ("embedded broker", "Redis")


def measure(stage: Stage) -> Table:
    """Measure a site as `make run` starts it, with each broker."""
    found = {broker: _measure(stage, embedded=broker == _BROKERS[0]) for broker in _BROKERS}
    medians = {broker: 1000 * median(times) for broker, times in found.items()}
    return Table(
        name="reaction",
        title="From sending the form to the request at the push service: one device, SQLite, `make run`",
        columns=("broker", "messages", "median ms", "p95 ms"),
        rows=[_row(broker, times) for broker, times in found.items()],
        targets=[Target(f"POST to push, {broker}", value, "at most", 100, "ms") for broker, value in medians.items()],
        data=found,
    )


def _measure(stage: Stage, *, embedded: bool) -> list[float]:
    with (
        site.made(stage, "SQLite", embedded_broker=embedded) as made,
        launcher.running(stage, made.settings),
    ):
        launcher.wait_until_ready(made.settings)
        run, visitor = subscribe(stage, made), Browser(made.settings)
        visitor.open_form()
        times = [react(run, visitor) for _ in range(stage.scale.reactions + 1)]
    return times[1:]  # the first opens the worker's connections


def subscribe(stage: Stage, made: Site) -> Run:
    """Make one device at a push service that answers at once."""
    run = stage.service.new_run(0)
    with made.app.app_context():
        rows.replace_devices(run.prefix, 1, made.settings.vapid_public_key)
    return run


def react(run: Run, visitor: Browser) -> float:
    """Send one message; return the seconds until its push arrived."""
    started = time.monotonic()
    visitor.send_message()
    for _ in range(_LONGEST):
        time.sleep(_BETWEEN)
        if (arrivals := run.arrivals()).pushes:
            return arrivals.last_at - started
    raise TimeoutError("the push did not arrive")


def _row(broker: str, times: list[float]) -> tuple[str, ...]:
    return broker, str(len(times)), number(1000 * median(times)), number(1000 * sample.percentile(times, 95))
