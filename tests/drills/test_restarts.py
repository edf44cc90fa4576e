"""Restart a busy site again and again, as an operator does: no request and no notification is lost or doubled."""

import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from feedback_push.push.models import DeliveryState
from tests import servers, service_manager
from tests.conftest import make_settings
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.drills.harness import report
from tests.drills.load import Load, busy
from tests.environment import environment_of
from tests.flow.deliveries import states, subscribe_many, wait_until_final
from tests.program import Program
from tests.site import Site
from tests.standalone.launching import READY

_STEADY = 0.5  # seconds between two restarts
_ROUNDS = 2
_SLOW = pytest.mark.timeout(170)  # on a busy machine, on which the programs start slowly


@contextmanager
def new_site(database_url: str, redis_url: str, folder: Path) -> Iterator[tuple[Site, socket.socket]]:
    """Yield a site of which nothing runs, and its socket, which listens as long as the block lasts."""
    with (
        Site(make_settings(database_url, redis_url, folder)) as site,
        socket.create_server(("127.0.0.1", site.settings.port), backlog=1024) as listener,
    ):
        yield site, listener


@_SLOW
def test_restarts_of_the_web_server_and_of_workers_lose_nothing(
    fresh_postgresql_url: str, own_redis_url: str, tmp_path: Path, service: PushService
) -> None:
    with new_site(fresh_postgresql_url, own_redis_url, tmp_path) as (site, listener):
        [device] = subscribe_many(site, service, 1)
        web, worker = _run(site, "web", listener), _work(site)
        with busy(site.url) as load:
            for _ in range(_ROUNDS):
                _wait_for_answers(load)
                web.terminate()
                web = _run(site, "web", listener)
                _wait_for_answers(load)
                worker.terminate()
                worker = _work(site)
            _wait_for_answers(load)
        _find_nothing_lost(f"{2 * _ROUNDS} restarts with PostgreSQL", site, load, device)
        for program in (web, worker):
            program.terminate()


@_SLOW
def test_restarts_of_the_launcher_and_of_its_parts_lose_nothing(
    sqlite_url: str, tmp_path: Path, service: PushService
) -> None:
    with new_site(sqlite_url, "", tmp_path) as (site, listener):
        [device] = subscribe_many(site, service, 1)
        launcher = _launch(site, listener)
        with busy(site.url) as load:
            for part in ("web server", "worker"):
                _wait_for_answers(load)
                _restart(launcher, part)
                _wait_for_answers(load)
                launcher.terminate()
                launcher = _launch(site, listener)
            _wait_for_answers(load)
        _find_nothing_lost("4 restarts with the launcher", site, load, device)
        launcher.terminate()


def _wait_for_answers(load: Load) -> None:
    """Wait until the site is busy again, and let it be so for a while."""
    before = load.answered
    servers.wait_until(lambda: load.answered > before + 20, what="the visitors' answers")
    time.sleep(_STEADY)


def _find_nothing_lost(title: str, site: Site, load: Load, device: Device) -> None:
    wait_until_final(site)
    pushed = Counter(push.json()["notification"]["body"].strip("\u2068\u2069") for push in device.pushes)
    doubled = {content: count for content, count in pushed.items() if count > 1}
    missing = load.contents - pushed.keys()
    losses = dict(load.losses)
    report(title, f"{load.answered} requests, {len(load.contents)} of them posts, {pushed.total()} notifications")
    assert losses == {}
    assert (missing, doubled) == (set(), {})
    assert states(site) == {DeliveryState.ACCEPTED: len(load.contents)}
    assert min(outcomes.total() for outcomes in load.outcomes.values()) > _ROUNDS, "a visitor was kept out"
    assert len(load.contents) > 100


def _run(site: Site, program: str, listener: socket.socket | None, *options: str, ready: str = "") -> Program:
    """Run a program as its unit does; with a listening socket, as systemd does that has a unit for the socket.

    Wait until it has written `ready`.
    """
    command = [sys.executable, "-m", "feedback_push", program, *options]
    files: tuple[int, ...] = ()
    if listener:
        command = service_manager.command(listener, "-m", "feedback_push", program, *options)
        files = (listener.fileno(),)
    log = site.settings.instance_dir / f"{program}.log"
    written = len(log.read_text()) if log.exists() else 0
    running = Program(command, log, environment_of(site.settings), files=files)
    servers.wait_until(lambda: ready in running.log[written:] or not running.is_alive, what=f"the start of {program}")
    assert running.is_alive, running.log
    return running


def _work(site: Site) -> Program:
    return _run(site, "worker", None, "--loglevel", "INFO", ready=" ready.")


def _launch(site: Site, listener: socket.socket) -> Program:
    return _run(site, "run", listener, ready=READY)


def _restart(launcher: Program, name: str) -> None:
    """End a part of the launcher, as its crash or an operator's `kill` does, and wait for its successor."""

    def parts() -> list[psutil.Process]:
        return [each for each in launcher.family() if _name(each) == name]

    [before] = parts()
    before.terminate()
    servers.wait_until(lambda: any(each.pid != before.pid for each in parts()), what=f"the restart of the {name}")


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""
