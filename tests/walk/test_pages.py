"""Every page at three widths, light and dark, in every language: nothing overflows, moves or keeps people out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from feedback_push import create_app
from feedback_push.language import LANGUAGES
from tests.conftest import PASSWORD
from tests.servers import CHECKOUT
from tests.site import Site
from tests.walk import sights

PICTURES = CHECKOUT / "tests" / "walk" / "pictures"  # to be looked at; git ignores them
WIDTHS = (390, 768, 1280)
SCHEMES = ("light", "dark")
CHECKED = [(390, "light"), (1280, "dark")]  # by axe, which takes long: every colour and either layout
_ARGUMENTS: dict[str, Any] = {"message_id": sights.MOST_TOLD}
# Addresses that answer with something other than a page, and those that lead elsewhere.
_NO_PAGES = {
    "static",
    "feedback.home",
    "health.healthz",
    "health.readyz",
    "push.key",
    "feedback.challenge",
    "admin.ledger",
    "admin.news",
}
_ASIDE = ("sw.js", ".webmanifest", ".js", ".css", ".json", ".csv")
_VISITORS = ("feedback.", "auth.login")
_MOVED = """() => new Promise(done => new PerformanceObserver((list, observer) => {
  observer.disconnect();
  done(list.getEntries().filter(entry => !entry.hadRecentInput).reduce((sum, { value }) => sum + value, 0));
}).observe({ type: "layout-shift", buffered: true }) ?? setTimeout(done, 200, 0))"""
_OVERFLOWS = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""


def addresses(site: Site) -> dict[str, str]:
    """Every page of the site by the name of its endpoint, read from the application itself."""
    app = create_app(site.settings)
    found = {}
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if "GET" in (rule.methods or ()) and rule.endpoint not in _NO_PAGES and not rule.rule.endswith(_ASIDE):
                found[rule.endpoint] = app.url_for(rule.endpoint, **{name: _ARGUMENTS[name] for name in rule.arguments})
    return found


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def context(chromium: Browser, site: Site, language: str) -> Iterator[BrowserContext]:
    opened = chromium.new_context(base_url=site.url, locale=language, reduced_motion="reduce")
    yield opened
    opened.close()


def test_every_page_is_as_it_should_be(context: BrowserContext, site: Site, language: str) -> None:
    fresh_folder(PICTURES / language)
    page = context.new_page()
    complaints = listen(page)
    pages = addresses(site)
    visitors = {name: pages.pop(name) for name in list(pages) if name.startswith(_VISITORS)}
    for name, address in visitors.items():
        complaints += look_at(page, name, address, language)
    sign_in(page)
    assert len(pages) >= 3
    for name, address in pages.items():
        complaints += look_at(page, name, address, language)
    assert complaints == []


def look_at(page: Page, name: str, address: str, language: str) -> list[str]:
    """What is wrong with a page at any width and in any colours; its pictures are kept."""
    answer = page.goto(address)
    if answer is None or not answer.headers.get("content-type", "").startswith("text/html"):
        return []
    found = [] if answer.ok else [f"answers {answer.status}"]
    found += [] if page.evaluate("document.documentElement.lang") == language else ["is in another language"]
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 844})
            found += [f"overflows by {by} pixels at {width}" for by in [page.evaluate(_OVERFLOWS)] if by > 0]
            if language == "en" and (width, scheme) in CHECKED:
                found += [f"{width} {scheme}: {words}" for words in barriers(page)]
            page.screenshot(path=PICTURES / language / f"{name}-{width}-{scheme}.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    moved = page.evaluate(_MOVED)
    return [f"{name}: {words}" for words in [*found, *([f"moves by {moved:.3f}"] if moved > 0 else [])]]


def listen(page: Page) -> list[str]:
    """What the browser complains of from now on: failed scripts, blocked or missing files."""
    complaints: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"{page.url}: {message.text}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    return complaints


def barriers(page: Page) -> list[str]:
    """What axe-core finds, as one line each."""
    violations = Axe().run(page).response["violations"]
    return [f"{rule['id']} at {node['target']}: {rule['help']}" for rule in violations for node in rule["nodes"]]


def sign_in(page: Page) -> None:
    page.goto("/login")
    page.fill("#email", sights.STAFF)
    page.fill("#password", PASSWORD)
    page.click("main form button[type=submit]")
    page.wait_for_url("**/admin/")


def fresh_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
