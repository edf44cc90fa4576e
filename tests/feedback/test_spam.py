"""feedback/defence.py: robots are set aside, people get through, and nothing is dropped."""

import time

import pytest

from feedback_push.feedback.spam_reasons import CONFIRMABLE, LABELS, SpamReason
from tests.feedback.proofs import solved
from tests.feedback.trapped_form import ARRIVED, ASKED, THANKED, TYPED, Pass, opened, press, send, set_aside, stored
from tests.visits import Page, Visit, Visitor


def test_with_the_defence_off_the_form_has_no_traps(client: Visitor) -> None:
    page = client.read("/feedback/")
    assert page.fields.keys() == {"csrf_token", *TYPED}
    assert page.all("script") == []


def test_somebody_who_types_and_whose_browser_computes_gets_through(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(2.1)
    assert send(visitor, form, proof=solved(visitor)) == THANKED
    assert stored(visitor) == [ARRIVED]


def test_a_filled_honeypot_sets_the_message_aside_and_thanks(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    assert send(visitor, form, proof=solved(visitor), website="https://spam.example") == THANKED
    let_pass(60)
    assert send(visitor, form, website="https://spam.example") == THANKED
    assert stored(visitor) == [set_aside(SpamReason.HONEYPOT)] * 2


def test_a_person_whose_password_manager_fills_it_in_is_asked_to_confirm(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(60)
    assert send(visitor, form, proof=solved(visitor), website="https://ada.example") == ASKED
    assert stored(visitor) == [set_aside(SpamReason.AUTOFILL)]
    let_pass(1.1)
    press(visitor)
    assert stored(visitor) == [ARRIVED]


def test_no_person_comes_to_the_hidden_field(visitor: Visitor) -> None:
    page = visitor.read("/feedback/")
    trap = page.one("div", class_="trap")
    assert trap.attributes.keys() >= {"aria-hidden", "inert"}
    field = page.one("input", name="website")
    assert (field.attributes["tabindex"], field.attributes["autocomplete"]) == ("-1", "off")
    # 1Password, Bitwarden, LastPass, Dashlane and Proton Pass leave it alone.
    told = {"data-1p-ignore": "", "data-bwignore": "", "data-lpignore": "true", "data-form-type": "other"}
    assert field.attributes.items() >= {**told, "data-protonpass-ignore": "true"}.items()
    assert "empty" in page.one("label", for_="website").words
    assert ".trap { display: none; }" in visitor.get("/static/site.css").text


@pytest.mark.parametrize(("seconds", "reason"), [(0, SpamReason.TOO_FAST), (1, SpamReason.TOO_FAST), (2.1, None)])
def test_nobody_types_a_message_in_less_than_two_seconds(
    visitor: Visitor, let_pass: Pass, seconds: float, reason: SpamReason | None
) -> None:
    form = opened(visitor)
    let_pass(seconds)
    assert send(visitor, form, proof=solved(visitor)) == (ASKED if reason else THANKED)
    assert stored(visitor) == [set_aside(reason) if reason else ARRIVED]


def test_whoever_pastes_and_sends_at_once_is_asked_to_confirm_and_not_thanked(visitor: Visitor, let_pass: Pass) -> None:
    assert send(visitor, opened(visitor), proof=solved(visitor)) == ASKED
    let_pass(1.1)
    answer = press(visitor)
    assert (answer.status_code, answer.location) == THANKED
    assert stored(visitor) == [ARRIVED]


def test_whose_form_was_opened_before_the_clock_was_put_back_is_no_robot(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(-60)
    page = Page(visitor.post("/feedback/", data=form))  # the session is from the future, so a new one begins
    assert page.status == 400
    assert send(visitor, {**page.fields, **TYPED}, proof=solved(visitor)) == THANKED
    assert stored(visitor) == [ARRIVED]


@pytest.mark.parametrize("stamp", ["", "made up", "1700000000.0", "MTcwMDAwMDAwMC4w.x"])
def test_the_time_at_which_the_form_was_opened_cannot_be_made_up(visitor: Visitor, let_pass: Pass, stamp: str) -> None:
    form = opened(visitor)
    let_pass(60)
    assert send(visitor, form, proof=solved(visitor), opened=stamp) == ASKED
    assert stored(visitor) == [set_aside(SpamReason.TOO_FAST)]


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


def test_a_stamp_that_is_a_week_old_is_renewed_and_the_form_can_be_sent_again_at_once(
    visitor: Visitor, let_pass: Pass
) -> None:
    form = opened(visitor)
    let_pass(7 * 86400 + 1)
    page = Page(visitor.post("/feedback/", data={**form, "proof": solved(visitor)}))
    assert (page.status, page.fields["content"]) == (422, TYPED["content"])
    assert "Nothing is lost" in page.alert
    assert stored(visitor) == []
    assert send(visitor, {**page.fields, **TYPED}, proof=solved(visitor)) == THANKED
    assert stored(visitor) == [ARRIVED]


def test_a_stamp_belongs_to_the_browser_it_was_made_for(visitor: Visitor, let_pass: Pass) -> None:
    elsewhere = opened(Visitor(visitor.application))["opened"]
    let_pass(60)
    form = opened(visitor)
    page = Page(visitor.post("/feedback/", data={**form, "opened": elsewhere, "proof": solved(visitor)}))
    assert (page.status, stored(visitor)) == (422, [])
    assert send(visitor, {**page.fields, **TYPED}, proof=solved(visitor)) == THANKED


def test_another_sites_request_brings_no_new_cookie_in_place_of_the_one_kept_back(visitor: Visitor) -> None:
    answer = visitor.post("/feedback/", data=TYPED, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (400, [])
    assert Page(answer).fields["opened"]


def test_what_was_set_aside_without_a_reason_to_confirm_is_shown_no_differently(
    visitor: Visitor, let_pass: Pass
) -> None:
    form = opened(visitor)
    caught = visitor.post("/feedback/", data={**form, "website": "x"})
    let_pass(3)
    taken = visitor.post("/feedback/", data={**form, "proof": solved(visitor)})
    assert (caught.status_code, caught.location, caught.data) == (taken.status_code, taken.location, taken.data)


def test_every_reason_has_words() -> None:
    assert LABELS.keys() == set(SpamReason)
    assert set(CONFIRMABLE) <= set(SpamReason)


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
