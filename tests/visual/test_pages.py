"""Every page at three widths, light and dark, in every language: nothing overflows, moves or keeps people out."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from feedback_push import create_app, private_links
from feedback_push.language import LANGUAGES
from feedback_push.topics.models import BroadcastState
from tests.feedback.messages import confirmation_token
from tests.servers import CHECKOUT
from tests.site import Site
from tests.visual import fixtures
from tests.visual.walker import EVERY_VIEW, PHONE, View, Walker, sign_in

# Addresses that answer with something other than a page, and those that lead elsewhere.
_NO_PAGES = {
    "static",
    "feedback.home",
    "health.healthz",
    "health.readyz",
    "monitoring.metrics",
    "push.key",
    "visitor.key",
    "follow.icon",
    "feedback.challenge",
    "admin.message_history",
    "admin.topic_icon",
    "admin.reply_history",
    "admin.note_figures",
    "admin.news",
    "admin.webhook_deliveries",
    "admin.message_webhooks",
    "admin.drill",
    "security_txt.show",
    "plain_form.show",
    "auth.factor",  # leads away unless a sign-in waits for it
    "auth.passkey_options",
    "auth.factor_options",
    "auth.confirm_options",
}
_ASIDE = ("sw.js", ".webmanifest", ".js", ".css", ".json", ".csv", ".xlsx", ".atom")
_VISITORS = ("feedback.", "plain_form.", "conversations.", "follow.", "auth.login")


def addresses(site: Site) -> dict[str, str]:
    """Every page of the site by the name of its endpoint, read from the application itself."""
    app = create_app(site.settings)
    found = {}
    with app.test_request_context():
        token = private_links.token(fixtures.CONVERSATION, 1)
        arguments: dict[str, Any] = {"message_id": fixtures.MOST_NOTIFIED, "token": token, "slug": fixtures.HIDDEN}
        arguments["broadcast_id"] = fixtures.BROADCASTS[BroadcastState.DRAFT]
        arguments["note_id"] = fixtures.NOTE
        arguments["key"] = fixtures.FORM
        arguments["notice_id"] = fixtures.NOTICE
        arguments["target_id"] = fixtures.WEBHOOK
        plain = {"token": confirmation_token(fixtures.FORM, fixtures.SPAM)}
        for rule in app.url_map.iter_rules():
            given = arguments | (plain if rule.endpoint.startswith("plain_form.") else {})
            if rule.endpoint.startswith("api"):
                continue
            if "GET" in (rule.methods or ()) and rule.endpoint not in _NO_PAGES and not rule.rule.endswith(_ASIDE):
                found[rule.endpoint] = app.url_for(rule.endpoint, **{name: given[name] for name in rule.arguments})
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_as_it_should_be(context: BrowserContext, site: Site, language: str) -> None:
    walker = Walker(context, language, "pages")
    views = EVERY_VIEW if language == "en" else [PHONE]  # where the longer words of a language do not fit first
    pages = addresses(site)
    visitors = {name: pages.pop(name) for name in list(pages) if name.startswith(_VISITORS)}
    for name in opened(walker, visitors):
        look(walker, name, views)
    sign_in(walker.page)
    assert len(pages) >= 3
    for name in opened(walker, pages):
        look(walker, name, views)
    assert walker.complaints == []


def look(walker: Walker, name: str, views: Sequence[View]) -> None:
    """Look at the open page; in English, then at the same page written from right to left."""
    walker.look(name, views)
    if walker.language == "en":
        walker.page.evaluate("document.documentElement.dir = 'rtl'")
        walker.view(f"{name}-right-to-left", [(390, "dark")])


def test_the_browser_knows_every_feature_that_it_is_told_to_keep_from_a_page(chromium: Browser, site: Site) -> None:
    told: list[str] = []
    with chromium.new_context(base_url=site.url) as context:
        page = context.new_page()
        page.on("console", lambda message: told.append(message.text))
        page.goto("/feedback/")
        page.evaluate("console.log('the last word')")
        assert told == ["the last word"]


def test_the_stylesheets_know_no_left_and_right() -> None:
    for name in ("site.css", "admin/dashboard.css", "admin/topics.css"):
        rules = re.sub(r"/\*.*?\*/", "", (CHECKOUT / "static" / name).read_text(), flags=re.DOTALL)
        assert re.findall(r"[\w-]*\b(?:left|right)\b[\w-]*\s*[:;]", rules) == [], name


def opened(walker: Walker, pages: dict[str, str]) -> Iterator[str]:
    """The name of each page, while it is open."""
    for name, address in pages.items():
        walker.start()
        answer = walker.page.goto(address)
        if answer and answer.headers.get("content-type", "").startswith("text/html"):
            yield name
