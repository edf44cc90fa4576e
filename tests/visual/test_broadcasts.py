"""Composing and sending a broadcast in Chromium, by keyboard: the preview, the progress, and the confirmation."""

from playwright.sync_api import Page, expect

from feedback_push.database import db
from feedback_push.topics import broadcasts, topics
from feedback_push.topics.broadcasts import Draft
from feedback_push.topics.models import Broadcast
from tests.site import Site
from tests.visual import fixtures

_TEXTS = "(names) => names.map((name) => [...document.querySelectorAll(name)].map((it) => it.textContent.trim()))"
_PARTS = [".preview-title", ".preview-body", ".preview-picture:not([hidden])"]


def test_the_preview_follows_the_typing_as_the_server_makes_it_and_loads_no_picture(page: Page, site: Site) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"/admin/topics/{fixtures.HIDDEN}/broadcasts/new")
    before = page.evaluate(_TEXTS, _PARTS)
    page.fill("#title", "A" * 28 + "\U0001f1f1\U0001f1f9" * 9)
    page.fill("#body", "Words of five letters. " * 20)
    page.fill("#image_url", "https://pictures.example/a.png")
    typed = page.evaluate(_TEXTS, _PARTS)
    assert typed != before
    assert typed[0][3] == "A" * 28 + "\U0001f1f1\U0001f1f9…"
    with page.expect_navigation():
        page.eval_on_selector("[value=preview]", "(button) => button.click()")  # which only people without scripts see
    assert page.evaluate(_TEXTS, _PARTS) == typed
    assert [address for address in asked if not address.startswith((site.url, "data:"))] == []


def test_a_page_that_is_open_while_a_broadcast_is_paused_shows_it_and_ends_it_after_a_confirmation(
    page: Page, site: Site
) -> None:
    with site.database():
        broadcast = broadcasts.add(topics.find_all([fixtures.HIDDEN])[0], Draft("Now"))
        assert broadcasts.start(broadcast)
        db.session.commit()
        broadcast_id = broadcast.id
    page.goto(f"/admin/broadcasts/{broadcast_id}")
    expect(page.locator("#state")).to_have_text("Sending")
    with site.database():
        broadcasts.pause(db.session.get_one(Broadcast, broadcast_id))
        db.session.commit()
    expect(page.locator("#state")).to_have_text("Paused")
    page.locator("#end summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#end")).to_contain_text("What is not sent yet is not sent.")
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text("Ended")


def test_a_topic_is_moved_by_keyboard_and_the_focus_stays_with_it(page: Page) -> None:
    page.goto("/admin/topics")
    names = page.locator("#topics .row-name").all_inner_texts()
    for button, order in (("Move “New tricks” down", [1, 0]), ("Move “New tricks” up", [0, 1])):
        page.get_by_role("button", name=button).focus()
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert page.locator("#topics .row-name").all_inner_texts()[:2] == [names[place] for place in order]
        assert "New tricks" in page.evaluate("document.activeElement.ariaLabel")
