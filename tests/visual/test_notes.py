"""A note from the inbox: selected, written, previewed and sent by keyboard, on pages that fit and keep nobody out."""

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.visual.walker import EVERY_VIEW, Walker, sign_in


@pytest.mark.parametrize("language", ["en"])
def test_a_note_is_written_and_sent_by_keyboard_alone(context: BrowserContext, language: str) -> None:
    walker = Walker(context, language, "notes")
    walker.start()
    page = walker.page
    sign_in(page)
    page.goto("/admin/?list=all&q=hello")
    walker.look("search", EVERY_VIEW)
    page.locator("#begin-note").press("Enter")
    box = page.locator("#content")
    expect(box).to_be_focused()
    walker.look("form", EVERY_VIEW)
    page.keyboard.type("   ")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # marks the messages as answered
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#content-error")).to_be_visible()
    expect(page.locator("#marks_answered")).to_be_checked()
    walker.look("refused", EVERY_VIEW, status=422)
    walker.start()
    box.fill("The export works again.\n\nThank you: see https://example.org/news")
    page.get_by_role("button", name="Preview").press("Enter")
    expect(page.locator("#preview a")).to_have_attribute("href", "https://example.org/news")
    walker.look("preview", EVERY_VIEW)
    walker.start()
    page.locator("#send").press("Enter")
    expect(page.locator("#figures")).to_be_visible()
    walker.look("sent", EVERY_VIEW)
    assert walker.complaints == []


@pytest.mark.parametrize("language", ["en"])
def test_a_selection_leads_to_a_note_on_a_phone(context: BrowserContext, language: str) -> None:
    walker = Walker(context, language, "notes")
    walker.start()
    page = walker.page
    sign_in(page)
    for box in page.locator("#messages [type=checkbox]").all()[:3]:
        box.check()
    page.locator("button.more").click()
    walker.view("selection", [(390, "light"), (390, "dark"), (1280, "light")], part=".bulk-actions")
    walker.start()
    page.get_by_role("button", name="Write to these writers").click()
    expect(page.locator("#reach-title")).to_contain_text("3 messages")
    assert walker.complaints == []
