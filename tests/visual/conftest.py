"""Fixtures for the visual tests: a Chromium, and a site with content of every kind."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from feedback_push.config import Settings
from tests import servers
from tests.conftest import make_settings
from tests.site import Site
from tests.visual import fixtures
from tests.visual.walker import sign_in

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
]


def executable() -> str | None:
    """Return the path of Chromium itself, not of Debian's launcher script; None if it is not installed."""
    places = ("/usr/lib/chromium/chromium", shutil.which("chromium") or "", shutil.which("google-chrome") or "")
    return next((place for place in places if place and Path(place).exists()), None)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Run Chromium, headless."""
    if not executable():
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, site: Site) -> Iterator[Page]:
    """Return a page of the dashboard on a phone, signed in."""
    with chromium.new_context(
        base_url=site.url, locale="en", viewport={"width": 390, "height": 844}, reduced_motion="reduce"
    ) as context:
        opened = context.new_page()
        sign_in(opened)
        yield opened


@pytest.fixture(scope="package")
def site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a site with messages, devices and deliveries of every kind."""
    folder = tmp_path_factory.mktemp("walk")
    shutil.copy(migrated_sqlite, folder / "site.sqlite")
    with servers.redis_server(folder) as redis_url, Site(_settings(folder, redis_url)) as running:
        fixtures.fill(running)
        running.serve()
        yield running


@pytest.fixture(scope="package")
def bare_site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a new site with rate limits and spam protection turned on."""
    folder = tmp_path_factory.mktemp("bare")
    shutil.copy(migrated_sqlite, folder / "site.sqlite")
    with servers.redis_server(folder) as redis_url:
        wary = replace(_settings(folder, redis_url), ratelimit_enabled=True, form_defence=True)
        with Site(wary) as running:
            running.create_user(fixtures.STAFF)
            running.serve()
            yield running


@pytest.fixture
def context(chromium: Browser, site: Site, language: str) -> Iterator[BrowserContext]:
    """Open a separate browser profile in this language."""
    opened = chromium.new_context(base_url=site.url, locale=language, reduced_motion="reduce")
    yield opened
    opened.close()


def _settings(folder: Path, redis_url: str) -> Settings:
    return make_settings(f"sqlite:///{folder / 'site.sqlite'}", redis_url, folder)
