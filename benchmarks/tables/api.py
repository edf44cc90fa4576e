"""Measure how fast the API takes messages, next to the form's own page on the same site."""

from dataclasses import asdict
from statistics import median

from benchmarks import launcher, site
from benchmarks.browser import Browser
from benchmarks.report import Table, Target, number
from benchmarks.site import KINDS, Kind
from benchmarks.stage import Stage
from benchmarks.tables import posting
from benchmarks.tables.posting import Load

_WAYS = {"POST /feedback/": Browser.send_message, "POST /api/v1/forms/default/messages": Browser.send_json}
_FORM, _API = _WAYS
_SHARE = 0.9  # of the form's requests a second


def measure(stage: Stage) -> Table:
    """Measure on both databases, in turns the form and the API."""
    found: dict[tuple[Kind, str], list[Load]] = {(kind, way): [] for kind in KINDS for way in _WAYS}
    for kind in KINDS:
        with site.made(stage, kind) as made, launcher.running(stage, made.settings):
            launcher.wait_until_ready(made.settings)
            visitors = [posting.visitor(made) for _ in range(posting.VISITORS)]
            for _ in range(stage.scale.posting_rounds):
                for way, send in _WAYS.items():
                    found[kind, way].append(posting.load(visitors, lambda sent: sent >= stage.scale.posts, send))
    rates = {key: median(load.rate for load in loads) for key, loads in found.items()}
    return Table(
        name="api",
        title=f"Messages through the API and the form: {posting.VISITORS} visitors, each one request after another",
        columns=("database", "request", "requests", "requests/s", "p50 ms", "p99 ms"),
        rows=[_row(*key, loads) for key, loads in found.items()],
        targets=[_target(kind, rates[kind, _API] / rates[kind, _FORM]) for kind in KINDS],
        data={" ".join(key): [asdict(load) for load in loads] for key, loads in found.items()},
    )


def _row(kind: Kind, way: str, loads: list[Load]) -> tuple[str, ...]:
    requests = sum(len(load.times) for load in loads)
    p50 = median(1000 * median(load.times) for load in loads)
    rate, p99 = median(load.rate for load in loads), median(load.p99 for load in loads)
    return kind, way, f"{requests:,}", number(rate), number(p50), number(p99)


def _target(kind: Kind, ratio: float) -> Target:
    return Target(f"requests a second of the API to the form, {kind}", ratio, "at least", _SHARE, "x")
