"""Lanes: no more requests at once than a push service bears, and nobody waits for long."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from feedback_push.push import lanes
from feedback_push.push.errors import Gone, Misconfigured, Postponed, PushError, Rejected, Throttled, Unavailable
from feedback_push.push.lanes import Lane


async def _fits(lane: Lane) -> int:
    """How many may enter before somebody has to wait; they stay inside."""
    inside = 0
    while await _enters_at_once(lane):
        inside += 1
    return inside


async def _enters_at_once(lane: Lane) -> bool:
    entering = asyncio.ensure_future(lane.enter())
    await asyncio.sleep(0)
    if entering.done():
        await entering
        return True
    entering.cancel()
    return False


def _run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 10))


def _limit_after(*errors: PushError | None, most: int = 8) -> int:
    """What fits into a lane for `most` once these have left it."""

    async def measure() -> int:
        lane = Lane(most)
        for error in errors:
            await lane.enter()
            lane.leave(error)
        return await _fits(lane)

    return asyncio.run(measure())


def test_no_more_enter_than_the_lane_is_wide() -> None:
    assert _limit_after() == 8


@pytest.mark.parametrize("complaint", [Throttled(429), Unavailable(503)])
def test_a_complaint_halves_the_lane(complaint: PushError) -> None:
    assert _limit_after(complaint) == 4


@pytest.mark.parametrize("error", [Gone(410), Rejected(400), Misconfigured(403)])
def test_any_other_refusal_leaves_the_lane_as_it_is(error: PushError) -> None:
    assert _limit_after(error) == 8


def test_complaints_in_the_same_moment_count_once() -> None:
    assert _limit_after(*[Throttled(429)] * 5) == 4


def test_a_lane_never_closes_altogether(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_BETWEEN_CUTS", -1.0)
    assert _limit_after(*[Throttled(429)] * 20) == 1


def test_each_success_widens_a_narrowed_lane_by_one_up_to_its_full_width() -> None:
    assert _limit_after(Throttled(429), None, None) == 6
    assert _limit_after(Throttled(429), *[None] * 20) == 8


def test_who_leaves_lets_the_first_in_line_in() -> None:
    async def test() -> None:
        lane = Lane(1)
        await lane.enter()
        order: list[int] = []

        async def pass_through(number: int) -> None:
            await lane.enter()
            order.append(number)
            lane.leave(None)

        waiting = [asyncio.create_task(pass_through(number)) for number in range(5)]
        await asyncio.sleep(0)
        lane.leave(None)
        await asyncio.gather(*waiting)
        assert order == [0, 1, 2, 3, 4]

    _run(test())


def test_nobody_waits_long_for_a_service_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_SILENCE", 0.02)

    async def test() -> None:
        lane = Lane(2)
        await lane.enter()
        await lane.enter()
        started = time.monotonic()
        waiting = [asyncio.create_task(lane.enter()) for _ in range(3)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert time.monotonic() - started < 1
        assert [type(result) for result in results] == [Postponed] * 3
        lane.leave(None)
        lane.leave(None)
        assert await _fits(lane) == 2

    _run(test())


@pytest.mark.parametrize(("patience", "outcome"), [(5.0, "its turn"), (0.2, "sent back")])
def test_while_a_service_answers_others_wait_as_long_as_their_patience_lasts(
    monkeypatch: pytest.MonkeyPatch, patience: float, outcome: str
) -> None:
    monkeypatch.setattr(lanes, "_SILENCE", 0.1)
    monkeypatch.setattr(lanes, "_PATIENCE", patience)

    async def wait_in_line(lane: Lane) -> str:
        try:
            await lane.enter()
        except Postponed:
            return "sent back"
        return "its turn"

    async def test() -> None:
        lane = Lane(1)
        await lane.enter()
        line = [asyncio.create_task(wait_in_line(lane)) for _ in range(20)]
        for _ in range(20):
            await asyncio.sleep(0.03)
            lane.leave(None)
        assert await line[-1] == outcome

    _run(test())


def test_a_turn_that_comes_when_patience_ends_is_neither_lost_nor_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_PATIENCE", 0.001)
    monkeypatch.setattr(lanes, "_SILENCE", 0.001)

    async def visit(lane: Lane) -> None:
        try:
            await lane.enter()
        except Postponed:
            return
        await asyncio.sleep(0.001)
        lane.leave(None)

    async def test() -> None:
        lane = Lane(3)
        await asyncio.gather(*(visit(lane) for _ in range(500)))
        assert await _fits(lane) == 3

    _run(test())
