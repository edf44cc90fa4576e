"""Use the dashboard as an administrator does, in a real Firefox."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

from sqlalchemy import delete, select

from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.push.models import Delivery, Subscription
from tests import servers
from tests.browser.firefox import Firefox
from tests.conftest import PASSWORD
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.sessions import Staff
from tests.site import Site

STAFF = "staff@example.org"
_SETTLED = "#push:not([data-state=checking])"
_SUBSCRIPTION = "navigator.serviceWorker.ready.then(({ pushManager }) => pushManager.getSubscription())"
_ASKED = "return PopupNotifications.getNotification('web-notifications', gBrowser.selectedBrowser) !== null"
_KEEP = """
const [host, path, isSecure, cookies] = arguments;
const { SAMESITE_LAX, SCHEME_HTTP, SCHEME_HTTPS } = Ci.nsICookie;
const scheme = isSecure ? SCHEME_HTTPS : SCHEME_HTTP;
const soon = Date.now() + 3_600_000;
for (const [name, value] of cookies)
  Services.cookies.add(host, path, name, value, isSecure, true, true, soon, {}, SAMESITE_LAX, scheme);
"""
# Close the alerts last: without permission, a site cannot show another.
_FORGET = """
await new Promise(done => Services.clearData.deleteDataFromHost(
  arguments[0], true, Ci.nsIClearDataService.CLEAR_ALL, {onDataDeleted: done}));
for (const alert of Services.wm.getEnumerator("alert:alert")) alert.close();
"""


class Dashboard:
    """`with Dashboard(…) as dashboard:` makes an account, and at the end clears the browser and the database."""

    def __init__(self, browser: Firefox, site: Site, service: PushService, ca_file: Path | None = None) -> None:
        self.browser = browser
        self.site = site
        self.service = service
        self.ca_file = ca_file

    def __enter__(self) -> Self:
        self.site.create_user(STAFF)
        return self

    def __exit__(self, *_: object) -> None:
        while len(self.browser.tabs) > 1:
            self.browser.close_tab()
        self.browser.open("about:blank")
        self.browser.chrome(_FORGET, urlsplit(self.site.url).hostname)
        self.site.empty()

    # --- Actions of a person ---

    def sign_in(self, email: str = STAFF, page: str = "") -> None:
        """Open a page of the dashboard with the cookies of a new session, because typing into the form takes longer."""
        settings = self.site.settings
        with Staff(settings, self.ca_file) as staff:
            assert staff.sign_in(email, PASSWORD, "/login?next=/healthz").ok
            [path] = staff.cookie_paths
            host = urlsplit(settings.site_url).hostname
            self.browser.chrome(_KEEP, host, path, settings.https, list(staff.cookies.items()))
        self.browser.open(urljoin(self.site.dashboard, page))
        self.browser.wait_for(_SETTLED)

    def fill_in_sign_in_form(self, email: str = STAFF) -> None:
        """Fill in and send the sign-in form, once the page has loaded completely."""
        self.browser.wait_for("#email")
        self.browser.wait_for(lambda: self.browser.script("return document.readyState") == "complete")
        self.browser.find("#email").type(email)
        self.browser.find("#password").type(PASSWORD)
        self.browser.find("main button[type=submit]").click()

    def visit(self, page: str = "") -> str:
        """Open a page of the dashboard; return the state that its card settles in."""
        self.browser.open(urljoin(self.site.dashboard, page))
        return self.browser.wait_for(_SETTLED).attribute("data-state") or ""

    def turn_on(self) -> Device:
        """Enable notifications, allow them, and wait until the card says so; return the push service's device."""
        self.browser.find("#push-enable").click()
        self.browser.accept_permission_prompt()
        self.wait_for_card("on")
        return self.service.devices[-1]

    # --- Observations ---

    def wait_for_card(self, state: str) -> str:
        """Return the card's text, as soon as the card is in this state."""
        # Find the card and read it in one step, because the page may reload itself in between.
        return self.browser.wait_for(lambda: self.browser.find(f"#push[data-state={state}]").text)

    def wait_for_devices(self, *devices: Device) -> None:
        """Wait until the server has stored exactly these devices."""
        wanted = [device.endpoint for device in devices]
        servers.wait_until(lambda: self.devices == wanted, 60, "the devices")

    def wait_for_receipt(self, arrived: Callable[[Delivery], bool]) -> None:
        """Wait until the browser's report about the newest notification is stored, and `arrived` accepts it."""

        def look() -> bool:
            with self.site.database():
                return arrived(db.session.query(Delivery).order_by(Delivery.id.desc()).limit(1).one())

        servers.wait_until(look, 60, "the receipt")

    @property
    def asks_for_permission(self) -> bool:
        """True if a page has asked for permission, even if the browser does not show the prompt."""
        return bool(self.browser.chrome(_ASKED))

    @property
    def devices(self) -> list[str]:
        """The endpoints that the server has stored."""
        return list(self.owners)

    @property
    def owners(self) -> dict[str, str]:
        """The stored endpoints with the e-mail addresses of their administrators."""
        query = select(Subscription.endpoint, User.email).join(Subscription.user).order_by(Subscription.id)
        with self.site.database():
            return {row.endpoint: row.email for row in db.session.execute(query)}

    @property
    def subscription(self) -> dict[str, Any]:
        """The browser's own subscription; a page of the dashboard must be open."""
        return dict(self.browser.async_script(f"return (await {_SUBSCRIPTION}).toJSON()"))

    # --- Faults ---

    def unsubscribe_untold(self) -> None:
        """Remove the browser's subscription without telling the server."""
        self.browser.async_script(f"await (await {_SUBSCRIPTION}).unsubscribe()")

    def subscribe_untold(self) -> str:
        """Subscribe the browser without telling the server; return its endpoint."""
        key = "(await (await fetch('/push/key')).json()).applicationServerKey"
        options = f"{{userVisibleOnly: true, applicationServerKey: {key}}}"
        made = f"(await navigator.serviceWorker.ready).pushManager.subscribe({options})"
        return str(self.browser.async_script(f"return (await {made}).endpoint"))

    def forget_devices(self) -> None:
        """Delete the devices from the server."""
        with self.site.database():
            db.session.execute(delete(Subscription))
            db.session.commit()

    def lose_cookies(self) -> None:
        """Delete the cookies: the browser is signed out, and its pages do not know it, as after a long time."""
        self.browser.chrome("Services.cookies.removeAll()")
