"""The reply box on a message's page, by keyboard: its draft outlives a reload and a session, but not its sending."""

import os

import pytest
from playwright.sync_api import Page, expect

from feedback_push.auth import accounts, sessions
from feedback_push.database import db
from tests.conftest import PASSWORD
from tests.site import Site
from tests.visual import fixtures
from tests.visual.walker import PICTURES, sign_in

_PAGE = f"/admin/messages/{fixtures.MOST_NOTIFIED}"


def test_an_answer_is_written_and_sent_by_keyboard_and_nothing_of_it_is_lost_before(page: Page, site: Site) -> None:
    page.goto(_PAGE)
    page.keyboard.press("r")
    box = page.locator("#answer")
    expect(box).to_be_focused()
    page.keyboard.type("Thank you, ")
    page.reload()
    expect(box).to_have_value("Thank you, ")
    expect(page.locator("#draft-kept")).to_be_visible()
    page.goto(f"{_PAGE}#answer")  # as the notification's button does
    expect(box).to_be_focused()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("x" * 3000)  # more than a cookie keeps
    with site.database():
        staff = accounts.find(fixtures.STAFF)
        assert staff
        sessions.end_all(staff)
        db.session.commit()
    with page.expect_navigation(url="**/login?**"):
        page.keyboard.press("Control+Enter")
    page.fill("#email", fixtures.STAFF)
    page.fill("#password", PASSWORD)
    page.click("main form button[type=submit]")
    page.get_by_role("link", name="Back to the page").click()
    expect(box).to_have_value(f"Thank you, {'x' * 3000}")
    box.fill("Thank you!")
    with page.expect_navigation():
        page.keyboard.press("Control+Enter")
    expect(page.locator("#latest .message-text")).to_have_text("Thank you!")
    expect(page.locator("#latest")).to_be_focused()
    expect(box).to_have_value("")
    page.reload()
    expect(box).to_have_value("")


def test_drafts_belong_to_their_message_and_end_with_signing_out(page: Page) -> None:
    page.goto(_PAGE)
    page.locator("#answer").fill("Not for others")
    page.goto(f"/admin/messages/{fixtures.LONG}")
    expect(page.locator("#answer")).to_have_value("")
    page.locator("details.menu > summary").first.click()
    with page.expect_navigation(url="**/login"):
        page.get_by_role("button", name="Sign out").click()
    sign_in(page)
    page.goto(_PAGE)
    expect(page.locator("#answer")).to_have_value("")


@pytest.mark.parametrize("width", [390, 1440])
def test_a_conversation_fits_its_page_in_light_and_dark(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(f"/admin/messages/{fixtures.CONVERSATION}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if os.environ.get("PICTURES"):
            page.locator(".history summary").nth(1).click()
            folder = PICTURES / "conversation"
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=folder / f"{width}-{scheme}.png", full_page=True)
