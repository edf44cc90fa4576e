"""Fixtures for the visual tests: a Chromium, and a site with content of every kind."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

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
    return _first("/usr/lib/chromium/chromium", shutil.which("chromium"), shutil.which("google-chrome"))


def headless_shell() -> str | None:
    """Return the path of the Chromium without windows, which starts and loads pages in half the time, or of another."""
    return _first("/usr/lib/chromium/chromium-headless-shell", shutil.which("chromium-headless-shell"), executable())


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Run Playwright, once for all browsers."""
    expect.set_options(timeout=30_000)  # milliseconds; the usual 5 s are too few on a busy machine
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Run the Chromium without windows, which starts faster; no notification is ever allowed there."""
    yield from _running(playwright, headless_shell())


@pytest.fixture(scope="package")
def cookies() -> list[Any]:
    """Return a list in which `signed_in` keeps the administrator's cookies."""
    return []


@pytest.fixture
def page(chromium: Browser, site: Site, cookies: list[Any]) -> Iterator[Page]:
    """Return an empty page on a phone, in a browser that is signed in."""
    with chromium.new_context(
        base_url=site.url, locale="en", viewport={"width": 390, "height": 844}, reduced_motion="reduce"
    ) as context:
        yield signed_in(context, cookies)


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


def signed_in(context: BrowserContext, cookies: list[Any]) -> Page:
    """Return a page of a browser with these cookies; sign in, and keep its own ones, if their session has ended."""
    context.add_cookies(cookies)
    page = context.new_page()
    if not context.request.get("/admin/account", max_redirects=0).ok:
        sign_in(page)
        cookies[:] = context.cookies()
    return page


def _settings(folder: Path, redis_url: str) -> Settings:
    return make_settings(f"sqlite:///{folder / 'site.sqlite'}", redis_url, folder)


def _running(playwright: Playwright, program: str | None) -> Iterator[Browser]:
    if not program:
        pytest.skip("Chromium is not installed")
    browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
    yield browser
    browser.close()


def _first(*places: str | None) -> str | None:
    return next((place for place in places if place and Path(place).exists()), None)
