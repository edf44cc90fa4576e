"""Following topics in Chromium: every state of the page, the keyboard, a broadcast's picture, and the embedded link."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from feedback_push.database import db, utcnow
from feedback_push.push.models import Follower
from feedback_push.topics.broadcasts import Draft, notification_of
from feedback_push.topics.models import Broadcast, Topic
from tests.conftest import KEYS
from tests.site import Site
from tests.visual import fixtures
from tests.visual.walker import DESK, PHONE, Walker, barriers

# Offline, Chromium never finishes a subscription, and without windows it always says "denied". So this browser has a
# subscription from the beginning, or can make it at once.
_SUBSCRIPTION = """
(([key, endpoint, denied]) => {
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const keys = { p256dh: key, auth: "A".repeat(22) };
  const made = { endpoint, options: { applicationServerKey: bytes(key).buffer }, toJSON: () => ({ endpoint, keys }) };
  PushManager.prototype.getSubscription = async () => localStorage.getItem("made") && made;
  PushManager.prototype.subscribe = async () => { localStorage.setItem("made", "yes"); return made; };
  Object.defineProperty(Notification, "permission", { get: () => (denied ? "denied" : "granted") });
})(%s)
"""
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604"


def pretend(context: BrowserContext, name: str, *, denied: bool = False) -> None:
    """Let pages have a subscription with this name, or none because notifications are blocked."""
    context.grant_permissions(["notifications"])
    known = json.dumps([KEYS.public_key, f"http://127.0.0.1:1/wpush/{name}", denied])
    context.add_init_script(_SUBSCRIPTION % known)


def pause(slug: str) -> None:
    """Commit that every follower of a topic is paused."""
    audience = db.session.query(Topic.audience_id).filter_by(slug=slug).scalar()
    db.session.query(Follower).filter_by(audience_id=audience).update({"paused_at": utcnow()})
    db.session.commit()


@pytest.mark.parametrize("language", ["en", "de"])  # which has the longest words
def test_the_page_is_as_it_should_be_in_every_state(
    chromium: Browser, context: BrowserContext, site: Site, language: str
) -> None:
    pretend(context, f"states-{language}")
    walker = Walker(context, language, "follow")
    page = walker.page
    walker.start()
    page.goto(f"/follow/{fixtures.HIDDEN}")
    page.locator("[type=submit]").click()
    expect(page.locator("#follow")).to_have_attribute("data-state", "on")
    page.goto("/follow/")
    for slug in ("tricks", "goodies"):
        page.locator(f"[value={slug}]").check()
    page.locator("[type=submit]").click()
    expect(page.locator("[data-told=saved]")).to_be_visible()
    with site.database():
        pause("goodies")
    page.goto("/follow/")
    expect(page.locator("#paused-topics")).to_be_visible()
    expect(page.locator("#other-topics")).to_be_visible()
    expect(page.locator("[value=tricks]")).to_be_checked()
    expect(page.locator("[value=goodies]")).not_to_be_checked()
    walker.look("on", [PHONE, (390, "dark"), DESK])
    assert walker.complaints == []
    states: dict[str, dict[str, Any]] = {
        "denied": {},
        "ios-needs-install": {"user_agent": _IPHONE},
        "none": {"java_script_enabled": False},
    }
    for state, more in states.items():
        settings = {"base_url": site.url, "locale": language, "reduced_motion": "reduce", **more}
        with closing(chromium.new_context(**settings)) as other:
            if state == "denied":
                pretend(other, "denied", denied=True)
            elif state == "ios-needs-install":
                other.add_init_script("delete window.PushManager")
            _look(other, language, state)


def _look(context: BrowserContext, language: str, state: str) -> None:
    if state == "none":
        page = context.new_page()
        page.goto("/follow/")
        expect(page.locator("noscript p")).to_be_visible()
        expect(page.locator("[type=submit]")).to_be_disabled()
        expect(page.locator(".feed").first).to_be_visible()
        return
    walker = Walker(context, language, "follow")
    walker.start()
    walker.page.goto("/follow/")
    expect(walker.page.locator("#follow")).to_have_attribute("data-state", state)
    walker.look(state, [PHONE, DESK])
    expect(walker.page.locator("[type=submit]")).to_be_hidden()
    assert walker.complaints == []


@pytest.mark.parametrize("language", ["en"])
def test_topics_are_followed_and_left_by_keyboard_alone(context: BrowserContext) -> None:
    pretend(context, "keyboard")
    page = context.new_page()
    page.goto("/follow/")
    expect(page.locator("#topics:not([disabled])")).to_be_attached()
    stop_at(page, "[value=tricks]")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")  # as in every form
    expect(page.locator("#follow")).to_have_attribute("data-state", "on")
    stop_at(page, "#stop")
    page.keyboard.press("Enter")
    expect(page.locator("[data-told=stopped]")).to_be_visible()
    expect(page.locator("[type=submit]")).to_be_focused()
    expect(page.locator("[value=tricks]")).not_to_be_checked()


def stop_at(page: Page, wanted: str) -> None:
    """Press Tab until the focus is on this element."""
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", wanted):
            return
    raise AssertionError(f"{wanted} cannot be reached")


@pytest.mark.parametrize("language", ["de"])
def test_a_broadcast_has_its_icon_its_picture_and_a_button_to_change(context: BrowserContext, site: Site) -> None:
    pretend(context, "picture")
    page = context.new_page()
    page.goto("/follow/")
    page.locator("[value=tricks]").check()
    page.locator("[type=submit]").click()
    expect(page.locator("#follow")).to_have_attribute("data-state", "on")
    with site.database():
        topic = db.session.query(Topic).filter_by(slug="tricks").one()
        picture = f"{site.url}/logo"
        broadcast = Broadcast(id=7, topic=topic, **Draft("A trick", image_url=picture)._asdict())
        payload = notification_of(broadcast).to_json()
        db.session.rollback()
    [worker] = context.service_workers
    [title, options] = worker.evaluate(_ANNOUNCE, payload)
    assert (title, options["icon"], options["image"]) == ("A trick", f"{site.url}/follow/tricks/icon", picture)
    assert [action["action"] for action in options["actions"]] == ["change"]


# No push reaches Chromium offline, and Firefox shows no picture.
_ANNOUNCE = """async (payload) => {
  let shown;
  self.registration.showNotification = async (...options) => { shown = options; };
  await announce({ json: () => JSON.parse(payload) });
  return shown;
}"""


_HOST = """<!doctype html><html lang="de"><title>Somebody's own page</title>
<p><feedback-follow topic="tricks"></feedback-follow></p>
<p><feedback-follow id="own" topic="tricks"><a href="{site}/follow/tricks">Get our tricks</a></feedback-follow></p>
<p><feedback-follow id="hostile" topic="../admin/?x=<b>"></feedback-follow></p>
<script type="module" src="{site}/embed/follow.js"></script>"""


@contextmanager
def host_page(site: Site) -> Iterator[str]:
    """Serve a page of another site with a strict policy that allows our script and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Security-Policy", f"default-src 'none'; script-src {site.url}")
            self.end_headers()
            self.wfile.write(_HOST.format(site=site.url).encode())

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("language", ["en"])
def test_another_sites_page_with_a_strict_policy_has_the_link(context: BrowserContext, site: Site) -> None:
    page, told = context.new_page(), []
    page.on("console", lambda message: told.append(message.text))
    with host_page(site) as address:
        page.goto(address)
        ours = page.locator("feedback-follow").first.get_by_role("link")
        expect(ours).to_have_text("Folgen")  # the language of the page, not of the browser
        expect(ours).to_have_attribute("href", f"{site.url}/follow/tricks")
        own = page.locator("#own").get_by_role("link")
        expect(own).to_have_count(1)
        expect(own).to_have_text("Get our tricks")
        for link in (ours, own):
            assert link.evaluate("(link) => getComputedStyle(link).borderTopWidth") == "1px"
        hostile = page.locator("#hostile").get_by_role("link")
        expect(hostile).to_have_attribute("href", f"{site.url}/follow/..%2Fadmin%2F%3Fx%3D%3Cb%3E")
        page.evaluate("document.querySelector('feedback-follow').setAttribute('topic', 'goodies')")
        expect(ours).to_have_attribute("href", f"{site.url}/follow/goodies")
        assert barriers(page, "p") == []
        assert told == []
        ours.click()
        page.wait_for_url(f"{site.url}/follow/goodies")
