"""Lanes: no more requests at once than a push service bears, and nobody waits for long."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_push.push import lanes
from feedback_push.push.errors import Gone, Misconfigured, PushError, Rejected, Throttled, Unavailable
from feedback_push.push.lanes import Lane

MANY = 100
_OUTCOMES: list[PushError | None] = [None, Gone(410), Throttled(429), Unavailable()]


def _lane(most: int = 8, jobs: int = MANY) -> Lane[int]:
    lane: Lane[int] = Lane(most)
    for job in range(jobs):
        lane.put(job)
    return lane


def _room_after(*errors: PushError | None) -> int:
    """How many may be under way in a lane for 8 once these have left it."""
    lane = _lane()
    for error in errors:
        lane.take(1)
        lane.leave(error)
    return len(lane.take(MANY))


def test_no_more_have_their_turn_than_the_lane_is_wide() -> None:
    lane = _lane()
    assert lane.take(MANY) == list(range(8))
    assert lane.take(MANY) == []


def test_who_asks_for_fewer_gets_fewer() -> None:
    lane = _lane()
    assert [lane.take(3), lane.take(3), lane.take(3)] == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_who_leaves_lets_the_first_in_line_in() -> None:
    lane = _lane(most=1)
    lane.take(1)
    lane.leave(None)
    assert lane.take(MANY) == [1]


@pytest.mark.parametrize("complaint", [Throttled(429), Unavailable(503)])
def test_a_complaint_halves_the_lane(complaint: PushError) -> None:
    assert _room_after(complaint) == 4


@pytest.mark.parametrize("error", [Gone(410), Rejected(400), Misconfigured(403)])
def test_any_other_refusal_leaves_the_lane_as_it_is(error: PushError) -> None:
    assert _room_after(error) == 8


def test_complaints_in_the_same_moment_count_once() -> None:
    assert _room_after(*[Throttled(429)] * 5) == 4


def test_a_lane_never_closes_altogether(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_BETWEEN_CUTS", -1.0)
    assert _room_after(*[Throttled(429)] * 20) == 1


def test_each_success_widens_a_narrowed_lane_by_one_up_to_its_full_width() -> None:
    assert _room_after(Throttled(429), None, None) == 6
    assert _room_after(Throttled(429), *[None] * 20) == 8


def test_a_service_that_has_answered_nothing_yet_gets_few_and_then_twice_as_many_with_each_round() -> None:
    lane = _lane(most=200, jobs=1000)
    rounds = []
    for _ in range(4):
        rounds.append(len(lane.take(1000)))
        for _ in range(rounds[-1]):
            lane.leave(None)
    assert rounds == [32, 64, 128, 200]


def test_nobody_waits_long_for_a_service_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = _lane()
    lane.take(MANY)
    assert lane.give_up() == []
    monkeypatch.setattr(lanes, "_SILENCE", -1.0)
    assert lane.give_up() == list(range(8, MANY))


def test_a_service_that_pauses_is_silent_once_all_its_turns_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = _lane()
    monkeypatch.setattr(lanes, "_PAUSE", -1.0)
    lane.take(7)
    assert not lane.is_silent
    lane.take(1)
    assert lane.is_silent
    monkeypatch.undo()
    assert not lane.is_silent


def test_a_timeout_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_PAUSE", 0.05)
    lane = _lane()
    lane.take(MANY)
    time.sleep(0.1)
    lane.leave(Unavailable())
    assert lane.take(MANY) == []
    assert lane.is_silent
    lane.leave(Unavailable(503))
    lane.take(MANY)
    assert not lane.is_silent


def test_silence_begins_with_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_SILENCE", 0.05)
    lane = _lane(jobs=1)
    lane.take(1)
    lane.leave(None)
    time.sleep(0.1)
    lane.put(2)
    lane.put(3)
    assert lane.give_up() == []
    assert lane.take(1) == [2]
    assert lane.give_up() == []


def test_while_a_service_answers_others_wait_as_long_as_their_patience_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = _lane()
    lane.take(MANY)
    lane.leave(None)
    monkeypatch.setattr(lanes, "_PATIENCE", -1.0)
    assert lane.give_up() == []
    assert lane.take(MANY) == [8]
    assert lane.give_up() == list(range(9, MANY))


def test_what_waits_can_be_taken_out_at_once() -> None:
    lane = _lane()
    lane.take(MANY)
    assert lane.clear() == list(range(8, MANY))
    assert lane.clear() == []


def test_a_lane_says_when_it_wants_to_be_looked_at() -> None:
    lane = _lane(jobs=9)
    assert lane.wait == 0
    lane.take(MANY)
    assert 0 < lane.wait <= 1
    lane.leave(None)
    assert lane.wait == 0
    lane.take(MANY)
    assert lane.wait > 1e9


@given(st.lists(st.sampled_from(["put", "take", "leave", "give_up"])), st.lists(st.sampled_from(_OUTCOMES)))
def test_every_job_comes_out_once_and_the_width_is_kept(steps: list[str], outcomes: list[PushError | None]) -> None:
    lane: Lane[int] = Lane(3)
    put = under_way = 0
    came_out: list[int] = []
    for step in steps:
        if step == "put":
            lane.put(put)
            put += 1
        elif step == "leave" and under_way:
            lane.leave(outcomes.pop() if outcomes else None)
            under_way -= 1
        elif step == "take":
            taken = lane.take(2)
            under_way += len(taken)
            came_out += taken
        elif step == "give_up":
            came_out += lane.give_up()
        assert under_way <= 3
    assert came_out + lane.clear() == list(range(put))
