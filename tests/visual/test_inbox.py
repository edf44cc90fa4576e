"""The inbox in Chromium: what comes first, what stays in its place, where the focus goes, and what covers nothing."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.site import Site
from tests.visual.walker import sign_in

DESKTOP, PHONE, ZOOMED = (1440, 900), (390, 844), (320, 256)  # 320 pixels: 1280 at 400 %
# A Chromium without windows refuses notifications, because it could not ask anybody.
_UNASKED = "Object.defineProperty(Notification, 'permission', { get: () => 'default' })"
# The site of these tests has an open alarm, a paused webhook and an unseen notice, each with a line above the list.
_END_ALARMS = "document.querySelectorAll('main > .alert').forEach(line => line.remove())"
_TOP = "document.querySelector('#messages > li').getBoundingClientRect().top"
_IN_FOCUS = "document.activeElement.closest('#messages > li')?.querySelector('bdi').textContent"
# Every element over a row's text, at any place that one can scroll to.
_COVERING = """() => {
  const covering = new Set();
  const meet = (one, other) => one.left < other.right && other.left < one.right && one.top < other.bottom;
  const lie = (one, other) => meet(one, other) && other.top < one.bottom;
  for (let y = 0; y < document.documentElement.scrollHeight; y += 100) {
    scrollTo(0, y);
    const texts = [...document.querySelectorAll("#messages > li > *")].map((text) => text.getBoundingClientRect());
    for (const element of document.querySelectorAll("#arrivals, .bulk-actions, #install"))
      if (texts.some((text) => lie(element.getBoundingClientRect(), text))) covering.add(element.outerHTML);
  }
  return [...covering];
}"""


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, site: Site) -> StorageState:
    """The cookies of somebody who has signed in, and nothing else that a browser remembers."""
    with chromium.new_context(base_url=site.url) as context:
        sign_in(context.new_page())
        return {**context.storage_state(), "origins": []}


@pytest.fixture
def opened(chromium: Browser, site: Site, signed_in: StorageState) -> Iterator[Callable[..., Page]]:
    """Open the inbox in a window of this size."""
    contexts = []

    def open_at(size: tuple[int, int], query: str = "") -> Page:
        viewport = {"width": size[0], "height": size[1]}
        context = chromium.new_context(
            base_url=site.url,
            storage_state=signed_in,
            reduced_motion="reduce",
            viewport=viewport,  # type: ignore[arg-type]
        )
        contexts.append(context)
        context.add_init_script(_UNASKED)
        page = context.new_page()
        page.goto(site.dashboard + query)
        page.wait_for_selector("#push:not([data-state=checking])", state="attached")
        return page

    yield open_at
    for context in contexts:
        context.close()


@pytest.mark.parametrize(("size", "most"), [(DESKTOP, 300), (PHONE, 330)])
def test_the_first_row_is_near_the_top_and_few_keys_away(
    opened: Callable[..., Page], size: tuple[int, int], most: int
) -> None:
    page = opened(size)
    expect(page.locator("#push-enable")).to_be_visible()  # the card is there too
    page.evaluate(_END_ALARMS)
    assert page.evaluate(_TOP) < most
    tabs = 0
    while not page.evaluate(_IN_FOCUS):
        page.keyboard.press("Tab")
        tabs += 1
    assert tabs <= 18
    page.reload()
    page.evaluate(_END_ALARMS)
    for key in ("Tab", "Enter", "Tab"):
        page.keyboard.press(key)
    assert page.evaluate(_IN_FOCUS) == page.locator("#messages bdi").first.text_content()
    assert page.evaluate("document.querySelectorAll('#messages > li:first-child *').length") <= 9
    assert page.locator("#messages .pill").count() == 0


def test_a_new_message_pushes_no_row_away_from_somebody(opened: Callable[..., Page], site: Site) -> None:
    at_the_list: dict[str, Callable[[Page], object]] = {
        "focused": lambda page: page.keyboard.press("j"),
        "searching": lambda page: page.focus("[name=q]"),
        "selected": lambda page: page.evaluate("document.querySelector('#messages [name=id]').checked = true"),
        "scrolled": lambda page: page.mouse.wheel(0, 400),
        "pointed at": lambda page: page.hover("#messages > li >> nth=2"),
    }
    page = opened(DESKTOP)
    for name, come in at_the_list.items():
        page.goto(site.dashboard)
        come(page)
        page.wait_for_timeout(100)
        was, first = page.evaluate(_TOP), page.locator("#messages bdi").first.text_content()
        site.visitor().write("Hello", name=f"Came while {name}")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        button = page.get_by_role("button", name="1 new message")
        expect(button).to_be_visible()
        assert (page.evaluate(_TOP), page.locator("#messages bdi").first.text_content()) == (was, first), name
        expect(button).to_be_in_viewport()
        button.click()
        expect(button).to_be_hidden()
        assert page.evaluate(_IN_FOCUS) == f"Came while {name}"
    page.goto(site.dashboard)
    site.visitor().write("Hello", name="Came at once")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#messages bdi").first).to_have_text("Came at once")
    assert not page.locator("#arrivals").is_visible()


def test_menus_close_on_escape_and_on_a_click_beside_them(opened: Callable[..., Page]) -> None:
    page = opened(DESKTOP)
    for summary in (".bar .menu > summary", ".finder .menu > summary"):
        page.click(summary)
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        assert page.locator("details.menu[open]").count() == 0
        assert page.evaluate("(summary) => document.activeElement.matches(summary)", summary)
        page.click(summary)
        page.mouse.click(5, 400)
        assert page.locator("details.menu[open]").count() == 0
        page.click(summary)
        page.focus("[name=q]")
        assert page.locator("details.menu[open]").count() == 0


def test_the_focus_goes_on_where_the_work_does(opened: Callable[..., Page]) -> None:
    page = opened(DESKTOP, "?q=visitor")
    names = page.locator("#messages bdi").all_text_contents()
    page.click("#push-later")
    assert page.evaluate(_IN_FOCUS) == names[0]
    page.check("#messages > li >> nth=2 >> [name=id]")
    with page.expect_navigation():
        page.click("[value=archive]")
    page.wait_for_function(_IN_FOCUS)
    assert page.evaluate(_IN_FOCUS) == names[3]
    with page.expect_navigation():
        page.click(".undo button")
    page.wait_for_function(_IN_FOCUS)
    assert page.evaluate(_IN_FOCUS) == names[2]
    page.check("#messages > li >> nth=1 >> [name=id]")
    page.click("#clear")
    assert page.evaluate(_IN_FOCUS) == names[1]
    assert page.locator("#messages :checked").count() == 0


def test_a_form_with_an_error_has_the_focus_on_its_first_bad_field(chromium: Browser, site: Site) -> None:
    bad = {
        "/login": ({"#email": "nobody@example.org", "#password": "a wrong password"}, "password"),
        "/feedback/": ({"#content": "", "#submitter_name": "", "#submitter_email": "ada at home"}, "content"),
    }
    with chromium.new_context(base_url=site.url) as context:
        page = context.new_page()
        for address, (typed, field) in bad.items():
            page.goto(address)
            for name, text in typed.items():
                page.fill(name, text)
            page.evaluate("document.querySelector('main form').noValidate = true")
            with page.expect_navigation():
                page.click("main form button[type=submit]")
            page.wait_for_function("document.activeElement !== document.body")
            assert page.evaluate("document.activeElement.id") == field


def test_a_selection_is_counted_and_cleared_in_one_line_on_a_phone(opened: Callable[..., Page]) -> None:
    page = opened(PHONE)
    with page.expect_response("**/news*") as answered:  # counts come while messages are selected, too
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    answered.value.finished()
    page.check("#messages > li >> nth=0 >> [name=id]")
    page.check("#messages > li >> nth=1 >> [name=id]")
    assert page.text_content("#selected") == "2 selected"
    assert page.text_content("#news") == "2 selected"
    bar = page.locator("#selection > .bulk-actions")
    assert bar.evaluate("(bar) => getComputedStyle(bar.querySelector('.selected'), '::before').content") == '"2"'
    parts = bar.locator("button:visible, a:visible").all()
    middles = [box["y"] + box["height"] / 2 for part in parts if (box := part.bounding_box())]
    assert len(middles) == 4
    assert max(middles) - min(middles) < 3
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.click(".more")
    expect(page.get_by_role("button", name="Mark as read")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Mark as read")).to_be_hidden()
    page.set_viewport_size({"width": 360, "height": 225})
    page.click(".more")
    assert page.evaluate("document.getElementById('more-actions').getBoundingClientRect().top") >= 0
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.click("#clear")
    expect(bar).to_be_hidden()
    page.click(".finder summary")
    page.click("#select-all")
    assert page.text_content("#selected") == f"{page.locator('#messages > li').count()} selected"


def test_a_search_has_no_empty_fields_in_its_address_and_whole_dates_in_its_menu(opened: Callable[..., Page]) -> None:
    for size in (DESKTOP, PHONE):
        page = opened(size)
        page.click(".finder summary")
        assert (
            min(page.evaluate("[...document.querySelectorAll('[type=date]')].map((field) => field.clientWidth)")) > 175
        )
        page.fill("[name=q]", "hello")
        page.press("[name=q]", "Enter")
        page.wait_for_url("**/?*")
        assert page.url.endswith("/?q=hello")


def test_at_400_percent_nothing_lies_over_the_content(opened: Callable[..., Page], site: Site) -> None:
    page = opened(ZOOMED)
    page.evaluate("document.getElementById('install').hidden = false")
    page.check("#messages > li >> nth=0 >> [name=id]")
    site.visitor().write("Hello", name="Came at 400 percent")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#arrivals")).to_be_visible()
    assert page.evaluate(_COVERING) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= ZOOMED[0]


def test_the_suggestion_to_install_lies_over_the_rows_boxes(opened: Callable[..., Page]) -> None:
    page = opened(PHONE)
    page.evaluate("document.getElementById('install').hidden = false")
    page.mouse.wheel(0, 300)
    page.wait_for_timeout(100)
    beneath = page.evaluate("""() => {
      const { left, right, top, bottom } = document.getElementById("install").getBoundingClientRect();
      const boxes = [...document.querySelectorAll("#messages [name=id]")].map((box) => box.getBoundingClientRect());
      const under = boxes.filter((box) => box.left > left && box.right < right && box.top > top && box.bottom < bottom);
      return under.map(({ x, y }) => document.elementFromPoint(x + 5, y + 5).closest("#install") !== null);
    }""")
    assert beneath
    assert all(beneath)
