"""Control what Firefox shows outside its pages: the permission prompt, and alerts, which are its notifications."""

from dataclasses import dataclass
from typing import Any, Literal

from tests.browser.pages import Pages

_WAIT = """
const until = async (look, milliseconds) => {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const found = look();
    if (found || Date.now() > deadline) return found;
    await new Promise(resolve => setTimeout(resolve, 10));
  }
};
"""
_ALERTS = """
const alertWindows = () => [...Services.wm.getEnumerator("alert:alert")].filter(
  w => w.gIsActive && !w.gIsReplaced && !w.closed);
const described = w => ({
  title: w.document.getElementById("alertTitleLabel").value,
  body: w.document.getElementById("alertTextLabel").textContent,
  source: w.document.getElementById("alertSourceLabel").value,
});
const titled = title => alertWindows().filter(w => !title || described(w).title === title).at(-1);
"""
_ANSWER_PROMPT = """
const [answer, milliseconds] = arguments;
window.focus();  // an open alert has the focus, and a prompt waits for it
const panel = PopupNotifications.panel;
const prompt = await until(() => panel.state === "open" && panel.firstElementChild, milliseconds);
if (!prompt) return false;
prompt[answer].click();
return await until(() => panel.state === "closed", milliseconds);
"""
_ACTION = """
w.gAlertListener.observe({
  QueryInterface: ChromeUtils.generateQI(["nsIAlertAction"]), action: name,
}, "alertclickcallback", w.gAlertCookie);
w.close();
"""


@dataclass(frozen=True)
class Alert:
    """A notification on the screen; `source` names the site. Firefox cuts a body after 200 characters."""

    title: str
    body: str
    source: str


# Firefox has fetched the icon, and shows a copy of it.
_AVERAGE_COLOUR = """
const icon = w.document.getElementById("alertImage");
if (!(await until(() => icon.src, arguments[1]))) return null;
const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d");
context.drawImage(await createImageBitmap(await (await fetch(icon.src)).blob()), 0, 0, 1, 1);
const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
return "#" + [red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("");
"""

_PICTURE = """
const icon = w.document.getElementById("alertImage");
if (!(await until(() => icon.src, arguments[1]))) return null;
const bitmap = await w.browsingContext.currentWindowGlobal.drawSnapshot(
  new DOMRect(0, 0, w.innerWidth, w.innerHeight), 1, "white");
const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
canvas.getContext("2d").drawImage(bitmap, 0, 0);
const blob = await canvas.convertToBlob({ type: "image/png" });
return await new Promise((resolve) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.readAsDataURL(blob);
});
"""


class Desktop(Pages):
    """Answer prompts and read alerts. An alert closes by itself after 20 seconds."""

    def accept_permission_prompt(self, timeout: float = 60) -> None:
        """Click "Allow" in the prompt that a page's request opened."""
        self._answer_prompt("button", timeout)

    def block_permission_prompt(self, timeout: float = 60) -> None:
        """Click the prompt's other button, which denies the permission."""
        self._answer_prompt("secondaryButton", timeout)

    def grant_notifications(self) -> None:
        """Allow notifications for the site of this page, without a prompt."""
        self._set_notifications("granted")

    def withdraw_notifications(self) -> None:
        """Reset the permission, so that the site may ask again."""
        self._set_notifications("prompt")

    @property
    def alerts(self) -> list[Alert]:
        """The alerts on the screen, oldest first."""
        return [Alert(**each) for each in self.chrome(f"{_ALERTS} return alertWindows().map(described)")]

    def alert(self, title: str | None = None, timeout: float = 60) -> Alert:
        """Return the newest alert (with this title), as soon as there is one."""
        return Alert(**self._in_alert("return described(w)", title, timeout))

    def alert_icon_colour(self, title: str | None = None, timeout: float = 60) -> str:
        """Return the average colour of the alert's icon, as #rrggbb, as soon as there is an alert with an icon."""
        return str(self._in_alert(_AVERAGE_COLOUR, title, timeout))

    def alert_picture(self, title: str | None = None, timeout: float = 60) -> str:
        """Return a picture of the alert, as the address of a PNG that contains it."""
        return str(self._in_alert(_PICTURE, title, timeout))

    def click_alert(self, title: str | None = None, timeout: float = 60) -> None:
        """Click the alert; the service worker gets a `notificationclick`."""
        self._in_alert("w.onAlertClick(); return true", title, timeout)

    def close_alert(self, title: str | None = None, timeout: float = 60) -> None:
        """Close the alert; the service worker gets a `notificationclose`."""
        self._in_alert("w.onAlertClose(); return true", title, timeout)

    def click_alert_action(self, action: str, title: str | None = None, timeout: float = 60) -> None:
        """Simulate a click on one of the `actions`; this Firefox draws no buttons for them."""
        self._in_alert(f"const name = arguments[2]; {_ACTION} return true", title, timeout, action)

    def _in_alert(self, action: str, title: str | None, timeout: float, *args: Any) -> Any:
        find = "const w = await until(() => titled(arguments[0]), arguments[1]); if (!w) return null;"
        result = self.chrome(f"{_WAIT} {_ALERTS} {find} {action}", title, timeout * 1000, *args)
        if result is None:
            wanted = f"alert titled {title!r}" if title else "alert"
            raise TimeoutError(f"no {wanted} within {timeout:g} s; on the screen: {self.alerts}")
        return result

    def _answer_prompt(self, button: Literal["button", "secondaryButton"], timeout: float) -> None:
        if not self.chrome(_WAIT + _ANSWER_PROMPT, button, timeout * 1000):
            raise TimeoutError(f"no permission prompt could be answered within {timeout:g} s")

    def _set_notifications(self, state: Literal["granted", "prompt"]) -> None:
        descriptor = {"name": "notifications"}
        self._marionette.call("WebDriver:SetPermission", descriptor=descriptor, state=state)
