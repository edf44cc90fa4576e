"""The page of a message: its actions stay in reach and cover nothing, and its history opens from one line."""

import os

from playwright.sync_api import Page

from tests.visual import fixtures
from tests.visual.walker import PICTURES

_LONG = fixtures.LONG
_ANSWER = ".reading .answer, .reading button"


def test_the_actions_stay_in_view_while_a_long_message_is_read(page: Page) -> None:
    page.goto(f"/admin/messages/{_LONG}")
    page.evaluate("document.querySelector('.message').scrollIntoView({ block: 'end' })")
    for action in page.locator(_ANSWER).all():
        box = action.bounding_box()
        assert box is not None
        assert 0 <= box["y"] < 200


def test_at_four_times_the_size_nothing_covers_the_text(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 225})  # 1280 x 900 at 400 %
    page.goto(f"/admin/messages/{_LONG}")
    page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    covering = "document.elementsFromPoint(160, 20).some((each) => each.matches('.reading, .reading *'))"
    assert not page.evaluate(covering)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_has_the_focus_is_never_behind_the_actions(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 600})
    page.goto(f"/admin/messages/{fixtures.MOST_NOTIFIED}")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        hidden = """() => {
          const { left, top, width, height } = document.activeElement.getBoundingClientRect();
          const there = document.elementFromPoint(left + Math.min(width, 20) / 2, top + height / 2);
          return there && !document.activeElement.closest(".reading") && Boolean(there.closest(".reading"));
        }"""
        assert not page.evaluate(hidden), page.evaluate("document.activeElement.outerHTML")


def test_keys_tag_and_assign_and_the_page_comes_back_to_the_field(page: Page) -> None:
    page.goto(f"/admin/messages/{_LONG}")
    page.keyboard.press("t")
    page.keyboard.type("typed, twice")
    page.keyboard.press("Enter")
    page.wait_for_url("**#tag")
    assert page.locator(".filing bdi").all_inner_texts() == ["twice", "typed"]
    assert page.evaluate("document.activeElement.id") == "tag"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("a")
    assert page.evaluate("document.activeElement.id") == "assignee"
    assert page.evaluate("document.activeElement.labels[0].offsetHeight") < 30  # one line


def test_the_history_is_one_line_that_opens_and_stays_open(page: Page) -> None:
    page.goto(f"/admin/messages/{fixtures.MOST_NOTIFIED}")
    assert not page.locator("#deliveries").is_visible()
    line = page.locator("#history summary")
    assert "Shown" in line.inner_text()
    line.click()
    assert page.locator("#deliveries").is_visible()
    page.evaluate("document.querySelector('#deliveries .pill').textContent = 'old'")
    page.evaluate("navigator.serviceWorker.dispatchEvent(new MessageEvent('message', { data: {} }))")
    page.locator("#deliveries .pill", has_text="old").wait_for(state="detached")
    assert page.locator("#deliveries").is_visible()
    assert page.evaluate("document.activeElement.localName") == "summary"


def test_the_print_has_the_message_and_none_of_the_controls(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(media="print", color_scheme=scheme)
        page.goto(f"/admin/messages/{fixtures.MOST_NOTIFIED}")
        shown = page.locator("main").inner_text()
        assert "The export button does nothing" in shown
        assert "ada@example.org" in shown
        assert "Firefox" in shown.splitlines()
        for hidden in (".bar", ".reading", ".filing", "#history", ".others", "nav"):
            assert not page.locator(hidden).first.is_visible(), hidden
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("getComputedStyle(document.getElementById('content')).color") == "rgb(0, 0, 0)"


def test_a_message_and_its_tags_fit_the_page_at_every_width(page: Page) -> None:
    for name, address in (
        *(("short", f"/admin/messages/{fixtures.MOST_NOTIFIED}"), ("long", f"/admin/messages/{_LONG}")),
        *(("tags", "/admin/tags"), ("list", "/admin/?tag=bug")),
    ):
        page.goto(address)
        for width in (390, 820, 1440):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, width)
            if os.environ.get("PICTURES"):
                save_pictures(page, f"{name}-{width}")


def save_pictures(page: Page, name: str) -> None:
    folder = PICTURES / "message"
    folder.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        page.emulate_media(media="screen", color_scheme=scheme)
        page.screenshot(path=folder / f"{name}-{scheme}.png", full_page="long" not in name)
    page.emulate_media(media="print")
    page.screenshot(path=folder / f"{name}-print.png")
    page.emulate_media(media="screen")
