"""Visitors of a running site; each has an HTTP session that acts like a browser without JavaScript."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from feedback_push.config import Settings
from tests.doubles.push_device import Device
from tests.visits import Page

_TIMEOUT = 20.0  # seconds


class Visitor:
    """A visitor that keeps cookies, reads pages, and sends their forms."""

    def __init__(self, settings: Settings, ca_file: Path | None = None) -> None:
        self._settings = settings
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.verify = str(ca_file) if ca_file else True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, address: str) -> requests.Response:
        """Request an address, absolute or below SITE_URL."""
        return self._http.get(self._absolute(address), timeout=_TIMEOUT)

    def read(self, address: str) -> Page:
        """Return the page at an address."""
        return Page(self.get(address))

    def send(self, address: str, /, **typed: str) -> requests.Response:
        """Open the page at an address, fill in its form and send it; return the answer after all redirects."""
        page = self.get(address)
        fields = {**Page(page).fields, **typed}
        return self._http.post(page.url, fields, headers={"Referer": page.url}, timeout=_TIMEOUT)

    def write(self, content: str, name: str = "Ada", email: str = "") -> requests.Response:
        """Send a message with the feedback form."""
        return self.send("/feedback/", content=content, submitter_name=name, submitter_email=email)

    def _absolute(self, address: str) -> str:
        return address if "://" in address else f"{self._settings.site_url}{address}"

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name."""
        return {cookie.name: cookie.value or "" for cookie in self._http.cookies}

    @property
    def cookie_paths(self) -> set[str]:
        """The paths of the cookies."""
        return {cookie.path for cookie in self._http.cookies}

    def forget_cookies(self) -> None:
        """Delete all cookies."""
        self._http.cookies.clear()


class Staff(Visitor):
    """An administrator at the dashboard."""

    def sign_in(self, email: str, password: str, address: str = "/login") -> requests.Response:
        """Send the sign-in form; an address of the dashboard redirects to it too."""
        return self.send(address, email=email, password=password)

    def sign_out(self) -> requests.Response:
        """Click the sign-out button of the dashboard; return the answer after the redirect."""
        fields = {"csrf_token": self.dashboard().fields["csrf_token"]}
        headers = {"Referer": self._settings.site_url}
        return self._http.post(self._absolute("/logout"), fields, headers=headers, timeout=_TIMEOUT)

    def dashboard(self, page: str = "") -> Page:
        """Return a page of the dashboard, by default the inbox."""
        return self.read(self._settings.admin_url + page)

    def subscribe(self, *devices: Device) -> None:
        """Turn on notifications for browsers, as the subscription script does."""
        token = self.dashboard().one("meta", name="csrf-token").attributes["content"]
        for device in devices:
            self._post_json("/push/subscribe", device.as_json(), token)

    def _post_json(self, address: str, body: Any, token: str) -> None:
        headers = {"X-CSRFToken": token, "Referer": self._settings.site_url}
        self._http.post(self._absolute(address), json=body, headers=headers, timeout=_TIMEOUT).raise_for_status()
