"""What pages look like when something is chosen, missing, wrong or done: seen as test_pages.py sees each of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urljoin

import pytest
from playwright.sync_api import BrowserContext, Page
from redis import Redis
from sqlalchemy import text

from feedback_push.database import db
from feedback_push.feedback import quotas
from feedback_push.topics.models import BroadcastState
from tests.conftest import PASSWORD
from tests.site import Site
from tests.visual import fixtures
from tests.visual.walker import DESK, PHONE, View, Walker, sign_in

_MOST_REJECTED = quotas.REJECTED.for_network
_AS_LONG_AS_PEOPLE_TYPE = 2_200  # milliseconds
_FEW = "?q=visitor 5"
_SHOWN = (BroadcastState.SCHEDULED, BroadcastState.SENDING, BroadcastState.DONE)
_LISTS = {
    "list-new": "?list=new&q=zoe",
    "list-archived": "?list=archived",
    "list-spam": "?list=spam",
    "list-deleted": "?list=deleted",
    "found": "?q=short",
    "found-everywhere": "?list=all&q=zoe+visitor",
    "nothing-found": "?q=nowhere",
    "dates": "?from=2020-01-01&until=2020-12-31",
    "selected": "?list=archived&select=all",
    "older": "?before=10",
    "no-older": "?before=1",
    "message-archived": f"messages/{fixtures.ARCHIVED}?list=archived",
    "message-spam": f"messages/{fixtures.SPAM}?list=spam",
    "audit-no-older": "audit?before=1",
    **{f"broadcast-{state}": f"broadcasts/{fixtures.BROADCASTS[state]}" for state in _SHOWN},
    "broadcast-change": f"broadcasts/{fixtures.BROADCASTS[BroadcastState.SCHEDULED]}/edit",
}


_LOOK = "document.dispatchEvent(new Event('visibilitychange'))"


# German has the longest words; test_pages.py sees every page in every language.
@pytest.fixture(params=["en", "de"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def walker(context: BrowserContext, language: str) -> Walker:
    return Walker(context, language, "states")


@pytest.fixture
def look(walker: Walker, language: str) -> Callable[..., None]:
    """Look at English at every width and in either colours, at German on the phone; axe has seen the pages before."""

    def look_at(name: str, status: int = 200) -> None:
        views: list[View] = [PHONE, (768, "light"), DESK] if language == "en" else [PHONE]
        walker.look(name, views, status, checked=[DESK])
        walker.start()

    walker.start()
    return look_at


def test_a_session_or_a_network_that_is_gone(walker: Walker, look: Callable[..., None], language: str) -> None:
    page, context = walker.page, walker.page.context
    sign_in(page)
    context.set_offline(True)
    page.evaluate(_LOOK)
    page.locator("[data-when=unreachable]").wait_for()
    look("unreachable")
    page.locator("#messages [type=checkbox]").first.check()
    page.locator("[value=archive]").first.click()
    page.locator("[data-when=unsent]").wait_for()
    look("unsent")
    context.set_offline(False)
    page.evaluate(_LOOK)
    page.locator("[data-when=reached]").wait_for()
    look("reached")
    page.locator("[data-leave]").click()
    page.goto("/admin/nowhere")
    look("error-of-the-dashboard", 404)
    page.goto("/admin/devices")
    context.clear_cookies()
    page.evaluate(_LOOK)
    page.locator("[data-when=ended]").wait_for()
    look("ended")
    page.goto("/admin/nowhere")
    look("error-signed-out", 404)
    sign_in(page)
    page.locator("#messages [type=checkbox]").first.check()
    context.clear_cookies()
    page.locator("[value=archive]").first.click()
    page.locator("#interrupted").wait_for()
    look("sign-in-to-continue")
    page.fill("#email", fixtures.STAFF)
    page.fill("#password", PASSWORD)
    page.click("main form button[type=submit]")
    page.wait_for_url("**/admin/resume")
    look("resume")
    assert [words for words in walker.complaints if "ERR_INTERNET_DISCONNECTED" not in words] == []


def test_what_visitors_come_to(walker: Walker, look: Callable[..., None]) -> None:
    page = walker.page
    page.goto("/feedback/")
    send_unchecked(page, **{"#content": "", "#submitter_name": "Ada", "#submitter_email": "ada at home"})
    look("form-errors", 422)
    page.goto("/feedback/")
    forget_token(page)
    send_unchecked(page, **{"#content": "Something that took long to write.", "#submitter_name": "Ada"})
    look("form-too-old", 400)
    page.goto("/login")
    send_unchecked(page, **{"#email": "nobody@example.org", "#password": "a wrong password"})
    look("login-error", 422)
    for status, address in {404: "/nowhere", 405: "/logout"}.items():
        page.goto(address)
        look(f"error-{status}", status)
    assert walker.complaints == []


def test_what_administrators_come_to(walker: Walker, look: Callable[..., None], site: Site) -> None:
    page = walker.page
    sign_in(page)
    for name, address in _LISTS.items():
        page.goto(urljoin(site.dashboard, address))
        look(name)
    for name, bring_about in _DONE.items():
        bring_about(page, site.dashboard)
        look(name, _STATUSES.get(name, 200))
    page.goto(site.dashboard)
    forget_token(page)
    page.keyboard.press("j")
    page.keyboard.press("e")
    page.wait_for_selector(".code")
    look("error-400", 400)
    assert walker.complaints == []


def test_what_a_new_site_comes_to(bare_site: Site, walker: Walker, look: Callable[..., None]) -> None:
    page = walker.page
    Redis.from_url(bare_site.settings.redis_url or "").flushall()
    page.goto(urljoin(bare_site.url, "/login"))
    send_unchecked(page, **{"#email": fixtures.STAFF, "#password": PASSWORD})
    page.wait_for_url("**/admin/")
    look("inbox-empty")
    page.goto(urljoin(bare_site.dashboard, "devices"))
    look("devices-empty")
    page.context.clear_cookies()
    page.route("**/proof*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto(urljoin(bare_site.url, "/feedback/"))
    page.wait_for_timeout(_AS_LONG_AS_PEOPLE_TYPE)
    send_unchecked(page, **{"#content": "Hello", "#submitter_name": "Ada"})
    look("confirm")
    page.reload()
    forget_token(page)
    send_unchecked(page)
    look("confirm-once-more", 400)
    with unable_to_store(bare_site):
        page.goto(urljoin(bare_site.url, "/feedback/"))
        send_unchecked(page, **{"#content": "Hello", "#submitter_name": "Ada"})
        look("form-503", 503)
    robot = bare_site.visitor()
    for _ in range(_MOST_REJECTED):
        robot.write("")
    page.goto(urljoin(bare_site.url, "/feedback/"))
    send_unchecked(page, **{"#content": "Hello"})
    look("form-429", 429)
    assert walker.complaints == []


def send_unchecked(page: Page, **typed: str) -> None:
    """Send the page's form with what the server, rather than the browser, has to find."""
    for field, words in typed.items():
        page.fill(field, words)
    page.evaluate("document.querySelector('main form').noValidate = true")
    with page.expect_navigation():
        page.click("main form button[type=submit]")


@contextmanager
def unable_to_store(site: Site) -> Iterator[None]:
    """The table of messages is away."""
    with site.database():
        db.session.execute(text("ALTER TABLE feedback_message RENAME TO elsewhere"))
        db.session.commit()
    yield
    with site.database():
        db.session.execute(text("ALTER TABLE elsewhere RENAME TO feedback_message"))
        db.session.commit()


def forget_token(page: Page) -> None:
    """As when a part of the page was missing."""
    page.evaluate("for (const token of document.querySelectorAll('[name=csrf_token]')) token.value = ''")


def open_keys(page: Page, dashboard: str) -> None:
    page.goto(dashboard + _FEW)
    page.keyboard.press("?")


def open_menu(page: Page, dashboard: str) -> None:
    page.goto(urljoin(dashboard, "account"))
    page.click(".menu > summary")


def open_search_menu(page: Page, dashboard: str) -> None:
    page.goto(dashboard + _FEW)
    page.click(".finder summary")


def select_some(page: Page, dashboard: str) -> None:
    page.goto(dashboard + _FEW)
    page.check("#messages > :nth-child(2) [type=checkbox]")
    page.check("#messages > :nth-child(3) [type=checkbox]")


def archive_one(page: Page, dashboard: str) -> None:
    page.goto(dashboard + _FEW)
    page.keyboard.press("j")
    page.keyboard.press("e")
    page.wait_for_selector(".undo")


def take_it_back(page: Page, dashboard: str) -> None:
    with page.expect_navigation():
        page.click(".undo button")


def rename_a_device(page: Page, dashboard: str) -> None:
    page.goto(urljoin(dashboard, "devices"))
    page.click(".device-actions summary >> nth=0")


def choose_nonsense(page: Page, dashboard: str) -> None:
    page.goto(urljoin(dashboard, "settings"))
    page.check("#quiet")
    page.check("#burst")
    send_settings(page, **{"#quiet_from": "22:00", "#quiet_until": "22:00", "#burst_count": "0"})


def send_settings(page: Page, **typed: str) -> None:
    for field, words in typed.items():
        page.fill(field, words)
    with page.expect_navigation():
        page.click(".settings > button")


def mistype_the_password(page: Page, dashboard: str) -> None:
    page.goto(urljoin(dashboard, "account"))
    for field, words in {"#current": "not this one", "#new": "12345678", "#again": "87654321"}.items():
        page.fill(field, words)
    page.evaluate("document.getElementById('password').noValidate = true")
    with page.expect_navigation():
        page.click("#password button")


_DONE = {
    "keys": open_keys,
    "menu": open_menu,
    "search-menu": open_search_menu,
    "bulk": select_some,
    "undo": archive_one,
    "undone": take_it_back,
    "rename": rename_a_device,
    "settings-errors": choose_nonsense,
    "account-errors": mistype_the_password,
}
_STATUSES = {"settings-errors": 422, "account-errors": 422}
