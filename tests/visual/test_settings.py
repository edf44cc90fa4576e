"""The settings in Chromium: what happens on the page before anything is sent."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.site import Site
from tests.visual.conftest import signed_in

_LITTLE = 32
# The pixels between the last that is seen in the card of a box and the card's end.
_FOOT = """(id) => {
  const card = document.getElementById(id).closest(".card");
  const seen = [...card.querySelectorAll("input, select, .error")].filter((element) => element.checkVisibility());
  return card.getBoundingClientRect().bottom - Math.max(...seen.map((it) => it.getBoundingClientRect().bottom));
}"""


@pytest.fixture
def page(chromium: Browser, site: Site, cookies: list[Any]) -> Iterator[Page]:
    """The page, in a browser that is in Vilnius."""
    context = chromium.new_context(base_url=site.url, timezone_id="Europe/Vilnius")
    opened = signed_in(context, cookies)
    opened.goto("/admin/settings")
    yield opened
    context.close()


def test_the_browsers_own_time_zone_is_offered_until_it_is_chosen(page: Page) -> None:
    offer = page.locator("#own-zone")
    assert offer.inner_text().endswith("Europe/Vilnius")
    offer.get_by_role("button").click()
    assert page.input_value("#time_zone") == "Europe/Vilnius"
    assert not offer.is_visible()
    assert page.evaluate("document.activeElement.id") == "time_zone"
    page.select_option("#time_zone", "Europe/Berlin")
    assert offer.is_visible()


def test_the_example_follows_the_choice_and_nothing_moves(page: Page) -> None:
    shown = {}
    for choice in ("all", "name", "nothing"):
        page.check(f"[name=shows][value={choice}]")
        shown[choice] = [text.strip() for text in page.locator(".example:visible").all_inner_texts()]
    assert [len(texts) for texts in shown.values()] == [1, 1, 1]
    assert [texts[0].splitlines()[0] for texts in shown.values()] == ["Ada Lovelace:", "Ada Lovelace:", "New message"]
    assert "export" in shown["all"][0]
    assert "export" not in shown["name"][0]


@pytest.mark.parametrize("box", ["quiet", "burst"])
def test_what_belongs_to_a_box_is_seen_while_it_is_checked(page: Page, box: str) -> None:
    details = page.locator(f"section:has(#{box}) .halves")
    page.uncheck(f"#{box}")
    assert not details.is_visible()
    foot = page.evaluate(_FOOT, box)
    page.check(f"#{box}")
    assert details.is_visible()
    assert foot < _LITTLE
    assert page.evaluate(_FOOT, box) < _LITTLE
