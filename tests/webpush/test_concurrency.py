"""concurrency.py: no more requests in flight than a push service bears, and no job waits for long."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_push.webpush import concurrency
from feedback_push.webpush.concurrency import OriginQueue
from feedback_push.webpush.responses import Gone, Misconfigured, PushError, Rejected, Throttled, Unavailable

MANY = 100
_OUTCOMES: list[PushError | None] = [None, Gone(410), Throttled(429), Unavailable()]


def _queue(most: int = 8, jobs: int = MANY) -> OriginQueue[int]:
    queue: OriginQueue[int] = OriginQueue(most)
    for job in range(jobs):
        queue.put(job)
    return queue


def _room_after(*errors: PushError | None) -> int:
    """Return the limit of a queue for 8 after these results."""
    queue = _queue()
    for error in errors:
        queue.take(1)
        queue.finish(error)
    return len(queue.take(MANY))


def test_no_more_are_taken_than_the_limit_allows() -> None:
    queue = _queue()
    assert queue.take(MANY) == list(range(8))
    assert queue.take(MANY) == []


def test_fewer_are_returned_on_request() -> None:
    queue = _queue()
    assert [queue.take(3), queue.take(3), queue.take(3)] == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_a_released_place_goes_to_the_first_waiting_caller() -> None:
    queue = _queue(most=1)
    queue.take(1)
    queue.finish(None)
    assert queue.take(MANY) == [1]


def test_a_job_that_overtakes_goes_before_all_that_do_not() -> None:
    queue = _queue(most=4, jobs=3)
    for job in (10, 11):
        queue.put(job, overtakes=True)
    assert queue.peek(3) == [10, 11, 0]
    assert queue.take(MANY) == [10, 11, 0, 1]
    assert queue.take_all() == [2]


@pytest.mark.parametrize("complaint", [Throttled(429), Unavailable(503)])
def test_a_complaint_halves_the_queue(complaint: PushError) -> None:
    assert _room_after(complaint) == 4


@pytest.mark.parametrize("error", [Gone(410), Rejected(400), Misconfigured(403)])
def test_any_other_refusal_leaves_the_limit_unchanged(error: PushError) -> None:
    assert _room_after(error) == 8


def test_complaints_in_the_same_moment_count_once() -> None:
    assert _room_after(*[Throttled(429)] * 5) == 4


def test_the_limit_never_falls_to_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "_BETWEEN_CUTS", -1.0)
    assert _room_after(*[Throttled(429)] * 20) == 1


def test_each_success_raises_a_lowered_limit_by_one_up_to_its_maximum() -> None:
    assert _room_after(Throttled(429), None, None) == 6
    assert _room_after(Throttled(429), *[None] * 20) == 8


def test_a_service_that_has_answered_nothing_yet_gets_few_and_then_twice_as_many_with_each_round() -> None:
    queue = _queue(most=200, jobs=1000)
    rounds = []
    for _ in range(4):
        rounds.append(len(queue.take(1000)))
        for _ in range(rounds[-1]):
            queue.finish(None)
    assert rounds == [32, 64, 128, 200]


def test_nobody_waits_long_for_a_service_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = _queue()
    queue.take(MANY)
    assert queue.take_overdue() == []
    monkeypatch.setattr(concurrency, "_SILENCE", -1.0)
    assert queue.take_overdue() == list(range(8, MANY))


def test_a_service_that_pauses_is_silent_once_all_its_turns_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = _queue()
    monkeypatch.setattr(concurrency, "_PAUSE", -1.0)
    queue.take(7)
    assert not queue.is_silent
    queue.take(1)
    assert queue.is_silent
    monkeypatch.undo()
    assert not queue.is_silent


def test_a_timeout_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "_PAUSE", 0.05)
    queue = _queue()
    queue.take(MANY)
    time.sleep(0.1)
    queue.finish(Unavailable())
    assert queue.take(MANY) == []
    assert queue.is_silent
    queue.finish(Unavailable(503))
    queue.take(MANY)
    assert not queue.is_silent


def test_silence_begins_with_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "_SILENCE", 0.05)
    queue = _queue(jobs=1)
    queue.take(1)
    queue.finish(None)
    time.sleep(0.1)
    queue.put(2)
    queue.put(3)
    assert queue.take_overdue() == []
    assert queue.take(1) == [2]
    assert queue.take_overdue() == []


def test_while_a_service_answers_others_wait_as_long_as_their_patience_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = _queue()
    queue.take(MANY)
    queue.finish(None)
    monkeypatch.setattr(concurrency, "_PATIENCE", -1.0)
    assert queue.take_overdue() == []
    assert queue.take(MANY) == [8]
    assert queue.take_overdue() == list(range(9, MANY))


def test_waiting_jobs_can_be_removed_at_once() -> None:
    queue = _queue()
    queue.take(MANY)
    assert queue.take_all() == list(range(8, MANY))
    assert queue.take_all() == []


def test_a_queue_returns_the_time_until_its_next_check() -> None:
    queue = _queue(jobs=9)
    assert queue.wait == 0
    queue.take(MANY)
    assert 0 < queue.wait <= 1
    queue.finish(None)
    assert queue.wait == 0
    queue.take(MANY)
    assert queue.wait > 1e9


@given(st.lists(st.sampled_from(["put", "take", "finish", "take_overdue"])), st.lists(st.sampled_from(_OUTCOMES)))
def test_every_job_comes_out_once_and_the_width_is_kept(steps: list[str], outcomes: list[PushError | None]) -> None:
    queue: OriginQueue[int] = OriginQueue(3)
    put = in_flight = 0
    came_out: list[int] = []
    for step in steps:
        if step == "put":
            queue.put(put)
            put += 1
        elif step == "finish" and in_flight:
            queue.finish(outcomes.pop() if outcomes else None)
            in_flight -= 1
        elif step == "take":
            taken = queue.take(2)
            in_flight += len(taken)
            came_out += taken
        elif step == "take_overdue":
            came_out += queue.take_overdue()
        assert in_flight <= 3
    assert came_out + queue.take_all() == list(range(put))
