"""A site with an accent and a logo of its own: nothing that is chosen, selected or new keeps our green."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from feedback_push import accent
from tests import servers
from tests.conftest import make_settings
from tests.feedback.messages import receive
from tests.site import Site
from tests.visual import fixtures
from tests.visual.walker import sign_in

ACCENT = "#8b1e3f"
_COLOURS = """async () => {
  const colour = (element, name) => getComputedStyle(element)[name];
  const [selected, arrived] = document.querySelectorAll("#messages > li");
  arrived.classList.add("arrived");
  const [animation] = arrived.getAnimations();
  animation.pause();
  animation.currentTime = 0;
  const box = selected.querySelector("[type=checkbox]");
  box.checked = true;
  await Promise.all(document.getAnimations().filter((one) => one !== animation).map((one) => one.finished));
  const link = selected.querySelector(".row-link");
  link.focus({ focusVisible: true });
  return {
    list: colour(document.querySelector(".lists a[aria-current]"), "backgroundColor"),
    selected: colour(selected, "backgroundColor"),
    arrived: colour(arrived, "backgroundColor"),
    box: colour(box, "backgroundColor"),
    focus: colour(link, "outlineColor"),
  };
}"""


@pytest.fixture(scope="module")
def site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a site with an accent and a square logo of its own, and two messages."""
    folder = tmp_path_factory.mktemp("accent")
    shutil.copy(migrated_sqlite, folder / "site.sqlite")
    logo = folder / "logo.svg"
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>')
    with servers.redis_server(folder) as redis_url:
        settings = make_settings(f"sqlite:///{folder / 'site.sqlite'}", redis_url, folder)
        with Site(replace(settings, site_accent=ACCENT, site_logo=str(logo))) as running:
            running.create_user(fixtures.STAFF)
            with running.database():
                receive()
                receive()
            running.serve()
            yield running


def test_lists_selections_arrivals_and_focus_have_the_sites_own_colour(chromium: Browser, site: Site) -> None:
    schemes: list[tuple[Literal["light", "dark"], accent.Shades]] = [
        ("light", accent.light(ACCENT)),
        ("dark", accent.dark(ACCENT)),
    ]
    for scheme, shades in schemes:
        with chromium.new_context(base_url=site.url, color_scheme=scheme, reduced_motion="no-preference") as context:
            page = context.new_page()
            sign_in(page)
            tint, text, button = (rgb(colour) for colour in (shades.tint, shades.text, shades.button))
            seen = page.evaluate(_COLOURS)
            assert seen == {"list": tint, "selected": tint, "arrived": tint, "box": button, "focus": text}, scheme


def test_a_square_logo_is_as_high_as_a_wide_one(chromium: Browser, site: Site) -> None:
    with chromium.new_context(base_url=site.url) as context:
        page = context.new_page()
        for address in ("/feedback/", "/feedback/complete/", "/login"):
            page.goto(address)
            box = page.locator("main img").bounding_box()
            assert box
            assert box["height"] == 56, address


def rgb(colour: str) -> str:
    """Return the colour as a browser spells it."""
    return f"rgb({', '.join(str(part) for part in bytes.fromhex(colour[1:]))})"
