"""The editor of a form in Chromium: its preview follows what somebody types, under the site's own policy."""

from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.site import Site
from tests.visual import fixtures
from tests.visual.conftest import signed_in


def test_the_preview_follows_what_is_typed_and_saving_shows_it_to_visitors(page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(f"/admin/forms/{fixtures.FORM}")
    preview = page.locator("#form-preview")
    expect(preview.locator(".preview-title")).to_have_text("How was your order?")
    page.fill("#title_en", "<b>Was it good?</b>")
    page.select_option("#rating", "thumbs")
    page.fill("#button_en", "Go")
    expect(preview.locator(".preview-title")).to_have_text("<b>Was it good?</b>")
    expect(preview.locator(".rating label")).to_have_count(2)
    page.fill("#title_de", "Und?")
    page.select_option("#preview_language", "de")
    expect(preview.locator(".preview-title")).to_have_text("Und?")
    assert preview.evaluate("element => element.inert")  # nobody types into it by mistake
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("saved")
    page.goto(f"/feedback/{fixtures.FORM}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("<b>Was it good?</b>")
    page.get_by_label("Thumbs up").check(force=True)
    assert complaints == []


def test_without_a_script_the_button_shows_the_preview(chromium: Browser, site: Site, cookies: list[Any]) -> None:
    with chromium.new_context(base_url=site.url, java_script_enabled=False) as plain:
        without = signed_in(plain, cookies)
        without.goto("/admin/forms/new")
        without.fill("#title_en", "New one")
        without.get_by_role("button", name="Preview").click()
        expect(without.locator("#form-preview .preview-title")).to_have_text("New one")
        expect(without.locator("#title_en")).to_have_value("New one")
