"""The picture at the top of the README: the inbox, a real notification in Firefox, and the message on a phone."""

import base64
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Page

from feedback_push.database import db, utcnow
from feedback_push.feedback.models import MessageState
from tests import servers
from tests.browser.dashboard import STAFF, Dashboard
from tests.browser.firefox import Firefox
from tests.conftest import make_settings, migrate
from tests.doubles.push_service import PushService
from tests.feedback.messages import receive
from tests.site import Site

_EARLIER = (
    ("Grace Hopper", "The nightly report ran in half the time after your last update. Thank you!", 2900, True),
    ("Alan Turing", "Is there a way to export only the archived messages?", 1500, True),
    ("Mary Somerville", "A small mistake in the menu: it says “Setings”, and a T is missing.", 420, False),
    ("Charles Babbage", "I would pay for a version that prints its results by itself.", 130, False),
)  # the sender, the text, the minutes since then, and whether somebody has read it
_NEW = ("Ada Lovelace", "The export button does nothing in Firefox. I click it, the page blinks, and no file arrives.")
_DARK = "Services.prefs.setIntPref('layout.css.prefers-color-scheme.content-override', 0)"
_HEIGHT = 760
_PAGE = """
<style>
  body {{ display: flex; gap: 32px; width: max-content; margin: 0; padding: 16px; background: #e6ebe9; }}
  body > * {{ height: {height}px; overflow: hidden; }}
  #desk {{ position: relative; }}
  #alert {{ position: absolute; right: 20px; bottom: 20px; box-shadow: 0 4px 18px #0006; }}
</style>
<div id="desk"><img src="{inbox}"><img id="alert" src="{alert}"></div>
<div><img src="{message}"></div>
"""


def take(page: Page, file: Path) -> None:
    """Send a message to a Firefox with notifications, and lay its pictures out on a page of Chromium."""
    with tempfile.TemporaryDirectory() as temporary, PushService() as service:
        folder = Path(temporary)
        with servers.redis_server(folder) as redis_url:
            settings = make_settings(f"sqlite:///{folder}/site.sqlite", redis_url, folder)
            migrate(settings.database_url, folder)
            with (
                Site(replace(settings, form_defence=False)) as site,
                Firefox(folder / "profile", service.websocket_url) as browser,
            ):
                _start(site)
                pictures = _pictures(Dashboard(browser, site, service), folder)
    page.set_viewport_size({"width": 1454, "height": _HEIGHT + 32})
    page.set_content(_PAGE.format(height=_HEIGHT, **pictures))
    page.locator("body").screenshot(path=file)


def _start(site: Site) -> None:
    site.create_user(STAFF)
    with site.database():
        for name, content, minutes, is_read in _EARLIER:
            message = receive(submitter_name=name, content=content)
            message.created_at = utcnow() - timedelta(minutes=minutes)
            message.state = MessageState.READ if is_read else MessageState.NEW
        db.session.commit()
    site.serve()
    site.work("--pool", "threads")


def _pictures(dashboard: Dashboard, folder: Path) -> dict[str, str]:
    """Return the three pictures as addresses with their content."""
    browser = dashboard.browser
    dashboard.sign_in()
    dashboard.turn_on()
    name, content = _NEW
    dashboard.site.visitor().write(content, name=name)
    found = {"alert": browser.alert_picture(f"{name}:")}
    dashboard.wait_for_receipt(lambda delivery: delivery.shown_at is not None)
    dashboard.visit()
    found["inbox"] = _picture(browser, folder / "inbox.png", 1000)
    browser.chrome(_DARK)
    browser.open(f"{dashboard.site.dashboard}messages/{len(_EARLIER) + 1}")
    browser.wait_for("#history .pill.shown")
    found["message"] = _picture(browser, folder / "message.png", 390)
    return found


def _picture(browser: Firefox, file: Path, width: int) -> str:
    browser.screenshot(file, width)
    return f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"
