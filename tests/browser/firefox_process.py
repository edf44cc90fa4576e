"""Run Firefox as a process: write its profile's settings, start it headless, and make sure that it ends."""

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.browser.marionette import Marionette

_SECONDS_TO_START = 60.0
_NAMES = ("firefox-esr", "firefox")
_ENVIRONMENT = {
    "MOZ_DISABLE_NONLOCAL_CONNECTIONS": "1",
    "MOZ_REMOTE_SETTINGS_DEVTOOLS": "1",
    "MOZ_CRASHREPORTER_DISABLE": "1",
}


class FirefoxMissingError(RuntimeError):
    """Firefox is not installed."""


def executable() -> str | None:
    """Return the path of Firefox, or None; a test can skip itself then."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class FirefoxProcess:
    """A headless Firefox with this profile; `push_url` is the WebSocket of its push service."""

    def __init__(self, profile: Path, push_url: str) -> None:
        program = executable()
        if program is None:
            raise FirefoxMissingError(
                "Firefox is not installed: on Debian, apt-get install --no-install-recommends firefox-esr"
            )
        self._profile = profile
        self._port_file = profile / "MarionetteActivePort"
        self._port_file.unlink(missing_ok=True)
        self.log = profile / "firefox.log"
        _write_preferences(profile / "user.js", push_url)
        self._process = self._start(program)

    def connect(self) -> Marionette:
        """Wait until Marionette accepts connections."""
        deadline = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"Firefox ended with {self._process.returncode}:\n{self._last_words()}")
            with suppress(FileNotFoundError, ConnectionRefusedError, ValueError):
                return Marionette(int(self._port_file.read_text()))
            time.sleep(0.02)  # another process writes the file, so only polling is possible
        raise TimeoutError(f"Firefox did not open Marionette's port:\n{self._last_words()}")

    def wait(self, seconds: float) -> None:
        """Wait for Firefox to end by itself."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def kill(self) -> None:
        """End Firefox and all processes of its group."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _start(self, program: str) -> "subprocess.Popen[bytes]":
        environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
        options = ["--headless", "--marionette", "--remote-allow-system-access", "--no-remote"]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [program, *options, "--profile", str(self._profile)],
                env={**environment, **_ENVIRONMENT, "HOME": str(self._profile)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a process group of its own, for kill()
            )

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


def _write_preferences(file: Path, push_url: str) -> None:
    preferences = {
        "dom.push.serverURL": push_url,
        "dom.push.connection.enabled": True,  # Marionette turns it off
        "dom.push.testing.allowInsecureServerURL": True,
        "dom.push.retryBaseInterval": 200,
        "alerts.useSystemBackend": False,  # there is no D-Bus to show notifications
        "marionette.port": 0,
        "ui.prefersReducedMotion": 1,
        # Starting processes and drawing frames took a fifth of the time.
        "dom.ipc.processCount": 1,
        "dom.ipc.processPrelaunch.enabled": False,
        "fission.autostart": False,
        "layout.frame_rate": 20,
    }
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items()]
    file.write_text("".join(lines))
