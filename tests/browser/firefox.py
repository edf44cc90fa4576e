"""Drive a real Firefox: its pages, permission prompt, decryption and notifications."""

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.browser.desktop import Alert, Desktop
from tests.browser.firefox_process import FirefoxMissingError, FirefoxProcess, executable
from tests.browser.marionette import Marionette, MarionetteError
from tests.browser.pages import Element

__all__ = ["Alert", "Element", "Firefox", "FirefoxMissingError", "MarionetteError", "executable"]

_SECONDS_TO_QUIT = 5.0


class Firefox(Desktop):
    """`with Firefox(tmp_path / "profile", service.websocket_url) as browser:` starts Firefox, headless.

    The profile directory is created if it is missing, and never removed: a second start with it has the cookies,
    permissions and subscriptions of the first. Raise FirefoxMissingError if no Firefox is installed. Give every test
    its own site (another port), because permissions belong to the origin.
    """

    def __init__(self, profile_dir: Path, push_url: str) -> None:
        self._profile = profile_dir
        self._push_url = push_url
        self._process: FirefoxProcess | None = None

    def __enter__(self) -> Self:
        self._profile.mkdir(parents=True, exist_ok=True)
        self._process = FirefoxProcess(self._profile, self._push_url)
        try:
            self._marionette: Marionette = self._process.connect()
            self._known_tabs = set(self.tabs)
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Quit, so that the profile is written, then kill the processes that are left."""
        if self._process is None:
            return
        with suppress(MarionetteError, OSError):
            self._marionette.call("Marionette:Quit", flags=["eForceQuit"])
            self._process.wait(_SECONDS_TO_QUIT)
        self._marionette.close()
        self._process.kill()
        self._process = None
