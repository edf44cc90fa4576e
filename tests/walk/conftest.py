"""A Chromium and a site with something of everything to see."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from feedback_push.config import Settings
from tests import servers
from tests.conftest import make_settings
from tests.site import Site
from tests.walk import sights

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
]


def executable() -> str | None:
    """Chromium itself rather than Debian's launcher script."""
    places = ("/usr/lib/chromium/chromium", shutil.which("chromium") or "", shutil.which("google-chrome") or "")
    return next((place for place in places if place and Path(place).exists()), None)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser, headless."""
    if not executable():
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with messages, devices and deliveries of every kind."""
    folder = tmp_path_factory.mktemp("walk")
    shutil.copy(migrated_sqlite, folder / "site.sqlite")
    with servers.redis_server(folder) as redis_url, Site(_settings(folder, redis_url)) as running:
        sights.fill(running)
        running.serve()
        yield running


def _settings(folder: Path, redis_url: str) -> Settings:
    return make_settings(f"sqlite:///{folder / 'site.sqlite'}", redis_url, folder)
