"""Held origins: a push service that refuses our signature gets one probe at a time, until it takes one."""

from datetime import datetime, timedelta

from flask import Flask

from feedback_push.database import db, utcnow
from feedback_push.push import circuit_breaker
from feedback_push.push.models import OpenCircuit
from feedback_push.webpush.responses import Misconfigured
from tests.push.notes import time_passes
from tests.push.workers import side_by_side

ORIGIN = "https://web.push.apple.com"
OTHER = "https://fcm.googleapis.com"
HOLD = circuit_breaker.OPEN_FOR.total_seconds()


def _hold(origin: str = ORIGIN, detail: str = "BadJwtToken") -> datetime:
    now = utcnow()
    circuit_breaker.trip(origin, Misconfigured(403, detail), now)
    db.session.commit()
    return now


def _take_probe(origin: str = ORIGIN) -> bool:
    taken = circuit_breaker.try_half_open(origin, utcnow())
    db.session.commit()
    return taken


def test_a_held_origin_is_listed_with_the_reason(app: Flask) -> None:
    now = _hold()
    _hold(OTHER, "UnauthorizedRegistration")
    other, held = circuit_breaker.open_circuits()
    assert (held.origin, held.status, held.detail) == (ORIGIN, 403, "BadJwtToken")
    assert held.held_until == now + circuit_breaker.OPEN_FOR
    assert other.origin == OTHER


def test_holding_again_keeps_the_newest_reason_and_starts_anew(any_app: Flask) -> None:
    _hold()
    time_passes(HOLD)
    now = _hold(detail="ExpiredToken")
    [held] = circuit_breaker.open_circuits()
    assert (held.detail, held.held_until) == ("ExpiredToken", now + circuit_breaker.OPEN_FOR)


def test_the_first_probe_may_go_when_the_hold_is_over_and_the_next_one_a_hold_later(app: Flask) -> None:
    _hold()
    assert not _take_probe()
    time_passes(HOLD - 5)
    assert not _take_probe()
    time_passes(5)
    assert _take_probe()
    assert not _take_probe()
    time_passes(HOLD)
    assert _take_probe()


def test_an_origin_that_is_not_held_has_no_probes(app: Flask) -> None:
    _hold()
    time_passes(HOLD)
    assert not _take_probe(OTHER)


def test_of_workers_that_ask_at_once_one_may_probe(any_app: Flask) -> None:
    _hold()
    time_passes(HOLD)
    assert sorted(side_by_side(any_app, 6, _take_probe)) == [False] * 5 + [True]


def test_workers_may_hold_the_same_origin_at_once(any_app: Flask) -> None:
    side_by_side(any_app, 6, _hold)
    assert db.session.query(OpenCircuit).count() == 1


def test_a_released_origin_is_no_longer_held(app: Flask) -> None:
    _hold()
    _hold(OTHER)
    circuit_breaker.close([ORIGIN, "https://nobody.example"])
    db.session.commit()
    assert [held.origin for held in circuit_breaker.open_circuits()] == [OTHER]
    circuit_breaker.close([])
    assert [held.origin for held in circuit_breaker.open_circuits()] == [OTHER]


def test_the_others_look_again_well_before_the_next_probe() -> None:
    assert timedelta() < circuit_breaker.BETWEEN_LOOKS < circuit_breaker.OPEN_FOR / 2
