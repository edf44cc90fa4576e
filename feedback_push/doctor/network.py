"""Ask the broker, the site itself and the push services at the same time, within a few seconds altogether.

The requests run in threads without the reader's language and without the database, so they only collect answers.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from flask import Flask, current_app

from feedback_push import health, http_client, site_path
from feedback_push.config import current_settings
from feedback_push.database import utcnow
from feedback_push.http_client import Answer, Failure
from feedback_push.push.browser_subscription import endpoint_policy
from feedback_push.webpush.endpoints import EndpointRefused

TIMEOUT = 4.0  # seconds for a request and its answer
_ALTOGETHER = 6.0  # seconds
_AT_ONCE = 8
SILENCE = "timeout"  # the reason of a request that has not ended
REFUSED = "refused"  # the host is not among the push services that this site knows
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Asked:
    """The answer to a request, or the reason why there is none; `ahead` is how far our clock is ahead of its own."""

    answer: Answer | None = None
    reason: str = ""
    ahead: float | None = None


@dataclass(frozen=True)
class Facts:
    """The answers from outside; `broker` is None if it works, and `services` are the push services by origin."""

    broker: str | None
    site: Asked
    scripts: dict[str, Asked] = field(default_factory=dict)  # the service workers by their scope
    services: dict[str, Asked] = field(default_factory=dict)


def collect(origins: list[str]) -> Facts:
    """Ask everything at once; what has not answered after _ALTOGETHER seconds counts as silent."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - Flask's documented way
    visitors = site_path.absolute_url("visitor.service_worker")
    addresses = {
        site_path.absolute_url("admin.inbox"): site_path.absolute_url("admin.service_worker"),
        visitors.rpartition("/")[0] + "/": visitors,
    }
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="doctor")
    try:
        broker = pool.submit(_inside, app, health.broker_problem)
        site = pool.submit(_inside, app, lambda: _ask(site_path.absolute_url("health.healthz"), is_own_site=True))
        scripts = {scope: _submit(pool, app, address, is_own_site=True) for scope, address in addresses.items()}
        services = {origin: _submit(pool, app, f"{origin}/", is_own_site=False) for origin in origins}
        everything: list[Future[Any]] = [broker, site, *scripts.values(), *services.values()]
        wait(everything, _ALTOGETHER)
        return Facts(
            broker.result() if broker.done() else "does not answer",
            _result(site),
            {scope: _result(future) for scope, future in scripts.items()},
            {origin: _result(future) for origin, future in services.items()},
        )
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _submit(pool: ThreadPoolExecutor, app: Flask, url: str, *, is_own_site: bool) -> "Future[Asked]":
    return pool.submit(_inside, app, lambda: _ask(url, is_own_site=is_own_site))


def _result(future: "Future[Asked]") -> Asked:
    return future.result() if future.done() else Asked(reason=SILENCE)


def _inside(app: Flask, ask: Callable[[], _Found]) -> _Found:
    with app.app_context():
        return ask()


def _ask(url: str, *, is_own_site: bool) -> Asked:
    started = time.monotonic()
    try:
        if not is_own_site:
            endpoint_policy(current_settings()).check(url)
        answer = http_client.probe(url, TIMEOUT, is_own_site=is_own_site)
    except EndpointRefused:
        return Asked(reason=REFUSED)
    except Failure as failure:
        return Asked(reason=failure.reason.value)
    return Asked(answer, ahead=_ahead(answer, time.monotonic() - started))


def _ahead(answer: Answer, took: float) -> float | None:
    """Return by how many seconds our clock is ahead of the server's; the header has whole seconds."""
    try:
        theirs: datetime = parsedate_to_datetime(answer.headers["date"])
        return (utcnow() - theirs).total_seconds() - took / 2 - 0.5
    except (KeyError, ValueError, TypeError):
        return None
