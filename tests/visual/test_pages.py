"""Every page at three widths, light and dark, in every language: nothing overflows, moves or keeps people out."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from feedback_push import create_app, private_links
from feedback_push.language import LANGUAGES
from tests.servers import CHECKOUT
from tests.site import Site
from tests.visual import fixtures
from tests.visual.walker import EVERY_VIEW, PHONE, Walker, sign_in

# Addresses that answer with something other than a page, and those that lead elsewhere.
_NO_PAGES = {
    "static",
    "feedback.home",
    "health.healthz",
    "health.readyz",
    "push.key",
    "visitor.key",
    "feedback.challenge",
    "admin.message_history",
    "admin.reply_history",
    "admin.news",
    "security_txt.show",
}
_ASIDE = ("sw.js", ".webmanifest", ".js", ".css", ".json", ".csv", ".xlsx")
_VISITORS = ("feedback.", "conversations.", "auth.login")


def addresses(site: Site) -> dict[str, str]:
    """Every page of the site by the name of its endpoint, read from the application itself."""
    app = create_app(site.settings)
    found = {}
    with app.test_request_context():
        token = private_links.token(fixtures.CONVERSATION, 1)
        arguments: dict[str, Any] = {"message_id": fixtures.MOST_NOTIFIED, "token": token}
        for rule in app.url_map.iter_rules():
            if "GET" in (rule.methods or ()) and rule.endpoint not in _NO_PAGES and not rule.rule.endswith(_ASIDE):
                found[rule.endpoint] = app.url_for(rule.endpoint, **{name: arguments[name] for name in rule.arguments})
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_as_it_should_be(context: BrowserContext, site: Site, language: str) -> None:
    walker = Walker(context, language, "pages")
    views = EVERY_VIEW if language == "en" else [PHONE]  # where the longer words of a language do not fit first
    pages = addresses(site)
    visitors = {name: pages.pop(name) for name in list(pages) if name.startswith(_VISITORS)}
    for name in opened(walker, visitors):
        walker.look(name, views)
    sign_in(walker.page)
    assert len(pages) >= 3
    for name in opened(walker, pages):
        walker.look(name, views)
    assert walker.complaints == []


def test_the_browser_knows_every_feature_that_it_is_told_to_keep_from_a_page(chromium: Browser, site: Site) -> None:
    told: list[str] = []
    with chromium.new_context(base_url=site.url) as context:
        page = context.new_page()
        page.on("console", lambda message: told.append(message.text))
        page.goto("/feedback/")
        page.evaluate("console.log('the last word')")
        assert told == ["the last word"]


@pytest.mark.parametrize("language", ["en"])
def test_from_right_to_left_nothing_overflows_either(context: BrowserContext, site: Site, language: str) -> None:
    walker = Walker(context, language, "right-to-left")
    sign_in(walker.page)
    for name in opened(walker, addresses(site)):
        walker.page.evaluate("document.documentElement.dir = 'rtl'")
        walker.view(name, [(390, "dark")])
    assert walker.complaints == []


def test_the_stylesheet_knows_no_left_and_right() -> None:
    rules = (CHECKOUT / "static" / "site.css").read_text()
    assert re.findall(r"[\w-]*\b(?:left|right)\b[\w-]*\s*[:;]", re.sub(r"/\*.*?\*/", "", rules, flags=re.DOTALL)) == []


def opened(walker: Walker, pages: dict[str, str]) -> Iterator[str]:
    """The name of each page, while it is open."""
    for name, address in pages.items():
        walker.start()
        answer = walker.page.goto(address)
        if answer and answer.headers.get("content-type", "").startswith("text/html"):
            yield name
