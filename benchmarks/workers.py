"""Run real Celery workers, and time them from the published task to the last recorded result."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import psutil

from benchmarks import devices, processes, rows, sample
from benchmarks.push_service import Run
from benchmarks.sample import Sample
from benchmarks.site import Site, environment
from benchmarks.stage import Stage
from feedback_push import dispatch
from feedback_push.database import db
from feedback_push.push import fanout, outbox
from tests import servers

_LONGEST = 3_600.0  # seconds, for a million devices on a busy machine
_NOTHING_DUE = "NOT EXISTS (SELECT 1 FROM push_delivery WHERE due_at IS NOT NULL)"
SETTLED = f"SELECT NOT EXISTS (SELECT 1 FROM push_outbox WHERE fanned_out_at IS NULL) AND {_NOTHING_DUE}"  # noqa: S608
ACCEPTED = "SELECT count(*) FROM push_delivery WHERE state = 'accepted'"
_WARM_UP = 800  # devices for each worker: as many as one takes at once


@dataclass(frozen=True)
class Workers:
    """A number of `celery worker` commands, each a process with one child."""

    site: Site
    members: list[psutil.Process]


@contextmanager
def running(stage: Stage, site: Site, number: int, *, is_first: bool = True) -> Iterator[Workers]:
    """Start workers, wait until they answer, and let each send something, unless others have begun before."""
    with ExitStack() as stack:
        names = [f"worker{n}" if is_first else f"next{n}" for n in range(number)]
        started = [stack.enter_context(_worker(stage, site, name)) for name in names]
        servers.wait_until(lambda: _answering(site) >= number, 60, "the workers' start")
        workers = Workers(site, [member for pid in started for member in processes.family(pid)])
        if is_first:
            with site.app.app_context():
                _warm_up(stage, workers, number)
        yield workers


def push_to_all(workers: Workers, run: Run, number: int) -> Sample:
    """Send one notification to this many devices; time it from the published task to the last recorded result."""
    site = workers.site
    with site.app.app_context():
        rows.replace_devices(run.prefix, number, site.settings.vapid_public_key)
        taken = sample.take(run, workers.members, number, partial(_publish, workers, _enqueue()))
    return replace(taken, lost=max(taken.lost, number - site.reader.value(ACCEPTED)))


def push_and_wait(workers: Workers, accepted: int) -> float:
    """Send one notification to all devices; return the seconds from the published task to this many results."""
    entry_id = _enqueue()
    started = time.perf_counter()
    outbox.wake(entry_id)
    servers.wait_until(lambda: workers.site.reader.value(ACCEPTED) >= accepted, _LONGEST, "the last result")
    return time.perf_counter() - started


def wait_until_settled(workers: Workers) -> None:
    """Return when every notification is fanned out and every delivery has its final state."""

    def settled() -> bool:
        if not all(processes.is_alive(member) for member in workers.members):
            raise RuntimeError("a worker has ended before its work was done")
        return bool(workers.site.reader.value(SETTLED))

    servers.wait_until(settled, _LONGEST, "the last result")


def make_due(site: Site, run: Run, number: int) -> None:
    """Make deliveries to this many devices and publish no task; needs an application context."""
    rows.replace_devices(run.prefix, number, site.settings.vapid_public_key)
    entry_id = _enqueue()
    # A worker's sweep may have found the entry and locked it.
    while not site.reader.value(f"SELECT fanned_out_at IS NOT NULL FROM push_outbox WHERE id = {entry_id}"):  # noqa: S608
        fanout.next_set(entry_id, site.settings.vapid_public_key)
        db.session.commit()


def nothing_is_due(site: Site) -> bool:
    """Return whether every delivery has its final state."""
    return bool(site.reader.value(f"SELECT {_NOTHING_DUE}"))


def _enqueue() -> int:
    entry = outbox.enqueue(devices.NOTE)
    db.session.flush()
    entry_id = entry.id  # reading it after the commit would begin a transaction, and SQLite's writers would wait
    db.session.commit()
    return entry_id


def _publish(workers: Workers, entry_id: int) -> float:
    started = time.perf_counter()
    outbox.wake(entry_id)
    wait_until_settled(workers)
    return time.perf_counter() - started


def _warm_up(stage: Stage, workers: Workers, number: int) -> None:
    """Open every worker's connections: each gets a share, because no worker is fast enough to take two."""
    run = stage.service.new_run(50)
    make_due(workers.site, run, number * _WARM_UP)
    for _ in range(number):
        dispatch.publish("push.deliver")
    wait_until_settled(workers)
    run.arrivals()


@contextmanager
def _worker(stage: Stage, site: Site, name: str) -> Iterator[int]:
    options = ["--pool", "prefork", "--concurrency", "1", "--hostname", f"{name}@%h", "--loglevel", "WARNING"]
    # Celery's long warning to root is about pickled tasks; ours are JSON.
    celery = [sys.executable, "-W", "ignore:You're running the worker", "-m", "celery", "--quiet"]
    command = [*celery, "--app", "celery_worker", "worker", *options]
    log = site.settings.instance_dir / f"{name}.log"
    with servers.running(command, log, environment=environment(stage, site.settings)) as process:
        yield process.pid


def _answering(site: Site) -> int:
    return len(site.app.extensions["celery"].control.ping(timeout=0.5) or ())
