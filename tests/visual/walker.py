"""Visit pages, check each at every width and in both colour schemes, and collect the complaints.

With PICTURES=1 in the environment, each view is also saved to tests/visual/pictures for people to look at.
"""

import os
from collections.abc import Sequence
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Response

from tests.conftest import PASSWORD
from tests.servers import CHECKOUT
from tests.visual import fixtures

PICTURES = CHECKOUT / "tests" / "visual" / "pictures"
View = tuple[int, Literal["light", "dark"]]
PHONE: View = (390, "light")
DESK: View = (1280, "dark")
CHECKED = (PHONE, DESK)  # by axe, which is slow: both colour schemes and both layouts
EVERY_VIEW: Sequence[View] = (PHONE, (390, "dark"), (768, "light"), (768, "dark"), (1280, "light"), DESK)
_HEIGHT = 844
_VISIBLE = 0.001  # a score of the Layout Instability API; a shift by a part of a pixel has less
_COUNT_SHIFTS = """
window.moved = 0;
window.watched = new PerformanceObserver((list) => count(list.getEntries()));
function count(entries) {
  for (const { value, hadRecentInput } of entries) if (!hadRecentInput) window.moved += value;
}
window.watched.observe({ type: "layout-shift", buffered: true });
window.settled = async () => {
  const settling = () => document.querySelector("#push[data-state=checking]");
  const frame = () => new Promise(requestAnimationFrame);
  for (let frames = 0; frames < 3 || (settling() && frames < 300); frames++) await frame();
  count(window.watched.takeRecords());
  return window.moved;
};
"""
# Only the lines are returned, because axe's whole report takes as long to return as to make. One row of each kind is
# checked: the contrast of all rows would take half of the time.
_BARRIERS = """async (part) => {
  const kinds = new Set();
  const alike = [...document.querySelectorAll("#messages > li")].filter((row) => {
    const parts = [row, ...row.querySelectorAll("*")];
    const kind = parts.map(({ tagName, className, checked }) => `${tagName}.${className} ${checked}`).join();
    return kinds.size === kinds.add(kind).size;
  });
  const { violations } = await axe.run({ include: [part || document], exclude: alike }, {
    resultTypes: ["violations"],
  });
  return violations.flatMap(({ id, help, nodes }) => nodes.map(({ target }) => `${id} at ${target}: ${help}`));
}"""
_AXE = Axe()
_OVERFLOWS = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""


class Walker:
    """Check pages in one tab; `complaints` lists the problems found."""

    def __init__(self, context: BrowserContext, language: str, folder: str) -> None:
        context.add_init_script(_COUNT_SHIFTS)
        if language == "en":
            context.add_init_script(_AXE.axe_script)  # three times as fast as to send it to each page
        self.page = context.new_page()
        self.language = language
        self.complaints: list[str] = []
        self._folder = PICTURES / folder / language
        self._status = 0
        self._navigations: set[str] = set()
        self._listen(self.page)

    def start(self) -> None:
        """Set the width of a phone; pages are opened at this width, so that layout shifts on a phone are found."""
        width, scheme = PHONE
        self.page.set_viewport_size({"width": width, "height": _HEIGHT})
        self.page.emulate_media(color_scheme=scheme)

    def look(
        self, name: str, views: Sequence[View], status: int = 200, part: str = "", checked: Sequence[View] = CHECKED
    ) -> None:
        """Check the open page, or a part of it, at these widths and in these colour schemes; some of them with axe."""
        self.wait_until_settled(name)
        found = [f"answers {self._status}"] if self._status != status else []
        found += (
            [] if self.page.evaluate("document.documentElement.lang") == self.language else ["is in another language"]
        )
        self.complaints += [f"{name}: {words}" for words in found]
        self.view(name, views, part, checked)

    def wait_until_settled(self, name: str) -> None:
        """Wait until the page has settled, and complain if anything on it has moved until then."""
        moved = self.page.evaluate("settled()")
        self.complaints += [f"{name}: moves by {moved:.3f}"] if moved >= _VISIBLE else []

    def view(self, name: str, views: Sequence[View], part: str = "", checked: Sequence[View] = CHECKED) -> None:
        """Check the page as `look` does, but not its status, its language or how it settled."""
        found = []
        for width, scheme in views if os.environ.get("PICTURES") else _different(views):
            self.page.set_viewport_size({"width": width, "height": _HEIGHT})
            self.page.emulate_media(color_scheme=scheme)
            is_checked = self.language == "en" and (width, scheme) in checked
            found += [f"{width} {scheme}: {words}" for words in self._flaws(part, with_axe=is_checked)]
            if os.environ.get("PICTURES"):  # for people only: no test compares them
                self._save(f"{name}-{width}-{scheme}.png", part)
        self.complaints += [f"{name}: {words}" for words in found]

    def _flaws(self, part: str, *, with_axe: bool) -> list[str]:
        found = [f"overflows by {by} pixels" for by in [self.page.evaluate(_OVERFLOWS)] if by > 0]
        return found + (barriers(self.page, part) if with_axe else [])

    def _save(self, name: str, part: str) -> None:
        picture = self._folder / name
        picture.parent.mkdir(parents=True, exist_ok=True)
        if part:
            self.page.locator(part).screenshot(path=picture)
        else:
            self.page.screenshot(path=picture, full_page=True)

    def _listen(self, page: Page) -> None:
        def on_response(response: Response) -> None:
            if response.request.is_navigation_request():
                self._status = response.status
                self._navigations.add(response.url)

        def on_console(message: ConsoleMessage) -> None:
            refused_page = message.text.startswith("Failed to load") and message.location["url"] in self._navigations
            if message.type == "error" and not refused_page:  # the status of a page is checked separately
                self.complaints.append(f"{page.url}: {message.text}")

        page.on("response", on_response)
        page.on("console", on_console)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))


def _different(views: Sequence[View]) -> list[View]:
    """Leave out views as wide as another, because the colours do not change the layout; prefer those for axe."""
    widths = {view[0]: view for view in sorted(views, key=CHECKED.__contains__)}
    return [view for view in views if view in widths.values()]


def sign_in(page: Page) -> None:
    """Sign in, which opens the inbox."""
    page.goto("/login")
    page.fill("#email", fixtures.STAFF)
    page.fill("#password", PASSWORD)
    page.click("main form button[type=submit]")
    page.wait_for_url("**/admin/")


def barriers(page: Page, part: str = "") -> list[str]:
    """Return axe-core's findings on a page or a part of it, one line each."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE.axe_script)
    found: list[str] = page.evaluate(_BARRIERS, part)
    return found
