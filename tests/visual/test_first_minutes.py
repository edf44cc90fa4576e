"""The first minutes in Chromium: the checklist of an empty inbox, and a phone that a QR code signs in."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, BrowserContext

from feedback_push.auth import accounts, sign_in_links
from feedback_push.database import db
from feedback_push.feedback.models import Message
from tests.site import Site
from tests.visual import fixtures
from tests.visual.walker import View, Walker, sign_in

VIEWS: tuple[View, ...] = (
    *((390, "light"), (390, "dark"), (820, "light"), (820, "dark"), (1440, "light"), (1440, "dark")),
    (1280, "dark"),
)
REFUSED = "This sign-in link does not work, or no longer works."


@pytest.fixture
def profile(chromium: Browser, site: Site) -> Callable[[], BrowserContext]:
    """Make a new browser profile, which closes with the browser."""
    return lambda: chromium.new_context(base_url=site.url, locale="en", reduced_motion="reduce")


def test_a_qr_code_signs_a_second_profile_in_once(profile: Callable[[], BrowserContext]) -> None:
    desk = Walker(profile(), "en", "first-minutes")
    desk.start()
    sign_in(desk.page)
    desk.page.goto("/admin/devices")
    desk.page.get_by_role("button", name="Show QR code").click()
    code = desk.page.get_by_role("img", name="QR code of a link that signs you in")
    assert code.is_visible()
    assert desk.page.evaluate("document.activeElement.id") == "phone-title"
    desk.view("devices-qr-code", VIEWS)
    address = desk.page.locator("#sign-in-link").inner_text()

    phone = Walker(profile(), "en", "first-minutes")
    phone.start()
    asked: list[str] = []
    phone.page.on("request", lambda request: asked.append(f"{request.url} {request.headers.get('referer')}"))
    phone.page.goto(address)
    button = phone.page.get_by_role("button", name=f"Sign in as {fixtures.STAFF}")
    button.wait_for()
    phone.view("sign-in-link", VIEWS)
    button.click()
    phone.page.wait_for_url("**/admin/")
    secret = address.partition("#")[2]
    assert asked
    assert [line for line in asked if secret in line.replace(f"{address} None", "")] == []
    assert secret not in phone.page.evaluate("document.cookie + location.href")

    late = Walker(profile(), "en", "first-minutes")
    late.start()
    late.page.goto(address)
    late.page.get_by_role("alert").wait_for()
    assert late.page.get_by_role("alert").inner_text() == REFUSED
    late.view("sign-in-link-refused", VIEWS)
    assert late.page.goto("/admin/").url.endswith("/login?next=/admin/")  # type: ignore[union-attr]
    assert [*desk.complaints, *phone.complaints, *late.complaints] == []


def test_a_preview_of_the_link_leaves_it_unused(profile: Callable[[], BrowserContext], site: Site) -> None:
    with site.database():
        user = accounts.find(fixtures.STAFF)
        assert user
        address = sign_in_links.make(user)
        db.session.commit()
    preview = profile().new_page()
    preview.goto(address)
    preview.get_by_role("button", name="Sign in as").wait_for()  # as far as a program goes that follows links
    person = profile().new_page()
    person.goto(address)
    person.get_by_role("button", name="Sign in as").click()
    person.wait_for_url("**/admin/")


def test_an_empty_inbox_is_a_checklist_whose_link_can_be_copied(chromium: Browser, bare_site: Site) -> None:
    with bare_site.database():
        db.session.query(Message).delete()
        db.session.commit()
    context = chromium.new_context(base_url=bare_site.url, locale="en", reduced_motion="reduce")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    walker = Walker(context, "en", "first-minutes")
    walker.start()
    sign_in(walker.page)
    walker.look("checklist", VIEWS)
    tag = f'<a href="{bare_site.url}/feedback/">Give feedback</a>'
    assert walker.page.locator("#link-tag").inner_text() == tag
    walker.page.get_by_role("button", name="Copy").click()
    walker.page.get_by_role("button", name="Copied").wait_for()
    walker.page.goto("/feedback/")
    walker.page.locator("#content").focus()
    walker.page.keyboard.press("Control+V")
    assert walker.page.input_value("#content") == tag
    assert walker.complaints == []
    context.close()
