"""Run a drill: measure visitors on an idle and on an attacked site, print both, and compare them with the limits."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import Any

from tests.drills.visitors import Experience, visit
from tests.site import Site

Attack = Callable[..., None]
_IDLE_SECONDS = 2.0
_WORST_MEDIAN = 0.3  # seconds, or _TIMES_IDLE times the idle median if that is longer
_WORST_P95 = 1.0
_TIMES_IDLE = 5
_BEGINS_WITHIN = 20.0  # seconds

_processes = multiprocessing.get_context("spawn")


def drill(title: str, site: Site, attack: Attack, *arguments: Any, seconds: float = 4.0) -> Experience:
    """Measure visitors under the attack and return the result; fail if they wait much longer than when idle."""
    idle = visit(site, _IDLE_SECONDS)
    with attacking(site, attack, *arguments):
        attacked = visit(site, seconds)
    report(title, f"idle {idle} · attacked {attacked}")
    assert not idle.refused
    assert not attacked.refused, title
    assert attacked.median < max(_WORST_MEDIAN, _TIMES_IDLE * idle.median), title
    assert attacked.p95 < max(_WORST_P95, _TIMES_IDLE * idle.p95), title
    return attacked


@contextmanager
def attacking(site: Site, attack: Attack, *arguments: Any) -> Iterator[None]:
    """Run the attack in another process during the block; fail if the attack fails."""
    begun, over = _processes.Event(), _processes.Event()
    process = _processes.Process(target=attack, args=(site.settings.port, begun, over, *arguments), daemon=True)
    process.start()
    try:
        _wait(process, begun)
        yield
    finally:
        over.set()
        process.join(_BEGINS_WITHIN)
        process.kill()
    assert process.exitcode == 0, f"the attack ended with {process.exitcode}"


def report(title: str, figures: str) -> None:
    """Print the one line of a drill: median / 95th percentile in seconds."""
    print(f"\n{title}: {figures}", flush=True)


def _wait(process: Any, begun: Event) -> None:
    if not begun.wait(_BEGINS_WITHIN):
        raise TimeoutError(f"the attack did not begin; exit code {process.exitcode}")
