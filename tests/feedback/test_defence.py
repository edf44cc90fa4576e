"""feedback/defence.py and confirmation.py: robots are set aside, people get through, and nothing is dropped."""

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from feedback_push import database
from feedback_push.database import db
from feedback_push.feedback import confirmation, defence, proof_of_work
from feedback_push.feedback.models import Message, MessageState
from feedback_push.feedback.suspicion import CONFIRMABLE, WORDS, Suspicion
from feedback_push.push.models import OutboxEntry
from tests import servers
from tests.feedback.proofs import solved
from tests.visits import Page, Visit, Visitor

TYPED = {"content": "Hello\nthere", "submitter_name": "Ada", "submitter_email": "ada@example.org"}
THANKED = (303, "/feedback/complete/")
ASKED = (303, "/feedback/confirm/")
Pass = Callable[[float], None]


@pytest.fixture
def let_pass(monkeypatch: pytest.MonkeyPatch) -> Pass:
    """Lets seconds go by for the traps, and for the library that looks at the challenge's end."""
    ahead = 0.0
    real = time.time

    def skip(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    for module in (defence, confirmation, proof_of_work):
        monkeypatch.setattr(module, "utcnow", lambda: database.utcnow() + timedelta(seconds=ahead))
    monkeypatch.setattr("altcha.v2.time.time", lambda: real() + ahead)
    return skip


@pytest.fixture
def visitor(visit: Visit) -> Visitor:
    """Somebody at a form with traps."""
    return visit(form_defence=True)


def opened(visitor: Visitor) -> dict[str, str]:
    """The form as it stands there, filled in."""
    return {**visitor.read("/feedback/").fields, **TYPED}


def send(visitor: Visitor, form: dict[str, str], **more: str) -> tuple[int, str | None]:
    answer = visitor.post("/feedback/", data={**form, **more})
    return answer.status_code, answer.location


def press(visitor: Visitor, **more: str) -> TestResponse:
    """Press the button of the one more step."""
    return visitor.post("/feedback/confirm/", data={**visitor.read("/feedback/confirm/").fields, **more})


def stored(visitor: Visitor) -> list[tuple[MessageState, str | None, bool]]:
    """State, reason, and whether anybody is told, of each message; whose text must be what was typed."""
    with visitor.application.app_context():
        messages = list(db.session.scalars(select(Message).order_by(Message.id)))
        entries = db.session.scalars(select(OutboxEntry.id)).all()
        assert all({name: getattr(message, name) for name in TYPED} == TYPED for message in messages)
        assert sorted(message.outbox_id for message in messages if message.outbox_id) == sorted(entries)
        return [(message.state, message.spam_reason, message.outbox_id is not None) for message in messages]


def set_aside(reason: Suspicion) -> tuple[MessageState, str, bool]:
    return (MessageState.SPAM, reason.value, False)


ARRIVED = (MessageState.NEW, None, True)


def test_with_the_defence_off_the_form_has_no_traps(client: Visitor) -> None:
    page = client.read("/feedback/")
    assert page.fields.keys() == {"csrf_token", *TYPED}
    assert page.all("script") == []


def test_somebody_who_types_and_whose_browser_computes_gets_through(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(2.1)
    assert send(visitor, form, proof=solved(visitor)) == THANKED
    assert stored(visitor) == [ARRIVED]


def test_what_fills_in_the_hidden_field_is_set_aside_and_thanked(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(60)
    assert send(visitor, form, proof=solved(visitor), website="https://spam.example") == THANKED
    assert stored(visitor) == [set_aside(Suspicion.HONEYPOT)]


def test_no_person_comes_to_the_hidden_field(visitor: Visitor) -> None:
    page = visitor.read("/feedback/")
    trap = page.one("div", class_="trap")
    assert trap.attributes.keys() >= {"aria-hidden", "inert"}
    field = page.one("input", name="website")
    assert (field.attributes["tabindex"], field.attributes["autocomplete"]) == ("-1", "off")
    assert "empty" in page.one("label", for_="website").words
    assert ".trap { display: none; }" in visitor.get("/static/site.css").text


@pytest.mark.parametrize(("seconds", "reason"), [(0, Suspicion.TOO_FAST), (1, Suspicion.TOO_FAST), (2.1, None)])
def test_nobody_types_a_message_in_less_than_two_seconds(
    visitor: Visitor, let_pass: Pass, seconds: float, reason: Suspicion | None
) -> None:
    form = opened(visitor)
    let_pass(seconds)
    assert send(visitor, form, proof=solved(visitor)) == THANKED
    assert stored(visitor) == [set_aside(reason) if reason else ARRIVED]


@pytest.mark.parametrize("stamp", ["", "made up", "1700000000.0", "MTcwMDAwMDAwMC4w.x"])
def test_the_time_at_which_the_form_was_opened_cannot_be_made_up(visitor: Visitor, let_pass: Pass, stamp: str) -> None:
    form = opened(visitor)
    let_pass(60)
    assert send(visitor, form, proof=solved(visitor), opened=stamp) == THANKED
    assert stored(visitor) == [set_aside(Suspicion.TOO_FAST)]


def test_a_form_that_comes_back_keeps_its_time_so_a_quick_correction_gets_through(
    visitor: Visitor, let_pass: Pass
) -> None:
    form = opened(visitor)
    let_pass(30)
    page = Page(visitor.post("/feedback/", data={**form, "submitter_name": "", "proof": solved(visitor)}))
    assert page.status == 422
    assert page.fields["proof"] == ""
    assert send(visitor, {**page.fields, **TYPED}, proof=solved(visitor)) == THANKED
    assert stored(visitor) == [ARRIVED]


def test_a_page_that_was_open_for_days_is_taken_at_once(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(3 * 86400)
    assert send(visitor, form, proof=solved(visitor)) == THANKED
    assert stored(visitor) == [ARRIVED]


def test_without_javascript_one_more_step_leads_to_the_inbox(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(60)
    assert send(visitor, form) == ASKED
    assert stored(visitor) == [set_aside(Suspicion.NO_PROOF)]  # nothing is lost, even if this is the end of it
    page = visitor.read("/feedback/confirm/")
    assert (page.status, page.alert) == (200, "")
    assert "Your message is stored" in page.one("main").words
    let_pass(1.1)
    answer = press(visitor)
    assert (answer.status_code, answer.location) == THANKED
    assert stored(visitor) == [ARRIVED]


def test_the_button_pressed_before_anybody_can_have_read_it_asks_again(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(60)
    send(visitor, form)
    page = Page(press(visitor))
    assert page.status == 422
    assert "press the button once more" in page.alert
    assert stored(visitor) == [set_aside(Suspicion.NO_PROOF)]
    let_pass(1.1)
    assert visitor.post("/feedback/confirm/", data=page.fields).status_code == 303
    assert stored(visitor) == [ARRIVED]


def test_one_press_confirms_all_that_this_browser_sent_and_nothing_of_others(visitor: Visitor, let_pass: Pass) -> None:
    stranger = Visitor(visitor.application)
    for somebody in (visitor, visitor, stranger):
        form = opened(somebody)
        let_pass(60)
        assert send(somebody, form) == ASKED
    let_pass(1.1)
    press(visitor)
    assert stored(visitor) == [ARRIVED, ARRIVED, set_aside(Suspicion.NO_PROOF)]


def test_who_has_nothing_to_confirm_is_thanked_and_changes_nothing(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(60)
    send(visitor, form, website="x")
    for answer in (visitor.get("/feedback/confirm/"), visitor.post("/feedback/confirm/", data=form)):
        assert (answer.status_code, answer.location) == THANKED
    assert stored(visitor) == [set_aside(Suspicion.HONEYPOT)]


def test_what_an_administrator_has_decided_meanwhile_is_not_undone(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(60)
    send(visitor, form)
    with visitor.application.app_context():
        db.session.scalars(select(Message)).one().spam_reason = None
        db.session.commit()
    let_pass(1.1)
    assert press(visitor).status_code == 303
    assert stored(visitor) == [(MessageState.SPAM, None, False)]


def test_a_second_press_tells_nobody_twice(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(60)
    send(visitor, form)
    before = visitor.get_cookie("session", domain="127.0.0.1")
    let_pass(1.1)
    press(visitor)
    assert before
    visitor.set_cookie("session", before.value, domain="127.0.0.1")
    assert press(visitor).status_code == 303
    assert stored(visitor) == [ARRIVED]


def test_the_one_more_step_without_its_token_asks_again(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(60)
    send(visitor, form)
    let_pass(1.1)
    page = Page(press(visitor, csrf_token="old"))
    assert page.status == 400
    assert "once more" in page.alert
    assert visitor.post("/feedback/confirm/", data=page.fields).status_code == 303
    assert stored(visitor) == [ARRIVED]


def test_a_confirmation_that_cannot_be_stored_can_be_sent_again(
    visitor: Visitor, let_pass: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = opened(visitor)
    let_pass(60)
    send(visitor, form)
    let_pass(1.1)
    rename(visitor, "push_outbox", "elsewhere")
    assert press(visitor).status_code == 503
    rename(visitor, "elsewhere", "push_outbox")
    assert press(visitor).status_code == 303
    assert stored(visitor) == [ARRIVED]


def rename(visitor: Visitor, table: str, name: str) -> None:
    with visitor.application.app_context():
        db.session.execute(db.text(f"ALTER TABLE {table} RENAME TO {name}"))
        db.session.commit()


def test_a_proof_is_good_for_one_message(visitor: Visitor, let_pass: Pass) -> None:
    form, proof = opened(visitor), solved(visitor)
    let_pass(3)
    assert [send(visitor, form, proof=proof) for _ in range(3)] == [THANKED, ASKED, ASKED]
    assert stored(visitor) == [ARRIVED, *[set_aside(Suspicion.REPLAYED_PROOF)] * 2]


def test_a_proof_is_good_for_one_message_over_all_processes(visit: Visit, let_pass: Pass) -> None:
    one, another = visit(form_defence=True), visit(form_defence=True)
    forms, proof = [opened(one), opened(another)], solved(one)
    let_pass(3)
    assert send(one, forms[0], proof=proof) == THANKED
    assert send(another, forms[1], proof=proof) == ASKED


@pytest.mark.parametrize("broker", ["gone", "silent"])
def test_without_redis_a_process_knows_the_proofs_it_has_seen_and_nobody_waits(
    visit: Visit, let_pass: Pass, silent_redis_url: str, broker: str
) -> None:
    url = silent_redis_url if broker == "silent" else f"redis://127.0.0.1:{servers.free_port()}/0"
    visitor = visit(form_defence=True, redis_url=url)
    form, proof = opened(visitor), solved(visitor)
    let_pass(3)
    took, answers = [], []
    for _ in range(3):
        began = time.monotonic()
        answers.append(send(visitor, form, proof=proof))
        took.append(time.monotonic() - began)
    assert answers == [THANKED, ASKED, ASKED]
    assert min(took) < 0.25  # only the first has to find out


@pytest.fixture
def silent_redis_url() -> Iterator[str]:
    """An address that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"redis://127.0.0.1:{silent.getsockname()[1]}/0"


def test_a_proof_expires(visitor: Visitor, let_pass: Pass) -> None:
    form, proof = opened(visitor), solved(visitor)
    let_pass(defence.PROOF_LIFETIME + 1)
    assert send(visitor, form, proof=proof) == ASKED
    assert stored(visitor) == [set_aside(Suspicion.NO_PROOF)]


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
def test_what_is_no_proof_at_all_is_none(visitor: Visitor, let_pass: Pass, proof: str) -> None:
    form = opened(visitor)
    let_pass(3)
    assert send(visitor, form, proof=proof) == ASKED


def test_every_challenge_is_a_new_one_and_kept_in_no_cache(visitor: Visitor) -> None:
    answers = [visitor.get("/feedback/challenge") for _ in range(3)]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    parameters = [answer.get_json()["parameters"] for answer in answers]
    assert len({each["nonce"] for each in parameters}) == len({each["keyPrefix"] for each in parameters}) == 3
    lifetimes = [each["expiresAt"] - time.time() for each in parameters]
    assert all(defence.PROOF_LIFETIME - 60 < seconds <= defence.PROOF_LIFETIME for seconds in lifetimes)


def test_what_was_set_aside_without_a_reason_to_confirm_is_shown_no_differently(
    visitor: Visitor, let_pass: Pass
) -> None:
    form = opened(visitor)
    caught = visitor.post("/feedback/", data={**form, "website": "x"})
    let_pass(3)
    taken = visitor.post("/feedback/", data={**form, "proof": solved(visitor)})
    assert (caught.status_code, caught.location, caught.data) == (taken.status_code, taken.location, taken.data)


def test_every_reason_has_words() -> None:
    assert WORDS.keys() == set(Suspicion)
    assert set(CONFIRMABLE) <= set(Suspicion)


@pytest.mark.parametrize("days", [1.01, 30])
def test_a_token_older_than_a_day_is_taken_with_its_session(
    visit: Visit, days: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = visit()
    form = opened(visitor)
    real = time.time
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: real() + days * 86400)
    assert send(visitor, form) == THANKED
    assert stored(visitor) == [ARRIVED]


def test_other_requests_than_the_forms_may_have_64_kilobytes(client: Visitor) -> None:
    fields = client.read("/login").fields
    small = client.post("/login", data={**fields, "email": "x" * 60_000, "password": "x"})
    large = client.post("/login", data={**fields, "email": "x" * 70_000, "password": "x"})
    assert (small.status_code, large.status_code) == (422, 413)
    assert client.post("/push/subscribe", data=b" " * 70_000, content_type="application/json").status_code in (401, 413)
