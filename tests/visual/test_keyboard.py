"""The whole dashboard by keyboard alone, in Chromium: the focus is always seen, and never lost."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import PASSWORD
from tests.site import Site
from tests.visual import fixtures

# What is wrong with the focus, in a few words; nothing while somebody sees where it is.
_FOCUS = """() => {
  const focused = document.activeElement;
  if (!focused || focused === document.body) return "lost";
  const { outlineStyle, outlineWidth } = getComputedStyle(focused);
  if (focused.id !== "main" && (outlineStyle === "none" || parseFloat(outlineWidth) < 2)) return "without an outline";
  const { left, top, width, height } = focused.getClientRects()[0] ?? {};
  if (!width || !height) return "nowhere";
  const seen = document.elementFromPoint(left + width / 2, top + Math.min(height / 2, innerHeight / 2));
  return focused.contains(seen) || seen?.contains(focused) ? "" : `covered by ${seen?.outerHTML.slice(0, 200)}`;
}"""
_MOST_STOPS = 40


@pytest.fixture
def page(chromium: Browser, site: Site) -> Iterator[Page]:
    """The sign-in page, on a small laptop."""
    context = chromium.new_context(base_url=site.url, reduced_motion="reduce", viewport={"width": 1024, "height": 800})
    opened = context.new_page()
    opened.goto("/login")
    yield opened
    context.close()


def press(page: Page, *keys: str) -> None:
    """Press keys one after the other; after each the focus is where it can be seen."""
    for key in keys:
        page.keyboard.press(key)
        assert fault_of_focus(page) == "", (key, page.url, page.evaluate("document.activeElement.outerHTML"))


def fault_of_focus(page: Page) -> str:
    """Return what hides the focus for five seconds; empty as soon as it can be seen."""
    for _ in range(50):
        if not (fault := page.evaluate(_FOCUS)):
            break
        page.wait_for_timeout(100)
    return str(fault)


def tab_to(page: Page, words: str) -> None:
    """Go on with Tab until the focus is on what bears these words."""
    for _ in range(_MOST_STOPS):
        press(page, "Tab")
        if page.evaluate("document.activeElement.innerText").strip() == words:
            return
    raise AssertionError(f"{words} cannot be reached at {page.url}")


def follow(page: Page, key: str = "Enter") -> None:
    """Press a key that leads to another page."""
    with page.expect_navigation():
        page.keyboard.press(key)


def name_in_focus(page: Page) -> str:
    return str(page.evaluate("document.activeElement.closest('#messages > li')?.querySelector('bdi').textContent"))


def test_the_whole_dashboard_is_worked_by_keyboard_alone(page: Page, site: Site) -> None:
    press(page, "Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    press(page, "Tab")
    page.keyboard.type(fixtures.STAFF)
    press(page, "Tab")
    page.keyboard.type(PASSWORD)
    press(page, "Tab", "Space", "Tab")
    follow(page)
    expect(page.locator("h1")).to_have_text("Inbox")

    press(page, "Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    press(page, "Enter")
    assert page.evaluate("document.activeElement.id") == "messages"
    press(page, "j", "j", "k", "x", "j", *["j"] * 12)  # the selection's buttons are at the lower edge now
    press(page, *["k"] * 13, "x")
    first = name_in_focus(page)
    follow(page)
    expect(page.locator("h1")).to_have_text(first)
    follow(page, "u")

    press(page, "k")
    follow(page, "e")
    expect(page.get_by_role("status").filter(has_text="1 message archived.")).to_be_visible()
    assert page.get_by_role("link", name=first, exact=True).count() == 0
    for _ in range(_MOST_STOPS):
        press(page, "Shift+Tab")
        if page.evaluate("document.activeElement.innerText").strip() == "Undo":
            break
    follow(page)
    expect(page.get_by_role("link", name=first, exact=True)).to_be_focused()

    press(page, "j", "/")
    page.keyboard.type("zoë e?")
    assert page.input_value("[name=q]") == "zoë e?"  # typed, and no command
    press(page, "Backspace", "Backspace", "Backspace")
    follow(page)
    assert page.locator("#messages > li").count() == 1
    tab_to(page, "Show all")
    press(page, "?")
    assert page.evaluate("document.activeElement.closest('dialog').id") == "keys"
    press(page, "Escape")
    assert page.evaluate("document.activeElement.innerText") == "Show all"
    follow(page)

    tab_to(page, "Devices")
    follow(page)
    tab_to(page, "Rename")
    press(page, "Enter")
    tab_to(page, "Save")
    for _ in range(_MOST_STOPS):
        press(page, "Shift+Tab")
        if page.evaluate("document.activeElement.innerText").strip() == "More":
            break
    press(page, "Enter")
    tab_to(page, "Settings")
    follow(page)
    expect(page.locator("h1")).to_have_text("Settings")
    tab_to(page, "More")
    press(page, "Space")
    tab_to(page, "Sign out")
    follow(page)
    page.wait_for_url("**/login")


def test_a_message_that_comes_meanwhile_is_announced_and_takes_the_focus_from_nobody(page: Page, site: Site) -> None:
    page.fill("#email", fixtures.STAFF)
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_url("**/admin/")
    press(page, "j", "j")
    reading = name_in_focus(page)
    site.visitor().write("Hello", name="Somebody new")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # or in ten seconds
    expect(page.locator("[role=status]", has_text="1 new message")).to_be_attached()
    assert name_in_focus(page) == reading
    assert fault_of_focus(page) == ""
    page.get_by_role("button", name="1 new message").press("Enter")
    assert name_in_focus(page) == "Somebody new"
    assert fault_of_focus(page) == ""
