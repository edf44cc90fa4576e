"""static/feedback/proof.js in a real Firefox: a person's message gets through, with JavaScript and without it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from feedback_push.database import db
from feedback_push.feedback import confirmation, difficulty, proof_of_work, spam
from feedback_push.feedback.models import Message, MessageState
from tests.browser.conftest import working_site
from tests.browser.dashboard import Dashboard
from tests.browser.firefox import Alert, Firefox
from tests.site import Site

PROOF = "return document.querySelector('input[name=proof]').value"
_PERIODS = (f"{spam.__name__}._SECONDS_TO_TYPE", f"{confirmation.__name__}._SECONDS_TO_READ")
COUNT_CHALLENGES = (
    "return performance.getEntriesByType('resource').filter(({name}) => name.endsWith('/challenge')).length"
)


@pytest.fixture(scope="module")
def site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose form has its traps, except that nobody is too fast for it."""
    folder = tmp_path_factory.mktemp("defended")
    with working_site(migrated_sqlite, folder, dict.fromkeys(_PERIODS, 0.0), form_defence=True) as running:
        yield running


@pytest.fixture
def browser(dashboard: Dashboard) -> Firefox:
    """A visitor's browser with the form open."""
    dashboard.browser.open(f"{dashboard.site.url}/feedback/")
    return dashboard.browser


@pytest.fixture
def subscribed_browser(dashboard: Dashboard, browser: Firefox) -> Firefox:
    """The same with notifications turned on; a test must wait for the pushes it causes."""
    dashboard.sign_in()
    dashboard.turn_on()
    browser.open(f"{dashboard.site.url}/feedback/")
    return browser


@contextmanager
def preference(browser: Firefox, name: str, value: bool) -> Iterator[None]:
    browser.chrome("Services.prefs.setBoolPref(...arguments)", name, value)
    try:
        yield
    finally:
        browser.chrome("Services.prefs.clearUserPref(arguments[0])", name)


def write(browser: Firefox, content: str = "It is great.") -> None:
    browser.find("#content").type(content)
    browser.find("#submitter_name").type("Ada")


def send(browser: Firefox) -> None:
    browser.find("main button[type=submit]").click()


def states(site: Site) -> list[tuple[MessageState, str | None]]:
    with site.database():
        return [(row.state, row.spam_reason) for row in db.session.scalars(select(Message).order_by(Message.id))]


def test_whoever_sends_is_thanked_and_the_notification_arrives_and_going_back_and_sending_again_is_no_copy(
    subscribed_browser: Firefox, site: Site
) -> None:
    browser = subscribed_browser
    write(browser)
    browser.wait_for(lambda: browser.script(PROOF))  # while they typed
    assert browser.script(COUNT_CHALLENGES) == 1
    assert not browser.find("#website").is_displayed
    send(browser)
    browser.wait_for(lambda: browser.url.endswith("/feedback/complete/"))
    assert browser.alert() == Alert("Ada:", "It is great.", f"via 127.0.0.1:{site.settings.port}")
    assert states(site) == [(MessageState.NEW, None)]
    browser.script("history.back()")
    browser.wait_for(lambda: browser.url.endswith("/feedback/") and browser.find("#content").is_displayed)
    browser.find("#content").type(" And more.")
    send(browser)
    browser.wait_for(lambda: browser.url.endswith("/feedback/complete/"))
    browser.wait_for(lambda: len(browser.alerts) == 2)
    assert states(site) == [(MessageState.NEW, None)] * 2


def test_a_page_left_open_earns_a_new_proof_when_the_old_one_has_expired(browser: Firefox, site: Site) -> None:
    write(browser)
    proof = browser.wait_for(lambda: browser.script(PROOF))
    # Set the page's clock an hour ahead.
    browser.script("const now = Date.now; Date.now = () => now() + 3_600_000")
    send(browser)
    browser.wait_for(lambda: browser.url.endswith("/feedback/complete/"))
    assert proof
    assert states(site) == [(MessageState.NEW, None)]


def test_the_proof_takes_so_little_that_nobody_waits_for_it_and_two_clicks_send_one_message(
    browser: Firefox, site: Site
) -> None:
    began = browser.script("return performance.now()")
    browser.find("#content").type("H")
    browser.wait_for(lambda: browser.script(PROOF))
    took = browser.script("return performance.now()") - began
    assert took < 3000  # a tenth of it where the machine has nothing else to do
    browser.find("#submitter_name").type("Ada")
    browser.script("const button = document.querySelector('main button[type=submit]'); button.click(); button.click()")
    browser.wait_for(lambda: browser.url.endswith("/feedback/complete/"))
    assert states(site) == [(MessageState.NEW, None)]


def test_a_form_that_comes_back_has_its_proof_before_it_is_sent_again(browser: Firefox, site: Site) -> None:
    browser.find("#content").type("Hello")
    browser.script("document.querySelector('form').noValidate = true")
    send(browser)
    browser.wait_for("[aria-invalid=true]")
    browser.find("#submitter_name").type("Ada")
    browser.wait_for(lambda: browser.script(PROOF))
    send(browser)
    browser.wait_for(lambda: browser.url.endswith("/feedback/complete/"))
    assert states(site) == [(MessageState.NEW, None)]


def test_without_javascript_one_more_step_leads_to_the_same_notification(
    subscribed_browser: Firefox, site: Site
) -> None:
    browser = subscribed_browser
    with preference(browser, "javascript.enabled", False):
        browser.open(f"{site.url}/feedback/")
        write(browser)
        send(browser)
        browser.wait_for(lambda: browser.url.endswith("/feedback/confirm/"))
        assert "Your message is stored" in browser.text
        assert states(site) == [(MessageState.SPAM, "no-proof")]
        send(browser)
        browser.wait_for(lambda: browser.url.endswith("/feedback/complete/"))
    assert browser.alert() == Alert("Ada:", "It is great.", f"via 127.0.0.1:{site.settings.port}")
    assert states(site) == [(MessageState.NEW, None)]


def test_where_the_challenge_cannot_be_had_the_message_still_goes_off(browser: Firefox, site: Site) -> None:
    browser.script("window.fetch = () => Promise.reject(new TypeError('no network'))")
    write(browser)
    send(browser)
    browser.wait_for(lambda: browser.url.endswith("/feedback/confirm/"))
    assert states(site) == [(MessageState.SPAM, "no-proof")]


def give_next(browser: Firefox, site: Site, monkeypatch: pytest.MonkeyPatch, level: int, lifetime: timedelta) -> None:
    """Give the open page this challenge instead of the one that the site would make."""
    monkeypatch.setattr(difficulty, "of_new_challenge", lambda: level)
    monkeypatch.setattr(proof_of_work, "LIFETIME", lifetime)
    with site.database():
        challenge = proof_of_work.challenge()
    browser.script(
        "const made = arguments[0]; window.fetch = async () => new Response(JSON.stringify(made))", challenge
    )


def test_the_hardest_challenge_is_solved_within_seconds_while_whoever_sends_waits(
    browser: Firefox, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_next(browser, site, monkeypatch, difficulty.HARDEST, timedelta(minutes=20))
    browser.script(
        "const {content, submitter_name: name} = document.forms[0]; content.value = 'Hello'; name.value = 'Ada'"
    )
    send(browser)
    browser.wait_for(lambda: browser.url.endswith("/feedback/complete/"))
    assert states(site) == [(MessageState.NEW, None)]


def test_a_proof_that_has_expired_on_its_way_costs_one_more_press(
    browser: Firefox, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_next(browser, site, monkeypatch, 0, timedelta(minutes=-1))
    write(browser)
    browser.wait_for(lambda: browser.script(PROOF))
    send(browser)
    browser.wait_for(lambda: "Nothing is lost" in browser.text)
    assert browser.script("return document.querySelector('#content').value") == "It is great."
    assert states(site) == []
    send(browser)
    browser.wait_for(lambda: browser.url.endswith("/feedback/complete/"))
    assert states(site) == [(MessageState.NEW, None)]
