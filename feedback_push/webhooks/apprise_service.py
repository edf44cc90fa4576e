"""Tell one of Apprise's services, in a process of its own that has a time limit and can do nothing else."""

import json
import os
import re
import subprocess
import sys
from enum import StrEnum
from importlib.util import find_spec
from urllib.parse import urlsplit

from feedback_push.config import current_settings
from feedback_push.http_client import Reason
from feedback_push.webhooks import apprise_program
from feedback_push.webhooks.payloads import Text
from feedback_push.webpush import endpoints

TIMEOUT = 20.0  # seconds
_URL = re.compile(r"[a-z][a-z0-9+.-]{1,30}://[\x21-\x7e]+", re.IGNORECASE)


class Fault(StrEnum):
    """The reason why a service was not told; `http_client.Reason` has those of the network."""

    MISSING = "apprise-missing"  # the extra is not installed
    URL = "apprise-url"  # Apprise does not understand the address
    REFUSED = "apprise-refused"  # the service did not accept it
    BROKEN = "apprise-broken"  # the process ended without an answer


def is_installed() -> bool:
    """Return whether the extra `apprise` is installed; this does not load it."""
    return find_spec("apprise") is not None


def is_url(text: str) -> bool:
    """Return whether a text has the form of an Apprise URL; Apprise itself reads it only when something is sent."""
    return _URL.fullmatch(text) is not None


def send(url: str, text: Text) -> tuple[str, str]:
    """Send a text; return the reason why that failed (empty if it was sent), and what Apprise has said about it."""
    if not is_installed():
        return Fault.MISSING, ""
    settings = current_settings()
    given = {
        "url": url,
        "title": text.title,
        "body": text.body,
        "private_hosts": [*settings.webhook_private_hosts, *_host_of(settings.push_proxy)],
        "private_allowed": settings.push_allow_private_addresses,
        "endpoints": endpoints.__file__,
        "timeout": TIMEOUT / 2,
    }
    command = [sys.executable, "-I", "-X", "utf8", apprise_program.__file__]
    try:
        run = subprocess.run(  # noqa: S603 - our own file, without a shell
            command, input=json.dumps(given).encode(), capture_output=True, timeout=TIMEOUT,
            env=_environment(settings.push_proxy), check=True,
        )  # fmt: skip
        answer = json.loads(run.stdout)
    except subprocess.TimeoutExpired:
        return Reason.TIMEOUT, ""
    except (subprocess.SubprocessError, ValueError):
        return Fault.BROKEN, ""
    return answer["error"], answer["detail"]


def _environment(proxy: str) -> dict[str, str]:
    own = {"REQUESTS_CA_BUNDLE": ca_file} if (ca_file := os.environ.get("SSL_CERT_FILE")) else {}
    return own | ({"http_proxy": proxy, "https_proxy": proxy} if proxy else {})


def _host_of(proxy: str) -> list[str]:
    return [urlsplit(proxy).hostname or ""] if proxy else []
