"""Measure the inbox page with few and with very many messages."""

import time
from contextlib import ExitStack
from statistics import median

from benchmarks import launcher, rows, sample, site
from benchmarks.browser import Browser
from benchmarks.report import Table, Target, number
from benchmarks.site import KINDS, Kind
from benchmarks.stage import Stage

_FLAT = 1.5
_Found = dict[tuple[Kind, int], list[float]]


def measure(stage: Stage) -> Table:
    """Run sites of both sizes at the same time and ask them in turns, on one database after the other."""
    few, many = stage.scale.messages
    found: _Found = {(kind, size): [] for kind in KINDS for size in (few, many)}
    for kind in KINDS:
        _ask(stage, kind, found)
    medians = {key: median(times) for key, times in found.items()}
    return Table(
        name="inbox",
        title="The inbox page, signed in, one request after another",
        columns=("database", "messages", "requests", "p50 ms", "p99 ms"),
        rows=[_row(*key, times) for key, times in found.items()],
        targets=[
            Target(
                f"inbox at {many:,} messages to {few:,}, {kind}",
                medians[kind, many] / medians[kind, few], "at most", _FLAT, "x",
            )
            for kind in KINDS
        ],
        data={f"{kind} {size}": times for (kind, size), times in found.items()},
    )  # fmt: skip


def _ask(stage: Stage, kind: Kind, found: _Found) -> None:
    with ExitStack() as stack:
        browsers = {size: _signed_in(stage, stack, kind, size) for size in stage.scale.messages}
        for _ in range(stage.scale.rounds):
            for size, browser in browsers.items():
                browser.reconnect()
                for _ in range(stage.scale.pages):
                    started = time.perf_counter()
                    browser.open_inbox()
                    found[kind, size].append(time.perf_counter() - started)


def _signed_in(stage: Stage, stack: ExitStack, kind: Kind, size: int) -> Browser:
    made = stack.enter_context(site.made(stage, kind, embedded_broker=True))
    with made.app.app_context():
        rows.add_messages(size)
    stack.enter_context(launcher.running(stage, made.settings))
    browser = Browser(made.settings)
    browser.sign_in()
    assert "Ada Lovelace" in browser.open_inbox()
    return browser


def _row(kind: Kind, size: int, times: list[float]) -> tuple[str, ...]:
    p50, p99 = median(times), sample.percentile(times, 99)
    return kind, f"{size:,}", f"{len(times):,}", number(1000 * p50), number(1000 * p99)
