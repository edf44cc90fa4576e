"""feedback/proof_of_work.py: a proof is good once, for a while, and cannot be made up."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from feedback_push import counters
from feedback_push.feedback.proof_of_work import LIFETIME
from feedback_push.feedback.spam_reasons import SpamReason
from tests import servers
from tests.feedback.proofs import solved
from tests.feedback.trapped_form import ARRIVED, ASKED, THANKED, TYPED, Pass, opened, send, set_aside, stored
from tests.visits import Page, Visit, Visitor


def test_a_proof_is_good_for_one_message(visitor: Visitor, let_pass: Pass) -> None:
    form, proof = opened(visitor), solved(visitor)
    let_pass(3)
    assert [send(visitor, form, proof=proof) for _ in range(3)] == [THANKED, ASKED, ASKED]
    assert stored(visitor) == [ARRIVED, *[set_aside(SpamReason.REPLAYED_PROOF)] * 2]


@pytest.mark.server
def test_a_proof_is_good_for_one_message_over_all_processes(visit: Visit, let_pass: Pass) -> None:
    one, another = visit(form_defence=True), visit(form_defence=True)
    forms, proof = [opened(one), opened(another)], solved(one)
    let_pass(3)
    assert send(one, forms[0], proof=proof) == THANKED
    assert send(another, forms[1], proof=proof) == ASKED


@pytest.mark.parametrize("broker", ["gone", "silent"])
def test_without_redis_a_process_knows_the_proofs_it_has_seen_and_nobody_waits(
    visit: Visit,
    let_pass: Pass,
    silent_redis_url: str,
    broker: str,
    redis_connections: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counters, "_SECONDS_WITHOUT", 600.0)
    url = silent_redis_url if broker == "silent" else f"redis://127.0.0.1:{servers.free_port()}/0"
    visitor = visit(form_defence=True, redis_url=url)
    form, proof = opened(visitor), solved(visitor)
    let_pass(3)
    assert [send(visitor, form, proof=proof) for _ in range(3)] == [THANKED, ASKED, ASKED]
    assert len(redis_connections) == 1  # only the first has to find out


def test_a_proof_expires_and_the_form_comes_back_for_a_new_one(visitor: Visitor, let_pass: Pass) -> None:
    form, proof = opened(visitor), solved(visitor)
    let_pass(LIFETIME.total_seconds() + 1)
    page = Page(visitor.post("/feedback/", data={**form, "proof": proof}))
    assert (page.status, stored(visitor)) == (422, [])
    assert "Nothing is lost" in page.alert
    assert send(visitor, {**page.fields, **TYPED}, proof=solved(visitor)) == THANKED


def changed(proof: str, change: Callable[[Any], None]) -> str:
    parts = json.loads(base64.b64decode(proof))
    change(parts)
    return base64.b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts["challenge"]["parameters"].update(cost=1),
        lambda parts: parts["challenge"]["parameters"].update(expiresAt=99999999999),
        lambda parts: parts["challenge"]["parameters"].update(nonce="00" * 16),
        lambda parts: parts["challenge"].pop("signature"),
        lambda parts: parts["challenge"].update(signature=None),
        lambda parts: parts["solution"].update(derivedKey="00" * 32),
        lambda parts: parts["solution"].update(derivedKey=[1]),
        lambda parts: parts.update(solution=[]),
        lambda parts: parts.update(challenge="x"),
    ],
)
def test_a_proof_cannot_be_made_up(visitor: Visitor, let_pass: Pass, change: Callable[[Any], None]) -> None:
    form, proof = opened(visitor), changed(solved(visitor), change)
    let_pass(3)
    assert send(visitor, form, proof=proof) == ASKED


@pytest.mark.parametrize("proof", ["x", "é", "e30=", "W10=", "bnVsbA==", "A" * 100_000, "\0", "[" * 3000])
def test_an_invalid_proof_counts_as_missing(visitor: Visitor, let_pass: Pass, proof: str) -> None:
    form = opened(visitor)
    let_pass(3)
    assert send(visitor, form, proof=proof) == ASKED


def test_every_challenge_is_a_new_one_and_kept_in_no_cache(visitor: Visitor) -> None:
    answers = [visitor.get("/feedback/challenge") for _ in range(3)]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    parameters = [answer.get_json()["parameters"] for answer in answers]
    assert len({each["nonce"] for each in parameters}) == len({each["keyPrefix"] for each in parameters}) == 3
    lifetimes = [each["expiresAt"] - time.time() for each in parameters]
    assert all(LIFETIME.total_seconds() - 60 < seconds <= LIFETIME.total_seconds() for seconds in lifetimes)
