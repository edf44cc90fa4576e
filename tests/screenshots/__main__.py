"""`make screenshots`: take the pictures of the documentation anew. Needs Chromium and Firefox; says what is missing."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from sqlalchemy import select

from feedback_push.database import db
from feedback_push.demo import filling
from feedback_push.topics.models import Topic
from tests import servers
from tests.browser import firefox
from tests.conftest import make_settings, migrate
from tests.screenshots import notification
from tests.servers import CHECKOUT
from tests.site import Site
from tests.visual.conftest import FLAGS, executable
from tests.visual.fixtures import STAFF
from tests.visual.walker import sign_in

FOLDER = CHECKOUT / "docs" / "pictures"
README = CHECKOUT / "docs" / "screenshot.png"
_WIDTH, _HEIGHT, _PHONE = 1280, 800, 390
_WITHOUT_BANNERS = "document.querySelectorAll('#demo, #no-device').forEach(banner => banner.remove())"


def main() -> int:
    """Make a site with the demonstration's data, and write a picture of each page."""
    missing = [name for name, program in (("chromium", executable()), ("firefox", firefox.executable())) if not program]
    if missing:
        print(f"No picture taken, because this is not installed: {', '.join(missing)}.")
        return 1
    with tempfile.TemporaryDirectory() as folder, servers.redis_server(Path(folder)) as redis_url:
        settings = make_settings(f"sqlite:///{folder}/site.sqlite", redis_url, Path(folder))
        migrate(settings.database_url, Path(folder))
        with Site(settings) as site:
            addresses = _fill(site)
            site.serve()
            _take(site, addresses)
    return 0


def _fill(site: Site) -> dict[str, str]:
    """Add the data; return the address of each picture's page by its name."""
    site.create_user(STAFF)
    with site.database():
        filling.add()
        slug = db.session.scalars(select(Topic.slug)).one()
        db.session.commit()
    return {
        "inbox": "/admin/",
        "form": "/feedback/demo/",
        "follow": f"/follow/{slug}",
    }


def _take(site: Site, addresses: dict[str, str]) -> None:
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=executable(), args=FLAGS)
        page = browser.new_page(base_url=site.url, locale="en", reduced_motion="reduce")
        sign_in(page)  # once, because a second new browser would be announced on every page
        for name, address in addresses.items():
            width = _WIDTH if address.startswith("/admin/") else _PHONE
            page.set_viewport_size({"width": width, "height": _HEIGHT})
            _picture(page, address, FOLDER / f"{name}.png")
        notification.take(browser.new_page(), README)
        browser.close()
    _print(README)


def _picture(page: Page, address: str, file: Path) -> None:
    page.goto(address)
    page.evaluate(_WITHOUT_BANNERS)
    page.screenshot(path=file, animations="disabled")
    _print(file)


def _print(file: Path) -> None:
    print(f"{file.relative_to(CHECKOUT)}: {file.stat().st_size // 1024} kB")


if __name__ == "__main__":
    sys.exit(main())
