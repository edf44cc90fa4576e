"""Measure how fast POST /feedback/ answers visitors, on an idle site and while many pushes are in flight."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks import launcher, rows, sample, site, workers
from benchmarks.browser import Browser
from benchmarks.push_service import Run
from benchmarks.report import Table, Target, number
from benchmarks.site import KINDS, Kind, Site
from benchmarks.stage import Stage
from feedback_push import dispatch
from tests import servers

VISITORS = 4
_LATENCY = 50
_MOST = 20_000  # requests


@dataclass(frozen=True)
class Load:
    """The response times in seconds, and the seconds that all of them took."""

    seconds: float
    times: list[float]

    @property
    def rate(self) -> float:
        """The rate in requests a second."""
        return len(self.times) / self.seconds

    @property
    def p99(self) -> float:
        """The 99th percentile of the response times, in milliseconds."""
        return 1000 * sample.percentile(self.times, 99)


def measure(stage: Stage) -> Table:
    """Measure on both databases, in turns idle and busy."""
    found: dict[tuple[Kind, str], list[Load]] = {(kind, state): [] for kind in KINDS for state in ("idle", "busy")}
    for kind in KINDS:
        with site.made(stage, kind) as made, launcher.running(stage, made.settings):
            launcher.wait_until_ready(made.settings)
            visitors = [visitor(made) for _ in range(VISITORS)]
            for _ in range(stage.scale.posting_rounds):
                found[kind, "idle"].append(load(visitors, lambda sent: sent >= stage.scale.posts))
                found[kind, "busy"].append(_busy_load(stage, made, visitors))
    p99 = {key: median(load.p99 for load in loads) for key, loads in found.items()}
    return Table(
        name="posting",
        title=f"POST /feedback/ on what `make run` starts: {VISITORS} visitors, each one request after another",
        columns=("database", "meanwhile", "requests", "requests/s", "p50 ms", "p99 ms"),
        rows=[_row(stage, *key, loads) for key, loads in found.items()],
        targets=[_target(kind, p99[kind, "busy"] / p99[kind, "idle"]) for kind in KINDS],
        data={" ".join(key): [asdict(load) for load in loads] for key, loads in found.items()},
    )


def visitor(made: Site) -> Browser:
    """Return a visitor who has opened the form."""
    browser = Browser(made.settings)
    browser.open_form()
    return browser


def _busy_load(stage: Stage, made: Site, visitors: list[Browser]) -> Load:
    """Measure while a worker sends; the new messages go to no device, or there would be more and more to send."""
    run = stage.service.new_run(_LATENCY)
    with made.app.app_context():
        workers.make_due(made, run, stage.scale.posting_pushes)
        rows.retire_devices()
        dispatch.publish("push.deliver")
    measured = load(visitors, lambda sent: sent >= _MOST or workers.nothing_is_due(made))
    servers.wait_until(lambda: workers.nothing_is_due(made), 120, "the last push")
    _check(run, stage.scale.posting_pushes)
    return measured


def _check(run: Run, pushes: int) -> None:
    arrivals = run.arrivals()
    if lost := arrivals.lost(pushes):
        raise RuntimeError(f"{lost} of {pushes} pushes were lost")


def load(
    visitors: list[Browser], over: Callable[[int], bool], send: Callable[[Browser], None] = Browser.send_message
) -> Load:
    """Let every visitor send one message after another until it is over; `over` gets the number of messages."""
    times: list[float] = []
    stop: list[bool] = []

    def keep_sending(visitor: Browser) -> None:
        visitor.reconnect()
        while not stop:
            started = time.perf_counter()
            send(visitor)
            times.append(time.perf_counter() - started)

    with ThreadPoolExecutor(len(visitors)) as pool:
        started = time.perf_counter()
        threads = [pool.submit(keep_sending, visitor) for visitor in visitors]
        while not over(len(times)) and not any(thread.done() for thread in threads):
            time.sleep(0.02)
        stop.append(True)
        for thread in threads:
            thread.result()
    return Load(time.perf_counter() - started, times)


def _row(stage: Stage, kind: Kind, state: str, loads: list[Load]) -> tuple[str, ...]:
    words = f"{stage.scale.posting_pushes:,} pushes in flight" if state == "busy" else "nothing else"
    requests = sum(len(load.times) for load in loads)
    p50 = median(1000 * median(load.times) for load in loads)
    rate, p99 = median(load.rate for load in loads), median(load.p99 for load in loads)
    return kind, words, f"{requests:,}", number(rate), number(p50), number(p99)


def _target(kind: Kind, ratio: float) -> Target:
    return Target(f"p99 of POST while pushes are in flight to idle, {kind}", ratio, "at most", 2, "x")
