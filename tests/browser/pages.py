"""Pages and tabs of a browser that Marionette drives, as a visitor uses them."""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, overload

from tests.browser.marionette import Marionette, MarionetteError

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_LOOK_AGAIN_SECONDS = 0.03

T = TypeVar("T")


@dataclass(frozen=True)
class Element:
    """One element of the page that was open when it was found."""

    marionette: Marionette
    id: str

    @property
    def text(self) -> str:
        """The text that a visitor reads."""
        return str(self.marionette.call("WebDriver:GetElementText", id=self.id))

    @property
    def is_displayed(self) -> bool:
        """True if a visitor can see it."""
        return bool(self.marionette.call("WebDriver:IsElementDisplayed", id=self.id))

    def click(self) -> None:
        """Scroll it into view and click it with a trusted event; raise MarionetteError if something covers it."""
        self.marionette.call("WebDriver:ElementClick", id=self.id)

    def type(self, text: str) -> None:
        """Type into it, after the text that it has already."""
        self.marionette.call("WebDriver:ElementSendKeys", id=self.id, text=text)

    def clear(self) -> None:
        """Empty the field."""
        self.marionette.call("WebDriver:ElementClear", id=self.id)

    def attribute(self, name: str) -> str | None:
        """Return the attribute from the page's HTML, or None."""
        value = self.marionette.call("WebDriver:GetElementAttribute", id=self.id, name=name)
        return cast("str | None", value)


class Pages:
    """Use pages as a person does; commands go to the tab that was switched to last."""

    _marionette: Marionette
    _known_tabs: set[str]

    @property
    def url(self) -> str:
        """The address of the page."""
        return str(self._marionette.call("WebDriver:GetCurrentURL"))

    @property
    def text(self) -> str:
        """The whole text that a visitor reads on the page."""
        return self.find("body").text

    @property
    def tabs(self) -> list[str]:
        """The handles of all open tabs."""
        return list(self._marionette.call("WebDriver:GetWindowHandles"))

    def open(self, url: str) -> None:
        """Open this address and wait until the page is loaded."""
        self._marionette.call("WebDriver:Navigate", url=url)

    def find(self, css: str) -> Element:
        """Return the first element that matches; raise MarionetteError if none does."""
        found = self._marionette.call("WebDriver:FindElement", using="css selector", value=css)
        return Element(self._marionette, found[_ELEMENT])

    def script(self, javascript: str, *args: Any) -> Any:
        """Run the body of a function in the page; it gets the args as `arguments`, and a promise is awaited."""
        return self._marionette.call("WebDriver:ExecuteScript", script=javascript, args=list(args))

    def async_script(self, javascript: str, *args: Any) -> Any:
        """Run a script like `script`, but its body may use `await`."""
        return self.script(f"return (async function () {{ {javascript} }}).apply(null, arguments)", *args)

    @overload
    def wait_for(self, wanted: str, timeout: float = 60) -> Element: ...
    @overload
    def wait_for(self, wanted: Callable[[], T], timeout: float = 60) -> T: ...
    def wait_for(self, wanted: str | Callable[[], Any], timeout: float = 60) -> Any:
        """Return the element that matches, or the function's first true result; retry after a MarionetteError."""
        look = (lambda: self.find(wanted)) if isinstance(wanted, str) else wanted
        deadline = time.monotonic() + timeout
        while True:
            result, reason = _try(look)
            if result:
                return result
            if time.monotonic() > deadline:
                text, _ = _try(lambda: self.text)
                raise TimeoutError(f"{wanted} not within {timeout:g} s: {reason}; the page is {self.url}:\n{text}")
            time.sleep(_LOOK_AGAIN_SECONDS)

    def open_tab(self, url: str) -> str:
        """Open this address in a new tab, switch to it, and return its handle."""
        handle = str(self._marionette.call("WebDriver:NewWindow", type="tab")["handle"])
        self.switch_to_tab(handle)
        self.open(url)
        return handle

    def switch_to_tab(self, handle: str) -> None:
        """Show this tab, and send all later commands to it."""
        self._marionette.call("WebDriver:SwitchToWindow", handle=handle, focus=True)
        self._known_tabs = set(self.tabs)

    def switch_to_newest_tab(self, timeout: float = 60) -> str:
        """Wait for a tab that has opened since the last switch, switch to it, and return its handle."""
        newest = self.wait_for(lambda: [tab for tab in self.tabs if tab not in self._known_tabs], timeout)[-1]
        self.switch_to_tab(newest)
        return newest

    def close_tab(self) -> None:
        """Close this tab and switch to another one."""
        remaining = self._marionette.call("WebDriver:CloseWindow")
        self.switch_to_tab(remaining[0])

    def set_window_size(self, width: int, height: int) -> None:
        """Resize the window; pages can be narrower than Firefox's smallest window, 500 pixels."""
        self._marionette.call("WebDriver:SetWindowRect", width=width, height=height)
        self.chrome("gBrowser.selectedBrowser.style.maxWidth = arguments[0] + 'px'", width)
        self.wait_for(lambda: self.script("return innerWidth") == width)

    def screenshot(self, path: Path, width: int | None = None) -> None:
        """Save the whole page as a PNG; with a width, first resize the window to it and leave it so."""
        if width is not None:
            self.set_window_size(width, 900)
        path.write_bytes(base64.b64decode(self._marionette.call("WebDriver:TakeScreenshot", full=True)))

    def chrome(self, javascript: str, *args: Any) -> Any:
        """Run the body of an async function in the browser's own window, with the browser's privileges."""
        self._marionette.call("Marionette:SetContext", value="chrome")
        try:
            return self.async_script(javascript, *args)
        finally:
            self._marionette.call("Marionette:SetContext", value="content")


def _try(look: Callable[[], Any]) -> tuple[Any, str]:
    try:
        result = look()
    except MarionetteError as error:
        return None, str(error)
    return result, repr(result)
