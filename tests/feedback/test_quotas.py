"""feedback/quotas.py and difficulty.py: floods cost their senders more and more, and never close the form."""

import shutil
from collections import Counter
from typing import Any
from uuid import uuid4

import altcha
import pytest
from flask import Flask
from limits import RateLimitItemPerMinute
from sqlalchemy import select

from feedback_push.database import db
from feedback_push.feedback import daily_counts, difficulty, quotas
from feedback_push.feedback.daily_counts import Count
from feedback_push.feedback.models import Message, MessageState
from feedback_push.feedback.proof_of_work import GRACE
from feedback_push.feedback.quotas import LARGE, Quota
from tests.feedback.proofs import solved
from tests.feedback.trapped_form import ARRIVED, ASKED, THANKED, TYPED, Pass, opened, send, stored
from tests.visits import Page, Visit, Visitor

HELD = (303, "/feedback/complete/?held=1")


@pytest.fixture
def here() -> str:
    """A /48 that no other test has."""
    return f"2001:db8:{uuid4().hex[:4]}"


@pytest.fixture
def visitor(visit: Visit, here: str) -> Visitor:
    """A visitor of a form with traps and quotas."""
    return at(visit(form_defence=True, ratelimit_enabled=True), f"{here}:1::1")


def at(visitor: Visitor, address: str) -> Visitor:
    visitor.environ_base["REMOTE_ADDR"] = address
    return visitor


def of(app: Flask, address: str) -> Visitor:
    """Return another browser at this address."""
    return at(Visitor(app), address)


def prepared(visitor: Visitor, let_pass: Pass) -> dict[str, str]:
    form = opened(visitor)
    let_pass(3)
    return form


def level(visitor: Visitor) -> Any:
    return visitor.get("/feedback/challenge").get_json()["parameters"]["data"]["level"]


def states(visitor: Visitor) -> Counter[tuple[MessageState, bool]]:
    with visitor.application.app_context():
        return Counter(
            (message.state, message.outbox_id is not None) for message in db.session.scalars(select(Message))
        )


def test_rejected_posts_count_for_nothing_but_rejections(
    visitor: Visitor, let_pass: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "REJECTED", Quota("rejected-few", 3, 0))
    form, proof = prepared(visitor, let_pass), solved(visitor)
    empty = {**form, "content": ""}
    assert [visitor.post("/feedback/", data=empty).status_code for _ in range(5)] == [422] * 3 + [429] * 2
    page = Page(visitor.post("/feedback/", data={**empty, "csrf_token": "none"}))
    assert (page.status, page.fields["submitter_name"]) == (429, "Ada")  # and even then nothing typed is lost
    assert send(visitor, form, proof=proof) == THANKED
    assert stored(visitor) == [ARRIVED]


def test_beyond_a_few_an_hour_unproven_messages_wait_for_a_person(visitor: Visitor, let_pass: Pass, here: str) -> None:
    form = prepared(visitor, let_pass)
    assert [send(visitor, form) for _ in range(12)] == [ASKED] * 10 + [HELD] * 2
    assert "A person has to check them first" in visitor.get(HELD[1]).text
    assert send(visitor, form, website="x", proof=solved(visitor)) == ASKED  # a password manager, with a proof
    neighbours = [of(visitor.application, f"{here}:{third}::1") for third in (2, 3, 4, 0x100, 0x200)]
    results = []
    for neighbour in neighbours:
        form = prepared(neighbour, let_pass)
        results.append(Counter(send(neighbour, form) for _ in range(11)))
    # A /64 has 10, its /56 has 20 and the /48 around them 40.
    assert results == [{ASKED: 10, HELD: 1}, {HELD: 11}, {HELD: 11}, {ASKED: 10, HELD: 1}, {ASKED: 10, HELD: 1}]
    stranger = of(visitor.application, f"2001:db8:{uuid4().hex[:4]}::1")
    form = prepared(stranger, let_pass)
    assert send(stranger, form) == ASKED
    assert send(visitor, form={**opened(visitor), "opened": ""}) == HELD  # a robot, and stored all the same
    assert states(visitor)[MessageState.SPAM, False] == 12 + 1 + 55 + 1 + 1


def test_large_messages_have_a_pool_of_their_own_so_short_ones_still_arrive(
    visitor: Visitor, let_pass: Pass, here: str
) -> None:
    form = prepared(visitor, let_pass)
    long = "é" * 199_999
    assert [send(visitor, form, content=long)[0] for _ in range(3)] == [303, 303, 429]
    answer = visitor.post("/feedback/", data={**form, "content": long})
    page = Page(answer)
    assert page.fields["content"] == long
    assert "only short messages" in page.alert
    assert int(answer.headers["Retry-After"]) > 0
    assert send(visitor, form, content="x" * LARGE) == ASKED
    neighbour = of(visitor.application, f"{here}:2::1")
    assert send(neighbour, prepared(neighbour, let_pass), content=long)[0] == 303
    # Proven messages do not share that pool.
    assert send(visitor, form, content=long, proof=solved(visitor)) == THANKED


def test_what_one_network_stores_without_proof_in_an_hour_has_an_end(
    visitor: Visitor, let_pass: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "_UNPROVEN", quotas._Room(Quota("few", 8, 0), Quota("few-whole", 14, 0)))  # noqa: SLF001
    form = prepared(visitor, let_pass)
    assert [send(visitor, form)[0] for _ in range(9)] == [303] * 7 + [429] * 2
    page = Page(visitor.post("/feedback/", data=form))
    assert page.fields["content"] == TYPED["content"]
    assert "allow JavaScript" in page.alert
    assert send(visitor, form, proof=solved(visitor)) == THANKED


def test_a_nearly_full_disk_takes_short_messages_only(visit: Visit, let_pass: Pass) -> None:
    visitor = visit(form_defence=True, min_free_disk_mb=1_000_000_000)
    form = prepared(visitor, let_pass)
    page = Page(visitor.post("/feedback/", data={**form, "content": "x" * (LARGE + 1), "proof": solved(visitor)}))
    assert (page.status, page.fields["content"]) == (503, "x" * (LARGE + 1))
    assert "little storage space left" in page.alert
    assert send(visitor, form, content="x" * LARGE, proof=solved(visitor)) == THANKED
    plenty = shutil.disk_usage("/").free // 1024**2 // 100
    roomy = visit(form_defence=True, min_free_disk_mb=plenty)
    assert send(roomy, prepared(roomy, let_pass), content="x" * (LARGE + 1), proof=solved(roomy)) == THANKED


def test_beyond_a_days_notifications_messages_still_arrive_in_the_inbox(
    visit: Visit, let_pass: Pass, here: str
) -> None:
    visitor = at(visit(form_defence=True, ratelimit_enabled=True, notification_daily_limit=2), f"{here}:1::1")
    form = prepared(visitor, let_pass)
    assert [send(visitor, form, proof=solved(visitor)) for _ in range(3)] == [THANKED] * 3
    assert send(visitor, form) == ASKED
    let_pass(1.1)
    assert visitor.send("/feedback/confirm/").status_code == 303
    neighbour = of(visitor.application, f"{here}:ff00::1")  # only the /48 is the same
    assert send(neighbour, prepared(neighbour, let_pass), proof=solved(neighbour)) == THANKED
    assert states(visitor) == {(MessageState.NEW, True): 3, (MessageState.NEW, False): 2}
    with visitor.application.app_context():
        assert daily_counts.recent() == {Count.NOT_NOTIFIED: 2}


def test_a_repeated_confirmation_uses_up_no_notification(visit: Visit, let_pass: Pass, here: str) -> None:
    visitor = at(visit(form_defence=True, ratelimit_enabled=True, notification_daily_limit=2), f"{here}:1::1")
    form = prepared(visitor, let_pass)
    assert send(visitor, form) == ASKED
    let_pass(1.1)
    cookie = visitor.get_cookie("session", domain="127.0.0.1")
    assert cookie
    for _ in range(3):
        visitor.set_cookie("session", cookie.value, domain="127.0.0.1")
        assert visitor.send("/feedback/confirm/").status_code == 303
    assert send(visitor, form, proof=solved(visitor)) == THANKED
    assert states(visitor) == {(MessageState.NEW, True): 2}


def test_the_work_grows_with_the_challenges_a_network_asks_for(visitor: Visitor, here: str) -> None:
    levels = Counter(level(visitor) for _ in range(125))
    assert levels == {0: 30, 1: 30, 2: 60, 3: 5}
    assert level(of(visitor.application, f"{here}:2::1")) == 2  # 126 for the /56, which may have twice as many
    assert level(of(visitor.application, f"{here}:ff00::1")) == 1  # 127 for the /48, which may have four times
    assert level(of(visitor.application, f"2001:db8:{uuid4().hex[:4]}::1")) == 0
    for _ in range(200):
        visitor.get("/feedback/challenge")
    assert level(visitor) == difficulty.HARDEST


@pytest.mark.slow
def test_a_hard_challenge_is_solved_as_an_easy_one_and_takes_longer(
    visitor: Visitor, let_pass: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(difficulty, "_CHALLENGES", Quota("few-challenges", 8, 0))
    form = prepared(visitor, let_pass)
    counters = {}
    for _ in range(6):
        challenge = altcha.Challenge.from_dict(visitor.get("/feedback/challenge").get_json())
        solution = altcha.solve_challenge(challenge)
        assert solution
        assert challenge.parameters.data
        counters[challenge.parameters.data["level"]] = solution.counter
        proof = altcha.Payload(challenge, solution).to_base64()
        assert send(visitor, form, proof=proof) == THANKED
    assert counters.keys() == {0, 1, 2, 3}
    assert all(100 << level <= counter < 300 << level for level, counter in counters.items())


def test_the_work_grows_for_all_with_the_messages_that_were_proven(
    visitor: Visitor, let_pass: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(difficulty, "_PROVEN", Quota(f"proven-{uuid4()}", 0, 16, RateLimitItemPerMinute, 10))
    form = prepared(visitor, let_pass)
    stranger = of(visitor.application, f"2001:db8:{uuid4().hex[:4]}::1")
    levels = []
    for _ in range(5):
        assert send(visitor, form, proof=solved(visitor)) == THANKED
        levels.append(level(stranger))
    assert levels == [0, 0, 1, 1, 2]
    assert [send(visitor, form)[0] for _ in range(12)] == [303] * 12  # unproven messages do not raise the difficulty
    assert level(stranger) == 2


def test_who_types_while_the_work_grows_gets_through(
    visitor: Visitor, let_pass: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = prepared(visitor, let_pass)
    easy = [solved(visitor) for _ in range(2)]
    monkeypatch.setattr(difficulty, "_CHALLENGES", Quota("few-challenges", 8, 0))
    for _ in range(9):
        visitor.get("/feedback/challenge")
    let_pass(GRACE.total_seconds() - 10)
    assert send(visitor, form, proof=easy[0]) == THANKED
    let_pass(11)
    page = Page(visitor.post("/feedback/", data={**form, "proof": easy[1]}))
    assert (page.status, page.fields["content"]) == (422, TYPED["content"])
    assert send(visitor, {**page.fields, **TYPED}, proof=solved(visitor)) == THANKED
    assert stored(visitor) == [ARRIVED] * 2


def test_without_rate_limits_nothing_is_counted(visit: Visit, let_pass: Pass) -> None:
    visitor = visit(form_defence=True, ratelimit_enabled=False, notification_daily_limit=1)
    form = prepared(visitor, let_pass)
    assert {send(visitor, form) for _ in range(12)} == {ASKED}
    assert {send(visitor, form, proof=solved(visitor)) for _ in range(2)} == {THANKED}
    assert {level(visitor) for _ in range(40)} == {0}
    assert states(visitor)[MessageState.NEW, True] == 2
